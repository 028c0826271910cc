"""What a customer sees of themselves: addresses, sign-ins, what we hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.lifecycle import RUNNING
from storefront.models import (
    Address,
    AllergyAnswer,
    Box,
    BoxAddress,
    BoxCycle,
    Consent,
    Customer,
    Invoice,
    LoginSession,
    PaymentMethod,
    Plan,
    StaffSession,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.consents import MARKETING_WISH, RENEWAL, marketing_since
from storefront.operations.keys import AnyRow
from storefront.operations.methods import was_accepted
from storefront.operations.secrets import REFERENCE

#: Browsers listed; "everywhere else" ends those beyond them too.
MOST_SESSIONS = 100
#: The same words within so long belong to one order.
_SAME_ORDER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AddressView:
    """An address a running subscription ships to."""

    subscription: str
    plan: str
    name: str
    company: str
    street: str
    extra: str
    postcode: str
    city: str
    region: str
    country: str
    phone: str
    #: Whether boxes go there; else it is for documents alone.
    ships: bool


@dataclass(frozen=True, slots=True)
class SessionView:
    """One signed-in browser. ``reference`` opens nothing."""

    reference: str
    began_at: datetime
    #: Last used, to the day.
    seen_at: datetime
    ip: str
    user_agent: str
    is_this_one: bool


@dataclass(frozen=True, slots=True)
class ConsentView:
    """What the customer agreed to, word for word."""

    text: str
    given_at: datetime
    #: Counts once the e-mail is confirmed.
    is_wish: bool = False


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the shop holds about a customer, in numbers and words."""

    name: str
    email: str
    since: datetime
    has_password: bool
    subscriptions: int
    boxes: int
    invoices: int
    addresses: int
    methods: int
    sessions: int
    #: Said what must not be in the boxes.
    has_allergies: bool
    #: Since when mails about offers are wanted; None: they are not.
    marketing_since: datetime | None
    #: Somebody has proved to read the mailbox.
    is_confirmed: bool
    consents: tuple[ConsentView, ...]


@dataclass(frozen=True, slots=True)
class TaxNumber:
    """A VAT number and what is known of it; both empty for a private person."""

    number: str
    state: str


def wants_marketing(session: AnySession, customer_id: int) -> bool:
    """Return whether a customer wants mails about offers."""
    return session.scalar(sa.select(marketing_since(sa.literal(customer_id)))) is not None


def tax_number(session: AnySession, customer_id: int) -> TaxNumber:
    """Return the VAT number of a customer; one statement."""
    table = table_of(Customer)
    row = session.execute(
        sa.select(table.c.tax_id, table.c.tax_id_state).where(table.c.id == customer_id)
    ).one()
    return TaxNumber(row.tax_id, row.tax_id_state)


def billing(session: AnySession, customer_id: int) -> dict[str, str]:
    """Return whom the invoices of a customer are for; nothing: who gets the boxes."""
    table = table_of(Customer)
    return dict(session.scalar(sa.select(table.c.billing).where(table.c.id == customer_id)) or {})


def addresses(session: AnySession, customer_id: int) -> list[AddressView]:
    """Return the addresses that running subscriptions ship to; one statement."""
    return [AddressView(**row._mapping) for row in session.execute(_addresses(customer_id))]


def address_of(
    session: AnySession, customer_id: int, subscription: str, cycle: str = ""
) -> AddressView | None:
    """Return the address of one subscription, or None; parts are empty where none is set.

    ``cycle``: where the box of that cycle goes, if it was given an address alone.
    """
    table = table_of(Subscription)
    statement = _addresses(customer_id, running=False, cycle=cycle)
    statement = statement.where(table.c.public_id == subscription)
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    parts: dict[str, Any] = {name: value or "" for name, value in row._mapping.items()}
    return AddressView(**parts | {"ships": row.ships})


