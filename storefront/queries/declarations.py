"""Declarations as who made them and as the staff see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.declarations import REFUND_DAYS, DeclarationKind, withdrawable_until
from storefront.models import (
    Box,
    Customer,
    Declaration,
    DeclarationOutcome,
    Plan,
    Shipment,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment

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
    #: When money is to be back at the latest; None for an end.
    due_on: date | None
    outcome: str
    note: str
    done_at: datetime | None


def said_of(session: AnySession, ref: str) -> Said | None:
    """Return a declaration by its public id."""
    table, outcome = table_of(Declaration), table_of(DeclarationOutcome)
    row = session.execute(
        sa.select(table, outcome.c.ends_on)
        .outerjoin(outcome, outcome.c.declaration_id == table.c.id)
        .where(table.c.public_id == ref)
    ).one_or_none()
    return None if row is None else _said(row)


def waiting(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Return (id, minor, at) of the declarations that nobody has settled."""
    table = table_of(Declaration)
    return sa.select(
        table.c.id,
        sa.literal(None, sa.BigInteger).label("minor"),
        table.c.received_at.label("at"),
    ).where(_is_open(table))


def queue(session: AnySession, moment: Moment) -> list[DeclaredRow]:
    """Return what waits for a person, what came first first; one statement."""
    table = table_of(Declaration)
    chosen = _rows().where(_is_open(table)).order_by(table.c.id).limit(_MOST)
    return [_declared(row, moment) for row in session.execute(chosen)]


def settled(session: AnySession, moment: Moment) -> list[DeclaredRow]:
    """Return the last that were done, the newest first."""
    outcome = table_of(DeclarationOutcome)
    chosen = _rows().where(outcome.c.id.is_not(None)).order_by(outcome.c.id.desc())
    return [_declared(row, moment) for row in session.execute(chosen.limit(_DONE_SHOWN))]


def _is_open(table: sa.Table) -> sa.ColumnElement[bool]:
    outcome = table_of(DeclarationOutcome).alias()
    return sa.not_(sa.exists().where(outcome.c.declaration_id == table.c.id))


def _rows() -> sa.Select[Any]:
    table, outcome = table_of(Declaration), table_of(DeclarationOutcome)
    customer, subscription, plan = table_of(Customer), table_of(Subscription), table_of(Plan)
    box, shipment = table_of(Box), table_of(Shipment)
    left_at = (
        sa.select(sa.func.min(shipment.c.shipped_at))
        .join(box, box.c.shipment_id == shipment.c.id)
        .where(box.c.subscription_id == subscription.c.id)
        .scalar_subquery()
    )
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
            left_at.label("left_at"),
        )
        .outerjoin(outcome, outcome.c.declaration_id == table.c.id)
        .outerjoin(subscription, subscription.c.id == table.c.subscription_id)
        .outerjoin(plan, plan.c.id == subscription.c.plan_id)
        .outerjoin(
            customer,
            customer.c.id == sa.func.coalesce(subscription.c.customer_id, table.c.customer_id),
        )
    )


def _declared(row: AnyRow, moment: Moment) -> DeclaredRow:
    said = _said(row)
    left_on = moment.day_of(row.left_at) if row.left_at else None
    is_withdrawal = said.kind is DeclarationKind.WITHDRAW
    came_on = moment.day_of(said.received_at)
    return DeclaredRow(
        said,
        row.is_sure,
        row.has_stopped,
        row.customer or "",
        row.customer_name or "",
        row.plan or "",
        str(getattr(row.state, "value", row.state) or ""),
        withdrawable_until(left_on),
        came_on + timedelta(days=REFUND_DAYS) if is_withdrawal else None,
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
    )
