"""Take back what is owed: credit notes on unpaid invoices, many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState, Refusal
from storefront.domain.invoices import CreditReason, InvoiceState, LineKind
from storefront.domain.ledger import (
    CUSTOMER_CREDIT,
    DEFERRED_REVENUE,
    RECEIVABLE,
    REVENUE,
    TAX_PAYABLE,
    JournalKind,
)
from storefront.domain.lifecycle import PeriodState
from storefront.models import (
    Box,
    ChargeAttempt,
    Coupon,
    CreditNote,
    CreditNoteLine,
    DunningCase,
    Invoice,
    InvoiceLine,
    PromotionCode,
    Redemption,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.models.base import public_ids, table_of
from storefront.operations.addons import give_back_addons
from storefront.operations.customer_credit import give_back_applied
from storefront.operations.earning import deferred_of
from storefront.operations.invoices import (
    CREDIT_NOTES,
    content_hash,
    draw_numbers,
    split_by_period,
)
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.uncounted import uncount_periods


@dataclass(frozen=True, slots=True)
class Credited:
    """Which invoices owe nothing any more, and which were left because a charge is on its way."""

    done: tuple[int, ...]
    waiting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is still uncredited of one line; its tax is part of ``gross_minor``."""

    id: int
    invoice_id: int
    kind: str
    period_id: int | None
    gross_minor: int
    tax_minor: int


def credit_invoices(
    session: AnySession,
    invoice_ids: Sequence[int],
    reason: CreditReason,
    moment: Moment,
    *,
    despite_open_attempts: bool = False,
) -> Credited:
    """Credit all that open, unpaid invoices still owe, in the caller's transaction.

    Each gets a credit note and becomes void: its lines and periods are void, its planned
    attempts abandoned, its chase closed, applied customer credit and coupon uses are given
    back once, and the booking is taken back. Invoices in another state are passed over.

    An attempt that was sent has no answer yet. Its invoice is left alone and named in
    ``waiting``, unless ``despite_open_attempts``: then the invoice becomes void, the
    attempt stays open to be answered, and a success is surplus that ``record_results``
    refunds. Statements: a constant number for any count.
    """
    if not invoice_ids:
        return Credited((), ())
    _abandon_planned(session, invoice_ids, moment)
    invoices = _open_invoices(session, invoice_ids)
    busy = _with_open_attempts(session, invoices)
    waiting = () if despite_open_attempts else tuple(sorted(busy))
    chosen = {key: row for key, row in invoices.items() if key not in waiting}
    if not chosen:
        return Credited((), waiting)
    rests = _rests(session, list(chosen))
    notes = _write_notes(session, chosen, rests, reason, moment)
    given_back = give_back_applied(session, list(chosen), moment)
    _void(session, list(chosen), rests)
    _close_chases(session, list(chosen), moment)
    _give_uses_back(session, list(chosen), moment)
    _book(session, chosen, rests, notes, given_back, moment)
    return Credited(tuple(chosen), waiting)


def _abandon_planned(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """Never sent, so nothing waits at the gateway. First, so that no worker sends it now."""
    table = table_of(ChargeAttempt)
    session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(ids), table.c.state == AttemptState.PLANNED)
        .values(
            state=AttemptState.ABANDONED,
            reason=Refusal.NOTHING_DUE.value,
            answered_at=moment.now,
            check_at=None,
        )
    )


def _open_invoices(session: AnySession, ids: Sequence[int]) -> dict[int, AnyRow]:
    table = table_of(Invoice)
    statement = (
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.payer_id,
            table.c.currency,
            table.c.due_minor,
            table.c.snapshot,
            table.c.locale,
        )
        .where(
            table.c.id.in_(ids),
            table.c.state == InvoiceState.OPEN,
            table.c.paid_minor == 0,
        )
        .order_by(table.c.id)
    )
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    return {row.id: row for row in session.execute(statement)}


