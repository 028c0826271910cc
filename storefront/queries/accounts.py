"""What merging two accounts or erasing a person would do, for the pages that ask first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.erasure import Standing, Waiting, kept_until, waits_for
from storefront.domain.merging import MergeProblem, merge_problems
from storefront.domain.money import Money
from storefront.models import (
    Address,
    Customer,
    CustomerCredit,
    ErasureRequest,
    Gift,
    Invoice,
    PaymentMethod,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.erasure import read_standing
from storefront.operations.keys import AnyRow
from storefront.operations.merging import read_account


@dataclass(frozen=True, slots=True)
class Side:
    """One of two accounts, with all that would change hands."""

    ref: str
    name: str
    email: str
    since: datetime
    #: Plan and state of each subscription.
    subscriptions: tuple[tuple[str, str], ...]
    #: Brand and last four of each method that was not taken away.
    methods: tuple[str, ...]
    invoices: int
    addresses: int
    gifts: int
    credit: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class MergePreview:
    """Both accounts side by side, and why they cannot become one, if so."""

    kept: Side
    merged: Side
    problems: tuple[MergeProblem, ...]


@dataclass(frozen=True, slots=True)
class ErasurePreview:
    """What an erasure would wait for, and what stays."""

    ref: str
    name: str
    email: str
    standing: Standing
    waits: tuple[Waiting, ...]
    #: waiting while it was asked for and not done yet; else empty.
    state: str
    asked_at: datetime | None
    credit: tuple[Money, ...]
    documents: int
    #: Last day on which the newest document says who it was; None without any.
    documents_until: date | None


@dataclass(frozen=True, slots=True)
class Closed:
    """Why an account is one no more."""

    erased_at: datetime | None
    merged_into: str = ""
    merged_into_name: str = ""


def account_of(session: AnySession, email: str) -> str | None:
    """Return the public id of the account with this e-mail, None where there is none."""
    table = table_of(Customer)
    return session.scalar(sa.select(table.c.public_id).where(table.c.email == email))


def merge_preview(session: AnySession, kept: str, other: str) -> MergePreview | None:
    """Return what merging the account ``other`` into ``kept`` means; None without both."""
    table = table_of(Customer)
    to = session.execute(sa.select(table).where(table.c.public_id == kept)).one_or_none()
    of = session.execute(sa.select(table).where(table.c.public_id == other)).one_or_none()
    if to is None or of is None:
        return None
    problems = merge_problems(read_account(session, to), read_account(session, of))
    return MergePreview(_side(session, to), _side(session, of), problems)


def _side(session: AnySession, row: AnyRow) -> Side:
    subscription, plan, method = (table_of(each) for each in (Subscription, Plan, PaymentMethod))
    plans = session.execute(
        sa.select(plan.c.name, subscription.c.state)
        .join(plan, plan.c.id == subscription.c.plan_id)
        .where(sa.or_(subscription.c.customer_id == row.id, subscription.c.payer_id == row.id))
        .order_by(subscription.c.id)
    )
    cards = session.execute(
        sa.select(method.c.brand, method.c.last4, method.c.label)
        .where(method.c.customer_id == row.id, method.c.detached_at.is_(None))
        .order_by(method.c.id)
    )
    invoices, addresses, gifts = [
        session.scalar(sa.select(sa.func.count()).select_from(table).where(column == row.id)) or 0
        for table, column in (
            (table_of(Invoice), table_of(Invoice).c.payer_id),
            (table_of(Address), table_of(Address).c.customer_id),
            (table_of(Gift), table_of(Gift).c.giver_id),
        )
    ]
    return Side(
        row.public_id,
        row.name,
        row.email,
        row.created_at,
        tuple((one.name, one.state) for one in plans),
        tuple(f"{one.brand.title()} {one.last4 or one.label}".strip() for one in cards),
        invoices,
        addresses,
        gifts,
        credit_left(session, row.id),
    )


def credit_left(session: AnySession, customer_id: int) -> tuple[Money, ...]:
    """Return the credit a customer has left, by currency."""
    table = table_of(CustomerCredit)
    rows = session.execute(
        sa.select(table.c.balance_minor, table.c.currency)
        .where(table.c.customer_id == customer_id, table.c.balance_minor > 0)
        .order_by(table.c.currency)
    )
    return tuple(Money(row.balance_minor, row.currency) for row in rows)


def erasure_preview(
    session: AnySession, ref: str, zone: ZoneInfo, years: int
) -> ErasurePreview | None:
    """Return what erasing a customer means; None when there is none or the account is closed."""
    table, request, invoice = table_of(Customer), table_of(ErasureRequest), table_of(Invoice)
    row = session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None or row.erased_at is not None or row.merged_into_id is not None:
        return None
    asked = session.execute(
        sa.select(request.c.state, request.c.asked_at).where(
            request.c.customer_id == row.id, request.c.state == "waiting"
        )
    ).one_or_none()
    documents = session.execute(
        sa.select(sa.func.count(), sa.func.max(invoice.c.finalised_at)).where(
            invoice.c.payer_id == row.id, invoice.c.number.is_not(None)
        )
    ).one()
    newest = documents[1].astimezone(zone).date() if documents[1] else None
    standing = read_standing(session, row)
    return ErasurePreview(
        row.public_id,
        row.name,
        row.email,
        standing,
        waits_for(standing),
        asked.state if asked else "",
        asked.asked_at if asked else None,
        credit_left(session, row.id),
        documents[0],
        kept_until(newest, years) if newest else None,
    )


def closed_of(session: AnySession, ref: str) -> Closed | None:
    """Return why an account is closed; None for one that is open."""
    table = table_of(Customer)
    into = table.alias()
    row = session.execute(
        sa.select(table.c.erased_at, into.c.public_id, into.c.name)
        .outerjoin(into, into.c.id == table.c.merged_into_id)
        .where(
            table.c.public_id == ref,
            sa.or_(table.c.erased_at.is_not(None), table.c.merged_into_id.is_not(None)),
        )
    ).one_or_none()
    return Closed(row.erased_at, row.public_id or "", row.name or "") if row else None
