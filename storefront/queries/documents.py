"""Invoices and credit notes as documents: drawn from stored rows and their snapshot alone.

Nothing here reads what may change later (plan, customer, settings): the same document comes
out years later. A document says what was owed and how it was paid; what came back
afterwards has documents of its own and stands in ``queries.invoices.history``.
Source: docs/decisions/0075-documents-from-the-snapshot.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.money import Money
from storefront.models import (
    CarriedAmount,
    ChargeAttempt,
    CreditApplication,
    CreditNote,
    CreditNoteLine,
    Customer,
    Invoice,
    InvoiceLine,
    NumberSeries,
    PaymentMethod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow

#: States that have a document; an order that was never paid for is no invoice.
ISSUED = (
    InvoiceState.OPEN,
    InvoiceState.PAID,
    InvoiceState.VOID,
    InvoiceState.UNCOLLECTIBLE,
)


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line. ``unit`` is as printed on the price; net, tax and gross are the line's shares.

    On a credit note they are what it takes back, and below zero.
    """

    kind: LineKind
    text: str
    quantity: int
    unit: Money
    rate: Decimal
    net: Money
    tax: Money
    gross: Money
    #: First and last day covered.
    first: date | None
    last: date | None
    #: Kind and text of the line that a discount lowers.
    lowers: tuple[LineKind, str] | None = None
    #: Key of the subscription it is for.
    subscription_id: int | None = None
    #: Of a credit note that takes only a part of a line back: all of that line, taxed.
    part_of: Money | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came. Without a brand it came by bank; only cards have last digits."""

    amount: Money
    on: date
    brand: str
    last4: str


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice or a credit note, ready to be worded."""

    #: invoice or credit_note.
    kind: str
    public_id: str
    number: str
    state: str
    #: Language it is written in.
    locale: str
    seller: Mapping[str, Any]
    buyer: Mapping[str, Any]
    ship_to: Mapping[str, Any]
    #: The day it was issued, in the seller's zone.
    on: date
    tax_point_on: date
    due_on: date
    #: First and last day supplied.
    period: tuple[date, date] | None
    #: standard, reverse_charge, exempt or export.
    tax_treatment: str
    #: gateway or bank.
    pay_by: str
    lines: tuple[DocumentLine, ...]
    #: Per rate, the highest first: rate in percent, net, tax.
    taxes: tuple[tuple[Decimal, Money, Money], ...]
    net: Money
    tax: Money
    total: Money
    #: Account credit used.
    applied: Money
    #: Taken back by credit notes before it was paid.
    credited: Money
    #: Too small to be charged: asked for with a later invoice.
    carried: Money
    paid: tuple[Payment, ...]
    due: Money
    #: Of a credit note: number and day of its invoice, why, and where the money goes
    #: (open, card, credit, bank).
    invoice_number: str = ""
    invoice_on: date | None = None
    reason: str = ""
    to: str = ""


def document(session: AnySession, ref: str, customer_id: int | None = None) -> Document | None:
    """Return the issued invoice or the credit note ``ref``, or None.

    Only the customer's own when one is given.
    """
    if ref.startswith("crn_"):
        return credit_note(session, ref, customer_id)
    return invoice(session, ref, customer_id)


def payer(session: AnySession, of: Document) -> str:
    """Return the public id of who owes or owed it."""
    table, note, customer = table_of(Invoice), table_of(CreditNote), table_of(Customer)
    statement = sa.select(customer.c.public_id).join(table, table.c.payer_id == customer.c.id)
    if of.kind == "credit_note":
        statement = statement.join(note, note.c.invoice_id == table.c.id)
        statement = statement.where(note.c.public_id == of.public_id)
    else:
        statement = statement.where(table.c.public_id == of.public_id)
    return str(session.execute(statement).scalar_one())


def invoice(session: AnySession, public_id: str, customer_id: int | None = None) -> Document | None:
    """Return the issued invoice, or None; only the customer's own when one is given."""
    table, series = table_of(Invoice), table_of(NumberSeries)
    statement = (
        sa.select(table, series.c.prefix)
        .outerjoin(series, series.c.code == table.c.series)
        .where(table.c.public_id == public_id, table.c.state.in_(ISSUED))
    )
    if customer_id is not None:
        statement = statement.where(table.c.payer_id == customer_id)
    row = session.execute(statement).one_or_none()
    return None if row is None else _invoice(session, row)


