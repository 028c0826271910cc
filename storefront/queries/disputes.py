"""Disputes as staff and customers see them; read only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.gateways import DisputeState
from storefront.domain.lifecycle import ENDED, HoldReason
from storefront.domain.money import Money
from storefront.domain.packing import Problem
from storefront.models import (
    Box,
    ChargeAttempt,
    Customer,
    Dispute,
    Invoice,
    InvoiceLine,
    NumberSeries,
    PaymentMethod,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect

#: Rows of the list.
MOST = 200


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """One dispute in a list."""

    public_id: str
    state: str
    amount: Money
    fee: Money
    reason: str
    opened_at: datetime
    answer_by: datetime | None
    closed_at: datetime | None
    decided_at: datetime | None
    #: Public id and name of the payer.
    customer: str
    name: str
    #: Public id and printed number of the disputed invoice.
    invoice: str
    number: str
    gateway: str
    gateway_reference: str
    charge_at_gateway: str

    @property
    def is_inquiry(self) -> bool:
        """The bank asks and has taken no money."""
        return self.state == DisputeState.OPEN and not self.amount.minor


@dataclass(frozen=True, slots=True)
class Disputed:
    """A subscription on the disputed invoice."""

    public_id: str
    plan: str
    is_ended: bool
    is_held: bool
    #: Boxes held back, and boxes a packer was told of before.
    kept: int
    gone: int


@dataclass(frozen=True, slots=True)
class DisputeView:
    """Everything about one dispute."""

    row: DisputeRow
    subscriptions: tuple[Disputed, ...]
    brand: str
    last4: str

    @property
    def holds(self) -> bool:
        return any(one.is_held for one in self.subscriptions)

    @property
    def can_end(self) -> bool:
        return any(not one.is_ended for one in self.subscriptions) or self.holds


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Why one subscription of a customer waits: the newest dispute about it."""

    public_id: str
    state: str
    amount: Money
    answer_by: datetime | None
    number: str
    invoice: str


def disputes(session: AnySession, *, is_open: bool) -> tuple[DisputeRow, ...]:
    """Return disputes somebody still has to do with, or those that are over; newest first.

    What is open, or was decided against the shop and still holds a subscription, comes by the
    day until which the bank takes an answer.
    """
    table = table_of(Dispute)
    statement = _rows().where(waits() if is_open else sa.not_(waits()))
    order = [table.c.answer_by.is_(None), table.c.answer_by] if is_open else []
    rows = session.execute(statement.order_by(*order, table.c.opened_at.desc()).limit(MOST))
    return tuple(_row(row) for row in rows)


def dispute(session: AnySession, public: str) -> DisputeView | None:
    """Return one dispute with what it holds."""
    table = table_of(Dispute)
    row = session.execute(_rows().where(table.c.public_id == public)).one_or_none()
    if row is None:
        return None
    found = _subscriptions(session, row.invoice_id)
    return DisputeView(_row(row), found, row.brand or "", row.last4 or "")


def dispute_of_payer(session: AnySession, public: str, customer_id: int) -> DisputeView | None:
    """Return one dispute if it is about a payment of this customer."""
    table, invoice = table_of(Dispute), table_of(Invoice)
    mine = _rows().where(table.c.public_id == public, invoice.c.payer_id == customer_id)
    row = session.execute(mine).one_or_none()
    if row is None:
        return None
    found = _subscriptions(session, row.invoice_id)
    return DisputeView(_row(row), found, row.brand or "", row.last4 or "")


