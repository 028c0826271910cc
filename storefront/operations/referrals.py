"""Write down who came by a friend's link, and credit both when the first box is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.domain.referrals import ReferralFacts, referral_refusal
from storefront.models import (
    Address,
    Customer,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Referral,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.customer_credit import grant_credit
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.questions import Question


@dataclass(frozen=True, slots=True)
class Friend:
    """Who came, with what they ordered and pay with; ``card`` is a fingerprint."""

    customer_id: int
    email: str
    subscription_id: int
    card: str
    street: str
    postcode: str
    country: str


def friend_of(checkout: AnyRow, customer_id: int, subscription_id: int, card: str) -> Friend:
    """Return who ordered with ``checkout``; ``card`` is a fingerprint, empty without one."""
    street, postcode, country = (
        str(checkout.address.get(name, "")) for name in ("street", "postcode", "country")
    )
    return Friend(customer_id, checkout.email, subscription_id, card, street, postcode, country)


@dataclass(frozen=True, slots=True)
class Promise:
    """What each is given."""

    giver: Money
    friend: Money


def note_referral(
    session: AnySession, giver_id: int, friend: Friend, promise: Promise, moment: Moment
) -> None:
    """Keep that ``giver_id`` sent ``friend``, refused with its reason if it cannot count.

    Somebody is sent once: of a second try of the same order the last card counts, of
    another order nothing is changed.
    """
    table = table_of(Referral)
    known = session.execute(
        sa.select(table).where(table.c.friend_id == friend.customer_id)
    ).one_or_none()
    if known is not None and known.subscription_id != friend.subscription_id:
        return
    facts = _facts(session, giver_id, friend)
    if facts is None or giver_id == friend.customer_id:
        return
    refused = referral_refusal(facts)
    values = {
        "giver_minor": promise.giver.minor,
        "friend_minor": promise.friend.minor,
        "currency": promise.giver.currency,
        "state": "refused" if refused else "waiting",
        "reason": refused.value if refused else "",
    }
    if known is not None:
        session.execute(
            sa.update(table)
            .where(table.c.id == known.id, table.c.state != "granted")
            .values(**values)
        )
        return
    session.execute(
        sa.insert(table).values(
            giver_id=giver_id,
            friend_id=friend.customer_id,
            subscription_id=friend.subscription_id,
            created_at=moment.now,
            **values,
        )
    )


def _facts(session: AnySession, giver_id: int, friend: Friend) -> ReferralFacts | None:
    customer, method, address = table_of(Customer), table_of(PaymentMethod), table_of(Address)
    email = session.scalar(sa.select(customer.c.email).where(customer.c.id == giver_id))
    if email is None:
        return None
    cards = session.scalars(
        sa.select(method.c.fingerprint).where(
            method.c.customer_id == giver_id, method.c.fingerprint != ""
        )
    )
    places = session.execute(
        sa.select(address.c.street, address.c.postcode, address.c.country).where(
            address.c.customer_id == giver_id
        )
    )
    return ReferralFacts(
        email,
        friend.email,
        not _had_another(session, friend),
        frozenset(cards),
        friend.card,
        frozenset((row.street, row.postcode, row.country) for row in places),
        (friend.street, friend.postcode, friend.country),
    )


def _had_another(session: AnySession, friend: Friend) -> bool:
    """Return whether the friend ever had a subscription beside those ordered now."""
    table = table_of(Subscription)
    ordered = table.alias()
    now = sa.select(ordered.c.checkout_id).where(ordered.c.id == friend.subscription_id)
    another = sa.exists().where(
        table.c.customer_id == friend.customer_id,
        table.c.id != friend.subscription_id,
        sa.func.coalesce(table.c.checkout_id, 0) != sa.func.coalesce(now.scalar_subquery(), -1),
        table.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
    )
    return bool(session.execute(sa.select(another)).scalar_one())


def due_referrals(session: AnySession, limit: int) -> Sequence[int]:
    """Return referrals whose friend has paid for a box, the oldest first."""
    return session.scalars(_due_referrals(), {"size": limit}).all()


@cache
def _due_referrals() -> AnySelect:
    table, line, invoice = table_of(Referral), table_of(InvoiceLine), table_of(Invoice)
    paid = sa.exists().where(
        line.c.subscription_id == table.c.subscription_id,
        invoice.c.id == line.c.invoice_id,
        invoice.c.state == InvoiceState.PAID,
        invoice.c.paid_minor > 0,
    )
    return (
        sa.select(table.c.id)
        .where(table.c.state == "waiting", paid)
        .order_by(table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether referrals are to be credited.
REFERRALS_DUE = Question(lambda: [_due_referrals()], lambda _moment: {})


def grant_referral(session: AnySession, referral_id: int, moment: Moment) -> bool:
    """Credit both, book it and write to them; False when somebody else has done so."""
    table = table_of(Referral)
    row: AnyRow | None = session.execute(
        sa.update(table)
        .where(table.c.id == referral_id, table.c.state == "waiting")
        .values(state="granted", settled_at=moment.now)
        .returning(
            table.c.giver_id,
            table.c.friend_id,
            table.c.giver_minor,
            table.c.friend_minor,
            table.c.currency,
        )
    ).one_or_none()
    if row is None:
        return False
    given = (
        (row.giver_id, row.giver_minor, "referral"),
        (row.friend_id, row.friend_minor, "welcome"),
    )
    for customer_id, minor, origin in given:
        if not minor:
            continue
        amount = Money(minor, row.currency)
        grant_credit(session, customer_id, amount, origin, "", moment)
        payload = {"origin": origin, "amount_minor": minor, "currency": row.currency}
        key = f"mail:referral:{referral_id}:{origin}"
        enqueue(
            session,
            [Message("mail", "referral_credit", key, payload, customer_id)],
            moment.now,
        )
    return True