def _with_open_attempts(session: AnySession, invoices: dict[int, AnyRow]) -> set[int]:
    table = table_of(ChargeAttempt)
    rows = session.execute(
        sa.select(table.c.invoice_id).where(
            table.c.invoice_id.in_(list(invoices)), table.c.state.in_(OPEN_ATTEMPTS)
        )
    )
    return set(rows.scalars())


def _rests(session: AnySession, ids: Sequence[int]) -> dict[int, list[_Rest]]:
    line, credited = table_of(InvoiceLine), table_of(CreditNoteLine)
    before = (
        sa.select(
            credited.c.invoice_line_id,
            sa.func.sum(credited.c.gross_minor).label("gross"),
            sa.func.sum(credited.c.tax_minor).label("tax"),
        )
        .join(line, line.c.id == credited.c.invoice_line_id)
        .where(line.c.invoice_id.in_(ids))
        .group_by(credited.c.invoice_line_id)
        .subquery()
    )
    rows = session.execute(
        sa.select(
            line.c.id,
            line.c.invoice_id,
            line.c.kind,
            line.c.period_id,
            (line.c.gross_minor - sa.func.coalesce(before.c.gross, 0)).label("gross"),
            (line.c.tax_minor - sa.func.coalesce(before.c.tax, 0)).label("tax"),
        )
        .outerjoin(before, before.c.invoice_line_id == line.c.id)
        .where(line.c.invoice_id.in_(ids))
        .order_by(line.c.invoice_id, line.c.position)
    )
    rests: dict[int, list[_Rest]] = defaultdict(list)
    for row in rows:
        rests[row.invoice_id].append(
            _Rest(row.id, row.invoice_id, row.kind, row.period_id, int(row.gross), int(row.tax))
        )
    return rests


def _write_notes(
    session: AnySession,
    invoices: dict[int, AnyRow],
    rests: dict[int, list[_Rest]],
    reason: CreditReason,
    moment: Moment,
) -> dict[int, str]:
    """Insert one credit note per invoice; returns their public ids by invoice."""
    keys = reserve(session, CreditNote, len(invoices))
    publics = public_ids("crn", len(invoices))
    first = draw_numbers(session, CREDIT_NOTES, len(invoices))
    notes, lines = [], []
    for i, (key, public, invoice) in enumerate(zip(keys, publics, invoices.values(), strict=True)):
        own = [one for one in rests[invoice.id] if one.gross_minor]
        said = [[one.id, one.gross_minor, one.tax_minor] for one in own]
        notes.append(
            {
                "id": key,
                "public_id": public,
                "invoice_id": invoice.id,
                "series": CREDIT_NOTES,
                "number": first + i,
                "currency": invoice.currency,
                "total_minor": sum(one.gross_minor for one in own),
                "tax_minor": sum(one.tax_minor for one in own),
                "reason": reason,
                "snapshot": invoice.snapshot,
                "locale": invoice.locale,
                "content_hash": content_hash({"invoice": invoice.public_id, "lines": said}),
                "created_at": moment.now,
            }
        )
        lines += [
            {
                "credit_note_id": key,
                "invoice_line_id": one.id,
                "gross_minor": one.gross_minor,
                "tax_minor": one.tax_minor,
            }
            for one in own
        ]
    session.execute(sa.insert(table_of(CreditNote)), notes)
    session.execute(sa.insert(table_of(CreditNoteLine)), lines)
    return dict(zip(invoices, publics, strict=True))


def _add(session: AnySession, column: sa.Column[Any], amounts: dict[int, int]) -> None:
    """Add each amount to ``column`` of the row with that key."""
    table = column.table
    assert isinstance(table, sa.Table)
    values: dict[Any, Any] = {column: column + sa.bindparam("amount")}
    session.connection().execute(
        sa.update(table).where(table.c.id == sa.bindparam("key")).values(values),
        [{"key": key, "amount": amount} for key, amount in amounts.items()],
    )


