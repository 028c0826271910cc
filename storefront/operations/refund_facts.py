"""What a paid invoice can give back: its lines, the payments behind it, boxes not sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.refunds import BilledLine
from storefront.models import (
    Box,
    BoxCycle,
    CarriedAmount,
    ChargeAttempt,
    CreditNoteLine,
    Customer,
    FulfilmentBatch,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.disputes import money_is_disputed
from storefront.operations.fulfilment import UNPUBLISHED
from storefront.operations.keys import AnyRow, AnySession

#: Boxes that "stop now" keeps back. What a packer was told to send (exported) goes out.
STOPPABLE = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED)
#: Gateway of money that came another way; nothing goes back through it.
MANUAL = "manual"


def may_stop(box: sa.Table) -> sa.ColumnElement[bool]:
    """True of a box that "stop now" keeps back: not of one that a published file holds.

    Its line stays there, also before the box itself is noted as exported.
    """
    batch = table_of(FulfilmentBatch)
    in_file = sa.exists().where(batch.c.id == box.c.batch_id, batch.c.sha256 != UNPUBLISHED)
    return sa.and_(box.c.state.in_(STOPPABLE), ~in_file)


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """A paid invoice, locked for us on PostgreSQL."""

    invoice: AnyRow
    lines: tuple[BilledLine, ...]
    #: Charges that carry money back, with ``left`` minor units each.
    payments: tuple[AnyRow, ...]
    #: Its amount that was too small to charge, while nobody was asked for it.
    carried: AnyRow | None
    #: Of its lines, in order of keys.
    subscriptions: tuple[AnyRow, ...]
    #: Boxes its lines pay for that can still be kept back.
    boxes: tuple[AnyRow, ...]
    #: Paid invoices of which changes of plan took something over to it, also through others.
    earlier: tuple[RefundFacts, ...] = ()
    #: The customer's bank has the money that paid it: nothing is given back beside that.
    is_disputed: bool = False


def read_refund(session: AnySession, public_id: str, *, for_update: bool = False) -> RefundFacts:
    """Return what ``public_id`` can give back. Raises ``LookupError`` unless it is paid."""
    table = table_of(Invoice)
    facts = _read(session, table.c.public_id == public_id, for_update)
    if facts is None:
        raise LookupError(public_id)
    found: dict[int, RefundFacts] = {}
    waits = [facts]
    while waits:
        for key in _taken_over(session, waits.pop()):
            before = None if key in found else _read(session, table.c.id == key, for_update)
            if before is not None:
                found[key] = before
                waits.append(before)
    return replace(facts, earlier=tuple(found[key] for key in sorted(found, reverse=True)))


def _read(
    session: AnySession, which: sa.ColumnElement[bool], for_update: bool
) -> RefundFacts | None:
    invoice = _invoice(session, which, for_update)
    if invoice is None or invoice.state != InvoiceState.PAID:
        return None
    carried = _carried(session, invoice.id)
    waits = carried is not None and carried.settled_at is None
    return RefundFacts(
        invoice,
        tuple(lines_of_invoice(session, invoice.id)),
        () if waits else tuple(_payments(session, invoice, carried)),
        carried if waits else None,
        tuple(_subscriptions(session, invoice.id)),
        tuple(_boxes(session, invoice.id)),
        is_disputed=_is_disputed(session, invoice.id),
    )


def _is_disputed(session: AnySession, invoice_id: int) -> bool:
    attempt = table_of(ChargeAttempt)
    found = sa.select(attempt.c.id).where(
        attempt.c.invoice_id == invoice_id, attempt.c.settles, money_is_disputed(attempt.c.id)
    )
    return session.scalar(found.limit(1)) is not None


def _taken_over(session: AnySession, facts: RefundFacts) -> list[int]:
    """Return the keys of the invoices that the credits of a change on ``facts`` come from."""
    line = table_of(InvoiceLine)
    keys = [one.corrects for one in facts.lines if one.corrects]
    if not keys:
        return []
    found = sa.select(line.c.invoice_id).where(line.c.id.in_(keys)).distinct()
    return list(session.scalars(found.order_by(line.c.invoice_id)))


def _invoice(session: AnySession, which: sa.ColumnElement[bool], for_update: bool) -> AnyRow | None:
    table, customer = table_of(Invoice), table_of(Customer)
    statement = (
        sa.select(table, customer.c.public_id.label("payer"))
        .join(customer, customer.c.id == table.c.payer_id)
        .where(which)
    )
    if for_update and session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table)
    return session.execute(statement).one_or_none()


def lines_of_invoice(session: AnySession, invoice_id: int) -> list[BilledLine]:
    """Return the lines of an invoice with what went back of each, in their order."""
    line, note = table_of(InvoiceLine), table_of(CreditNoteLine)
    rows = session.execute(
        sa.select(
            line,
            sa.func.coalesce(sa.func.sum(note.c.gross_minor), 0).label("noted"),
            sa.func.coalesce(sa.func.sum(note.c.tax_minor), 0).label("tax_noted"),
        )
        .outerjoin(note, note.c.invoice_line_id == line.c.id)
        .where(line.c.invoice_id == invoice_id)
        .group_by(line.c.id)
        .order_by(line.c.position)
    )
    return [
        BilledLine(
            row.id,
            row.position,
            LineKind(row.kind),
            row.text,
            row.subscription_id,
            row.period_id,
            row.quantity,
            row.gross_minor,
            row.tax_minor,
            row.lowers,
            int(row.noted),
            int(row.tax_noted),
            max(row.credited_minor - int(row.noted), 0) if row.gross_minor > 0 else 0,
            row.corrects_line_id,
            row.addon_id,
        )
        for row in rows
    ]


def _carried(session: AnySession, invoice_id: int) -> AnyRow | None:
    table, attempt = table_of(CarriedAmount), table_of(ChargeAttempt)
    return session.execute(
        sa.select(table, attempt.c.state.label("attempt_state"))
        .outerjoin(attempt, attempt.c.id == table.c.attempt_id)
        .where(table.c.invoice_id == invoice_id)
    ).one_or_none()


def _payments(session: AnySession, invoice: AnyRow, carried: AnyRow | None) -> list[AnyRow]:
    """Return the charges that paid it; what was carried came with a later one."""
    attempt, method = table_of(ChargeAttempt), table_of(PaymentMethod)
    own = sa.and_(attempt.c.invoice_id == invoice.id, attempt.c.settles)
    which = own if carried is None else attempt.c.id == carried.attempt_id
    return list(
        session.execute(
            sa.select(
                attempt.c.id,
                attempt.c.public_id,
                attempt.c.currency,
                (attempt.c.amount_minor - attempt.c.refunded_minor).label("left"),
                method.c.brand,
                method.c.last4,
            )
            .outerjoin(method, method.c.id == attempt.c.payment_method_id)
            .where(
                which,
                attempt.c.state == AttemptState.SUCCEEDED,
                attempt.c.gateway != MANUAL,
                attempt.c.currency == invoice.currency,
                attempt.c.amount_minor > attempt.c.refunded_minor,
                # The customer's bank has that money, or gave it back itself.
                sa.not_(money_is_disputed(attempt.c.id)),
            )
            .order_by(attempt.c.id)
        )
    )


def _subscriptions(session: AnySession, invoice_id: int) -> Sequence[AnyRow]:
    table, line, plan = table_of(Subscription), table_of(InvoiceLine), table_of(Plan)
    other, owed = line.alias(), table_of(Invoice)
    owes = sa.exists().where(
        other.c.subscription_id == table.c.id,
        sa.not_(other.c.is_void),
        owed.c.id == other.c.invoice_id,
        owed.c.state == InvoiceState.OPEN,
    )
    mine = sa.select(line.c.subscription_id).where(line.c.invoice_id == invoice_id)
    return session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.customer_id,
            table.c.version,
            table.c.state,
            table.c.next_on,
            table.c.cancel_on,
            plan.c.name.label("plan"),
            owes.label("owes"),
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .where(table.c.id.in_(mine))
        .order_by(table.c.id)
    ).all()


def _boxes(session: AnySession, invoice_id: int) -> Sequence[AnyRow]:
    box, cycle, line = table_of(Box), table_of(BoxCycle), table_of(InvoiceLine)
    mine = sa.select(line.c.period_id).where(line.c.invoice_id == invoice_id)
    return session.execute(
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.subscription_id,
            box.c.state,
            cycle.c.ship_from,
        )
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.period_id.in_(mine), box.c.kind != BoxKind.EXTRA, may_stop(box))
        .order_by(box.c.id)
    ).all()