def _invoice(session: AnySession, row: AnyRow) -> Document:
    lines = _invoice_lines(session, row)
    zone = _zone(row.snapshot)
    on = _day(row.finalised_at, zone)

    def money(minor: int) -> Money:
        return Money(minor, row.currency)

    return Document(
        kind="invoice",
        public_id=row.public_id,
        number=f"{row.prefix or ''}{row.number}",
        state=InvoiceState(row.state).value,
        locale=row.locale or _seller(row.snapshot).get("locale", ""),
        seller=_seller(row.snapshot),
        buyer=row.snapshot.get("buyer", {}),
        ship_to=row.snapshot.get("ship_to", {}),
        on=on,
        tax_point_on=row.tax_point_on,
        due_on=row.due_on,
        period=_period(lines),
        tax_treatment=row.tax_treatment,
        pay_by=row.pay_by,
        lines=lines,
        taxes=_taxes(lines, row.currency),
        net=money(row.total_minor - row.tax_minor),
        tax=money(row.tax_minor),
        total=money(row.total_minor),
        applied=money(_applied(session, row.id)),
        credited=money(_credited_unpaid(session, row.id)),
        carried=money(_carried(session, row.id)),
        paid=_payments(session, row.id, row.currency, zone),
        due=money(row.due_minor),
    )


def _invoice_lines(session: AnySession, row: AnyRow) -> tuple[DocumentLine, ...]:
    line = table_of(InvoiceLine)
    rows = session.execute(
        sa.select(line).where(line.c.invoice_id == row.id).order_by(line.c.position)
    ).all()
    named = {one.position: (LineKind(one.kind), one.text) for one in rows}
    return tuple(
        _line(one, row.currency, one.gross_minor, one.tax_minor, named.get(one.lowers))
        for one in rows
    )


def _line(
    row: AnyRow, currency: str, gross: int, tax: int, lowers: tuple[LineKind, str] | None
) -> DocumentLine:
    return DocumentLine(
        LineKind(row.kind),
        row.text,
        row.quantity,
        Money(row.unit_minor, currency),
        Decimal(row.tax_rate_bp) / 100,
        Money(gross - tax, currency),
        Money(tax, currency),
        Money(gross, currency),
        row.service_from,
        row.service_to - timedelta(days=1) if row.service_to else None,
        lowers,
        row.subscription_id,
    )


def credit_note(
    session: AnySession, public_id: str, customer_id: int | None = None
) -> Document | None:
    """Return the credit note, or None; only the customer's own when one is given."""
    note, table = table_of(CreditNote), table_of(Invoice)
    series = table_of(NumberSeries)
    of_invoice = series.alias()
    statement = (
        sa.select(
            note,
            series.c.prefix,
            table.c.number.label("invoice_number"),
            of_invoice.c.prefix.label("invoice_prefix"),
            table.c.finalised_at,
            table.c.snapshot.label("invoice_snapshot"),
            table.c.locale.label("invoice_locale"),
            table.c.tax_treatment,
            table.c.pay_by,
            table.c.tax_point_on,
        )
        .join(table, table.c.id == note.c.invoice_id)
        .outerjoin(series, series.c.code == note.c.series)
        .outerjoin(of_invoice, of_invoice.c.code == table.c.series)
        .where(note.c.public_id == public_id)
    )
    if customer_id is not None:
        statement = statement.where(table.c.payer_id == customer_id)
    row = session.execute(statement).one_or_none()
    return None if row is None else _credit_note(session, row)


def _credit_note(session: AnySession, row: AnyRow) -> Document:
    lines = _credited_lines(session, row)
    snapshot = row.snapshot or row.invoice_snapshot
    zone = _zone(snapshot)
    on = _day(row.created_at, zone)
    nothing = Money(0, row.currency)
    return Document(
        kind="credit_note",
        public_id=row.public_id,
        number=f"{row.prefix or ''}{row.number}",
        state="",
        locale=row.locale or row.invoice_locale or _seller(snapshot).get("locale", ""),
        seller=_seller(snapshot),
        buyer=snapshot.get("buyer", {}),
        ship_to=snapshot.get("ship_to", {}),
        on=on,
        tax_point_on=row.tax_point_on,
        due_on=on,
        period=_period(lines),
        tax_treatment=row.tax_treatment,
        pay_by=row.pay_by,
        lines=lines,
        taxes=_taxes(lines, row.currency),
        net=Money(row.tax_minor - row.total_minor, row.currency),
        tax=Money(-row.tax_minor, row.currency),
        total=Money(-row.total_minor, row.currency),
        applied=nothing,
        credited=nothing,
        carried=nothing,
        paid=(),
        due=nothing,
        invoice_number=f"{row.invoice_prefix or ''}{row.invoice_number}",
        invoice_on=_day(row.finalised_at, zone),
        reason=str(row.reason.value),
        to=row.to,
    )