def _addresses(
    customer_id: int, *, running: bool = True, cycle: str = ""
) -> sa.Select[tuple[str, ...]]:
    table, address, plan = table_of(Subscription), table_of(Address), table_of(Plan)
    given, at = table_of(BoxAddress), table_of(BoxCycle)
    alone = (
        sa.select(given.c.address_id)
        .join(at, at.c.id == given.c.cycle_id)
        .where(given.c.subscription_id == table.c.id, at.c.public_id == cycle)
        .correlate(table)
        .scalar_subquery()
    )
    goes_to = sa.func.coalesce(alone, table.c.address_id) if cycle else table.c.address_id
    statement = (
        sa.select(
            table.c.public_id.label("subscription"),
            plan.c.name.label("plan"),
            address.c.name,
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.postcode,
            address.c.city,
            address.c.region,
            address.c.country,
            address.c.phone,
            plan.c.ships,
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .outerjoin(address, address.c.id == goes_to)
        .where(table.c.customer_id == customer_id)
        .order_by(table.c.id)
    )
    if running:
        statement = statement.where(table.c.state.in_(RUNNING), address.c.id.is_not(None))
    return statement


def sessions(
    session: AnySession, customer_id: int, now: datetime, this_one: int | None
) -> list[SessionView]:
    """Return the browsers that are signed in, the newest first; one statement."""
    table = table_of(LoginSession)
    return _sessions(session, table, table.c.customer_id == customer_id, now, this_one)


def staff_sessions(
    session: AnySession, staff_id: int, now: datetime, this_one: int
) -> list[SessionView]:
    """Return the browsers in which a staff user is signed in, the newest first; one statement."""
    table = table_of(StaffSession)
    return _sessions(session, table, table.c.staff_id == staff_id, now, this_one)


def _sessions(
    session: AnySession,
    table: sa.Table,
    whose: sa.ColumnElement[bool],
    now: datetime,
    this_one: int | None,
) -> list[SessionView]:
    rows = session.execute(
        sa.select(table)
        .where(whose, table.c.revoked_at.is_(None), table.c.expires_at > now)
        .order_by(table.c.id.desc())
        .limit(MOST_SESSIONS)
    )
    return [
        SessionView(
            row.token_hash[:REFERENCE],
            row.created_at,
            row.seen_at or row.created_at,
            row.ip,
            row.user_agent,
            row.id == this_one,
        )
        for row in rows
    ]


def has_password(session: AnySession, customer_id: int) -> bool:
    """Return whether a password is set."""
    table = table_of(Customer)
    statement = sa.select(table.c.password_hash.is_not(None)).where(table.c.id == customer_id)
    return bool(session.execute(statement).scalar_one())


def holdings(session: AnySession, customer_id: int) -> Holdings:
    """Return what is held about a customer; two statements."""
    customer = table_of(Customer)
    subscription, box = table_of(Subscription), table_of(Box)

    def count(of: sa.Table) -> sa.ScalarSelect[int]:
        statement = sa.select(sa.func.count()).select_from(of)
        return statement.where(of.c.customer_id == customer_id).scalar_subquery()

    paper = table_of(Invoice)
    # Only what was issued: a draft or an unpaid order is no invoice to the customer.
    invoices = (
        sa.select(sa.func.count())
        .select_from(paper)
        .where(paper.c.payer_id == customer_id, paper.c.number.is_not(None))
        .scalar_subquery()
    )
    boxes = (
        sa.select(sa.func.count())
        .select_from(box)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .where(subscription.c.customer_id == customer_id)
        .scalar_subquery()
    )
    row = session.execute(
        sa.select(
            customer.c.name,
            customer.c.email,
            customer.c.created_at.label("since"),
            customer.c.password_hash.is_not(None).label("has_password"),
            count(subscription).label("subscriptions"),
            boxes.label("boxes"),
            invoices.label("invoices"),
            count(table_of(Address)).label("addresses"),
            _stored_methods(customer_id).label("methods"),
            count(table_of(LoginSession)).label("sessions"),
            _has_allergies(customer_id).label("has_allergies"),
            marketing_since(customer.c.id).label("marketing_since"),
            customer.c.email_verified_at.is_not(None).label("is_confirmed"),
        ).where(customer.c.id == customer_id)
    ).one()
    consent = table_of(Consent)
    agreed = session.execute(
        sa.select(consent.c.text, consent.c.given_at, consent.c.kind)
        .where(consent.c.customer_id == customer_id)
        .order_by(consent.c.id.desc())
    ).all()
    return Holdings(**row._mapping, consents=_said_once(agreed))


def _stored_methods(customer_id: int) -> sa.ScalarSelect[int]:
    """Count what the page of payment methods lists: what can be seen and taken away."""
    table = table_of(PaymentMethod)
    return (
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.customer_id == customer_id, table.c.detached_at.is_(None), was_accepted())
        .scalar_subquery()
    )


def _has_allergies(customer_id: int) -> sa.ColumnElement[bool]:
    """Return whether the last answer for a subscription of a customer names anything."""
    subscription, answer = table_of(Subscription), table_of(AllergyAnswer)
    later = answer.alias()
    return (
        sa.exists()
        .where(
            subscription.c.customer_id == customer_id,
            answer.c.subscription_id == subscription.c.id,
            sa.cast(answer.c.allergens, sa.Text) != "[]",
        )
        .where(
            ~sa.exists().where(
                later.c.subscription_id == answer.c.subscription_id,
                later.c.number > answer.c.number,
            )
        )
    )


def _said_once(rows: Iterable[AnyRow]) -> tuple[ConsentView, ...]:
    """Return consents, newest first, each once: an order that was declined and tried again,
    or brings two alike, was agreed to with the same words.
    """
    found: list[AnyRow] = []
    shown: dict[str, datetime] = {}
    for row in rows:
        if row.kind == RENEWAL:
            last = shown.get(row.text)
            shown[row.text] = row.given_at
            if last is not None and last - row.given_at < _SAME_ORDER:
                continue
        found.append(row)
    return tuple(ConsentView(one.text, one.given_at, one.kind == MARKETING_WISH) for one in found)