def held_by(session: AnySession, subscription: str) -> HeldBy | None:
    """Return the dispute that holds a subscription, None for one that no dispute holds."""
    table, line, held = table_of(Dispute), table_of(InvoiceLine), table_of(Subscription)
    attempt = table_of(ChargeAttempt)
    mine = (
        sa.select(line.c.invoice_id)
        .join(held, held.c.id == line.c.subscription_id)
        .where(held.c.public_id == subscription, held.c.hold_reason == HoldReason.DISPUTE)
    )
    row = session.execute(
        _rows()
        .where(attempt.c.invoice_id.in_(mine), table.c.amount_minor > 0)
        .order_by(table.c.resumed_at.is_not(None), table.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return _held_by(row)


def has_disputed(customer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether a dispute holds any subscription of a customer."""
    held = table_of(Subscription)
    return sa.exists().where(
        held.c.customer_id == customer, held.c.hold_reason == HoldReason.DISPUTE
    )


@cache
def disputed() -> AnySelect:
    """The disputes that hold subscriptions of a ``customer``, as in ``held_by``; built once."""
    table, line, held = table_of(Dispute), table_of(InvoiceLine), table_of(Subscription)
    return (
        _rows()
        .add_columns(held.c.public_id.label("subscription"))
        .join(line, line.c.invoice_id == table_of(ChargeAttempt).c.invoice_id)
        .join(held, held.c.id == line.c.subscription_id)
        .where(
            held.c.customer_id == sa.bindparam("customer", type_=sa.BigInteger()),
            held.c.hold_reason == HoldReason.DISPUTE,
            table.c.amount_minor > 0,
        )
        .order_by(table.c.resumed_at.is_not(None), table.c.id.desc())
    )


def won_from(rows: Iterable[AnyRow]) -> dict[str, HeldBy]:
    """Return by subscription the disputes of ``disputed`` that wait for their customer's word.

    They were won, and nothing newer holds it.
    """
    newest: dict[str, AnyRow] = {}
    for row in rows:
        newest.setdefault(row.subscription, row)
    return {key: _held_by(row) for key, row in newest.items() if row.state == DisputeState.WON}


def _held_by(row: AnyRow) -> HeldBy:
    one = _row(row)
    return HeldBy(one.public_id, one.state, one.amount, one.answer_by, one.number, one.invoice)


def dispute_of(session: AnySession, invoice: str) -> DisputeRow | None:
    """Return the newest dispute about a payment of an invoice."""
    table, of = table_of(Dispute), table_of(Invoice)
    newest = _rows().where(of.c.public_id == invoice).order_by(table.c.id.desc()).limit(1)
    row = session.execute(newest).one_or_none()
    return None if row is None else _row(row)


def waits() -> sa.ColumnElement[bool]:
    """Return the condition that somebody has still to do with a dispute."""
    table = table_of(Dispute)
    return sa.or_(table.c.state == DisputeState.OPEN, _holds(table))


def _holds(table: sa.Table) -> sa.ColumnElement[bool]:
    attempt, line, held = table_of(ChargeAttempt), table_of(InvoiceLine), table_of(Subscription)
    return sa.and_(
        table.c.resumed_at.is_(None),
        sa.exists().where(
            attempt.c.id == table.c.attempt_id,
            line.c.invoice_id == attempt.c.invoice_id,
            held.c.id == line.c.subscription_id,
            held.c.hold_reason == HoldReason.DISPUTE,
        ),
    )


def _rows() -> AnySelect:
    table, attempt, invoice = table_of(Dispute), table_of(ChargeAttempt), table_of(Invoice)
    customer, series, method = table_of(Customer), table_of(NumberSeries), table_of(PaymentMethod)
    return (
        sa.select(
            table,
            attempt.c.invoice_id,
            attempt.c.gateway_reference.label("charge_at_gateway"),
            customer.c.public_id.label("customer"),
            customer.c.name,
            invoice.c.public_id.label("invoice"),
            invoice.c.number,
            series.c.prefix,
            method.c.brand,
            method.c.last4,
        )
        .join(attempt, attempt.c.id == table.c.attempt_id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(customer, customer.c.id == invoice.c.payer_id)
        .outerjoin(series, series.c.code == invoice.c.series)
        .outerjoin(method, method.c.id == attempt.c.payment_method_id)
    )


def _row(row: AnyRow) -> DisputeRow:
    return DisputeRow(
        public_id=row.public_id,
        state=row.state.value,
        amount=Money(row.amount_minor, row.currency),
        fee=Money(row.fee_minor, row.currency),
        reason=row.reason,
        opened_at=row.opened_at,
        answer_by=row.answer_by,
        closed_at=row.closed_at,
        decided_at=row.resumed_at,
        customer=row.customer,
        name=row.name,
        invoice=row.invoice,
        number=f"{row.prefix or ''}{row.number or ''}",
        gateway=row.gateway,
        gateway_reference=row.gateway_reference,
        charge_at_gateway=row.charge_at_gateway,
    )


def _subscriptions(session: AnySession, invoice_id: int) -> tuple[Disputed, ...]:
    table, line, plan, box = (table_of(each) for each in (Subscription, InvoiceLine, Plan, Box))
    mine = sa.select(line.c.subscription_id).where(line.c.invoice_id == invoice_id)

    def boxes(condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        own = box.c.subscription_id == table.c.id
        return sa.select(sa.func.count()).where(own, condition).scalar_subquery()

    kept = sa.and_(box.c.state == BoxState.HELD, box.c.problem == Problem.HELD.value)
    told = sa.or_(
        box.c.state == BoxState.EXPORTED,
        sa.and_(box.c.state == BoxState.LOCKED, box.c.batch_id.is_not(None)),
    )
    rows = session.execute(
        sa.select(
            table.c.public_id,
            table.c.state,
            table.c.hold_reason,
            plan.c.name,
            boxes(kept).label("kept"),
            boxes(told).label("gone"),
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .where(table.c.id.in_(mine))
        .order_by(table.c.id)
    )
    return tuple(
        Disputed(
            row.public_id,
            row.name,
            row.state in ENDED,
            row.hold_reason == HoldReason.DISPUTE,
            row.kept,
            row.gone,
        )
        for row in rows
    )