def _credited_lines(session: AnySession, row: AnyRow) -> tuple[DocumentLine, ...]:
    line, taken = table_of(InvoiceLine), table_of(CreditNoteLine)
    lowered = line.alias()
    rows = session.execute(
        sa.select(
            line,
            taken.c.gross_minor.label("back"),
            taken.c.tax_minor.label("tax_back"),
            lowered.c.kind.label("lowered_kind"),
            lowered.c.text.label("lowered_text"),
        )
        .join(line, line.c.id == taken.c.invoice_line_id)
        .outerjoin(
            lowered,
            sa.and_(lowered.c.invoice_id == line.c.invoice_id, lowered.c.position == line.c.lowers),
        )
        .where(taken.c.credit_note_id == row.id)
        .order_by(line.c.position)
    )
    return tuple(
        replace(
            _line(
                one,
                row.currency,
                -one.back,
                -one.tax_back,
                (LineKind(one.lowered_kind), one.lowered_text) if one.lowered_kind else None,
            ),
            part_of=Money(one.gross_minor, row.currency) if one.back != one.gross_minor else None,
        )
        for one in rows
    )


def issued_between(session: AnySession, since: datetime, until: datetime) -> list[str]:
    """Return the public ids of what was issued from ``since`` to before ``until``, aware.

    Invoices first, each kind in the order of its numbers.
    """
    table, note = table_of(Invoice), table_of(CreditNote)
    invoices = session.execute(
        sa.select(table.c.public_id)
        .where(
            table.c.finalised_at >= since,
            table.c.finalised_at < until,
            table.c.state.in_(ISSUED),
        )
        .order_by(table.c.series, table.c.number)
    ).scalars()
    notes = session.execute(
        sa.select(note.c.public_id)
        .where(note.c.created_at >= since, note.c.created_at < until)
        .order_by(note.c.series, note.c.number)
    ).scalars()
    return [*invoices, *notes]


def _payments(
    session: AnySession, invoice_id: int, currency: str, zone: ZoneInfo | None
) -> tuple[Payment, ...]:
    """Return what paid the invoice itself; other successes went back in full."""
    attempt, method = table_of(ChargeAttempt), table_of(PaymentMethod)
    rows = session.execute(
        sa.select(
            (attempt.c.amount_minor - attempt.c.carried_minor).label("minor"),
            attempt.c.answered_at,
            method.c.brand,
            method.c.last4,
        )
        .outerjoin(method, method.c.id == attempt.c.payment_method_id)
        .where(
            attempt.c.invoice_id == invoice_id,
            attempt.c.state == AttemptState.SUCCEEDED,
            attempt.c.settles,
        )
        .order_by(attempt.c.number)
    )
    return tuple(
        Payment(
            Money(row.minor, currency),
            _day(row.answered_at, zone),
            row.brand or "",
            row.last4 or "",
        )
        for row in rows
    )


def _credited_unpaid(session: AnySession, invoice_id: int) -> int:
    """Return what credit notes took off before it was paid: those that sent nothing back."""
    note = table_of(CreditNote)
    total = sa.select(sa.func.coalesce(sa.func.sum(note.c.total_minor), 0)).where(
        note.c.invoice_id == invoice_id, note.c.to == "open"
    )
    return int(session.execute(total).scalar_one())


def _applied(session: AnySession, invoice_id: int) -> int:
    """Return the credit that paid it; a refund later on does not change the document."""
    table = table_of(CreditApplication)
    total = sa.select(sa.func.coalesce(sa.func.sum(table.c.amount_minor), 0)).where(
        table.c.invoice_id == invoice_id, table.c.given_back_at.is_(None)
    )
    return int(session.execute(total).scalar_one())


def _carried(session: AnySession, invoice_id: int) -> int:
    table = table_of(CarriedAmount)
    found = sa.select(table.c.amount_minor).where(table.c.invoice_id == invoice_id)
    return int(session.execute(found).scalar_one_or_none() or 0)


def _taxes(
    lines: Iterable[DocumentLine], currency: str
) -> tuple[tuple[Decimal, Money, Money], ...]:
    sums: dict[Decimal, list[int]] = {}
    for line in lines:
        net_tax = sums.setdefault(line.rate, [0, 0])
        net_tax[0] += line.net.minor
        net_tax[1] += line.tax.minor
    return tuple(
        (rate, Money(net, currency), Money(tax, currency))
        for rate, (net, tax) in sorted(sums.items(), reverse=True)
    )


def _period(lines: Sequence[DocumentLine]) -> tuple[date, date] | None:
    first = [line.first for line in lines if line.first]
    last = [line.last for line in lines if line.last]
    return (min(first), max(last)) if first and last else None


def _seller(snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = snapshot.get("seller", {})
    return found


def _zone(snapshot: Mapping[str, Any]) -> ZoneInfo | None:
    name = _seller(snapshot).get("zone")
    return ZoneInfo(name) if name else None


def _day(at: datetime, zone: ZoneInfo | None) -> date:
    """Return the day of an instant where the seller is; in UTC when that was not kept."""
    return at.astimezone(zone or UTC).date()