def _void(session: AnySession, ids: Sequence[int], rests: dict[int, list[_Rest]]) -> None:
    table, line = table_of(Invoice), table_of(InvoiceLine)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(ids), table.c.state == InvoiceState.OPEN)
        .values(
            credited_minor=table.c.credited_minor + table.c.due_minor,
            due_minor=0,
            state=InvoiceState.VOID,
        )
    )
    # A discount line has nothing to credit: it lowers what the other lines give back.
    session.execute(
        sa.update(line)
        .where(line.c.invoice_id.in_(ids))
        .values(
            is_void=True,
            credited_minor=sa.case(
                (line.c.gross_minor > 0, line.c.gross_minor), else_=line.c.credited_minor
            ),
        )
    )
    periods = {one.period_id for own in rests.values() for one in own if one.period_id}
    if periods:
        period = table_of(SubscriptionPeriod)
        session.execute(
            sa.update(period)
            .where(period.c.id.in_(periods), period.c.state == PeriodState.INVOICED)
            .values(state=PeriodState.VOID)
        )
        box = table_of(Box)
        session.execute(
            sa.update(box)
            .where(
                box.c.period_id.in_(periods),
                box.c.kind == BoxKind.REGULAR,
                box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
                box.c.period_id.in_(
                    sa.select(period.c.id).where(period.c.state == PeriodState.VOID)
                ),
            )
            .values(state=BoxState.CANCELED)
        )
        uncount_periods(session, sorted(periods))
    addons = [one for own in rests.values() for one in own if one.kind == LineKind.ADDON]
    if addons:
        give_back_addons(session, sorted({one.period_id for one in addons if one.period_id}))


def _close_chases(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """End the chase of what is not owed any more."""
    table = table_of(DunningCase)
    session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(ids), table.c.state == "open")
        .values(state="closed", closed_at=moment.now, next_at=None)
    )


def _give_uses_back(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """Give coupon uses of invoices voided before payment back, once."""
    table = table_of(Redemption)
    rows = session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(ids), table.c.given_back_at.is_(None))
        .values(given_back_at=moment.now)
        .returning(
            table.c.subscription_discount_id,
            table.c.coupon_id,
            table.c.promotion_code_id,
            table.c.counts,
        )
    ).all()
    if not rows:
        return
    cycles: dict[int, int] = defaultdict(int)
    uses: dict[int, int] = defaultdict(int)
    codes: dict[int, int] = defaultdict(int)
    for row in rows:
        cycles[row.subscription_discount_id] += 1
        if row.counts:
            uses[row.coupon_id] -= 1
        if row.counts and row.promotion_code_id is not None:
            codes[row.promotion_code_id] -= 1
    # NULL means for ever and stays NULL when one is added.
    _add(session, table_of(SubscriptionDiscount).c.cycles_left, cycles)
    if uses:
        _add(session, table_of(Coupon).c.used, uses)
    if codes:
        _add(session, table_of(PromotionCode).c.used, codes)


def _book(
    session: AnySession,
    invoices: dict[int, AnyRow],
    rests: dict[int, list[_Rest]],
    notes: dict[int, str],
    given_back: dict[int, int],
    moment: Moment,
) -> None:
    periods = [one.period_id for own in rests.values() for one in own if one.period_id]
    held = deferred_of(session, periods) if periods else {}
    journals = []
    for key, invoice in invoices.items():
        transfers = tuple(
            Transfer(account, RECEIVABLE, minor, invoice.currency, invoice.payer_id, key, period)
            for period, deferred, revenue, tax in split_by_period(rests[key])
            # Boxes that went out unpaid have earned their share before.
            for earned in (max(0, deferred - held.get(period or 0, 0)),)
            for account, minor in (
                (DEFERRED_REVENUE, deferred - earned),
                (REVENUE, revenue + earned),
                (TAX_PAYABLE, tax),
            )
        )
        journals.append(Journal(JournalKind.CREDIT_NOTE, notes[key], transfers))
        if given_back.get(key):
            back = Transfer(
                RECEIVABLE,
                CUSTOMER_CREDIT,
                given_back[key],
                invoice.currency,
                invoice.payer_id,
                key,
            )
            journals.append(Journal(JournalKind.REVERSAL, notes[key], (back,)))
    book(session, journals, moment.now)
