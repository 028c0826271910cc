"""Declarations as who made them and as the staff see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.declarations import REFUND_DAYS, DeclarationKind, withdrawable_until
from storefront.domain.lifecycle import ENDED
from storefront.models import (
    Customer,
    Declaration,
    DeclarationOutcome,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.declarations import right_columns, right_of
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.queries.withdrawal import Excluded, excluded_in

#: Settled ones that the page still lists, and the most that wait on one page.
_DONE_SHOWN, _MOST = 20, 100


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody declared, as they typed it."""

    ref: str
    kind: DeclarationKind
    is_for_cause: bool
    name: str
    email: str
    contract: str
    reason: str
    wished_on: date | None
    received_at: datetime
    #: Where it ended by itself; for mails to its e-mail alone.
    ends_on: date | None
    #: Whether nobody has to do anything any more.
    is_done: bool = False

    def due_on(self, moment: Moment) -> date | None:
        """Return when money is to be back at the latest; None for an end."""
        if self.kind is not DeclarationKind.WITHDRAW:
            return None
        return moment.day_of(self.received_at) + timedelta(days=REFUND_DAYS)


@dataclass(frozen=True, slots=True)
class Declared:
    """The newest declaration about a subscription, as its subscriber is told of it."""

    subscription: str
    kind: DeclarationKind
    received_at: datetime
    wished_on: date | None
    #: Of a withdrawal: nothing is billed or packed until somebody has looked at it.
    has_stopped: bool
    #: Where it ended by itself.
    ends_on: date | None


@dataclass(frozen=True, slots=True)
class DeclaredRow:
    """A declaration with what staff need to decide about it."""

    said: Said
    is_sure: bool
    has_stopped: bool
    #: Public id and name of whose e-mail it is; empty: nobody's.
    customer: str
    customer_name: str
    plan: str
    state: str
    #: Until when a withdrawal is taken for timely; None while no box has left.
    withdrawable_until: date | None
    #: Whether the buyer was told of the right, as far as we know.
    is_told: bool
    #: What left in its boxes and nobody may withdraw from, with the reason.
    excluded: tuple[Excluded, ...]
    #: When money is to be back at the latest; None for an end.
    due_on: date | None
    outcome: str
    note: str
    done_at: datetime | None


def said_of(session: AnySession, ref: str) -> Said | None:
    """Return a declaration by its public id."""
    table, outcome = table_of(Declaration), table_of(DeclarationOutcome)
    row = session.execute(
        sa.select(table, outcome.c.ends_on, outcome.c.outcome)
        .outerjoin(outcome, outcome.c.declaration_id == table.c.id)
        .where(table.c.public_id == ref)
    ).one_or_none()
    return None if row is None else _said(row)


def declared_of(session: AnySession, subscriptions: list[str]) -> list[Declared]:
    """Return the newest declaration about each running subscription; one statement.

    What staff have settled is over and not among them.
    """
    if not subscriptions:
        return []
    table, outcome = table_of(Declaration), table_of(DeclarationOutcome)
    subscription = table_of(Subscription)
    rows = session.execute(
        sa.select(
            subscription.c.public_id,
            table.c.kind,
            table.c.received_at,
            table.c.wished_on,
            table.c.has_stopped,
            outcome.c.ends_on,
        )
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .outerjoin(outcome, outcome.c.declaration_id == table.c.id)
        .where(
            subscription.c.public_id.in_(subscriptions),
            subscription.c.state.not_in(ENDED),
            sa.or_(outcome.c.id.is_(None), outcome.c.ends_on == subscription.c.cancel_on),
        )
        .order_by(table.c.id)
    ).all()
    newest = {row.public_id: row for row in rows}
    return [
        Declared(
            row.public_id,
            DeclarationKind(row.kind),
            row.received_at,
            row.wished_on,
            row.has_stopped,
            row.ends_on,
        )
        for row in newest.values()
    ]


def waiting(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Return (id, minor, at) of the declarations that nobody has settled."""
    table = table_of(Declaration)
    return sa.select(
        table.c.id,
        sa.literal(None, sa.BigInteger).label("minor"),
        table.c.received_at.label("at"),
    ).where(_is_open(table))


def queue(session: AnySession, moment: Moment) -> list[DeclaredRow]:
    """Return what waits for a person, what came first first; two statements."""
    table = table_of(Declaration)
    chosen = _rows().where(_is_open(table)).order_by(table.c.id).limit(_MOST)
    return _read(session, chosen, moment)


def settled(session: AnySession, moment: Moment) -> list[DeclaredRow]:
    """Return the last that were done, the newest first."""
    outcome = table_of(DeclarationOutcome)
    chosen = _rows().where(outcome.c.id.is_not(None)).order_by(outcome.c.id.desc())
    return _read(session, chosen.limit(_DONE_SHOWN), moment)


def _read(session: AnySession, chosen: sa.Select[Any], moment: Moment) -> list[DeclaredRow]:
    rows = session.execute(chosen).all()
    withdrawn = [
        row.subscription_id
        for row in rows
        if row.kind == DeclarationKind.WITHDRAW.value and row.subscription_id is not None
    ]
    excluded = excluded_in(session, withdrawn)
    return [_declared(row, moment, excluded.get(row.subscription_id, ())) for row in rows]


def _is_open(table: sa.Table) -> sa.ColumnElement[bool]:
    outcome = table_of(DeclarationOutcome).alias()
    return sa.not_(sa.exists().where(outcome.c.declaration_id == table.c.id))


def _rows() -> sa.Select[Any]:
    table, outcome = table_of(Declaration), table_of(DeclarationOutcome)
    customer, subscription, plan = table_of(Customer), table_of(Subscription), table_of(Plan)
    return (
        sa.select(
            table,
            outcome.c.outcome,
            outcome.c.ends_on,
            outcome.c.note,
            outcome.c.at.label("done_at"),
            customer.c.public_id.label("customer"),
            customer.c.name.label("customer_name"),
            plan.c.name.label("plan"),
            subscription.c.state,
            *right_columns(),
        )
        .outerjoin(outcome, outcome.c.declaration_id == table.c.id)
        .outerjoin(subscription, subscription.c.id == table.c.subscription_id)
        .outerjoin(plan, plan.c.id == subscription.c.plan_id)
        .outerjoin(
            customer,
            customer.c.id == sa.func.coalesce(subscription.c.customer_id, table.c.customer_id),
        )
    )


def _declared(row: AnyRow, moment: Moment, excluded: tuple[Excluded, ...]) -> DeclaredRow:
    said = _said(row)
    right = right_of(row, moment) if row.ordered_at is not None else None
    return DeclaredRow(
        said,
        row.is_sure,
        row.has_stopped,
        row.customer or "",
        row.customer_name or "",
        row.plan or "",
        str(getattr(row.state, "value", row.state) or ""),
        withdrawable_until(right) if right is not None else None,
        right is not None and right.told_on is not None,
        excluded,
        said.due_on(moment),
        row.outcome or "",
        row.note or "",
        row.done_at,
    )


def _said(row: AnyRow) -> Said:
    return Said(
        row.public_id,
        DeclarationKind(row.kind),
        row.is_for_cause,
        row.name,
        row.email,
        row.contract,
        row.reason,
        row.wished_on,
        row.received_at,
        row.ends_on,
        row.outcome is not None,
    )
