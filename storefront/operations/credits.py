"""Take back what is owed: credit notes on unpaid invoices, many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState, Refusal
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.ledger import (
    CUSTOMER_CREDIT,
    DEFERRED_REVENUE,
    RECEIVABLE,
    REVENUE,
    TAX_PAYABLE,
    JournalKind,
)
from storefront.models import (
    ChargeAttempt,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
)
from storefront.models.base import public_ids, table_of
from storefront.operations.carrying import Minimums, plan_or_carry
from storefront.operations.charging import AttemptDraft
from storefront.operations.customer_credit import give_back_applied
from storefront.operations.earning import deferred_of
from storefront.operations.given_up import close_chases, give_up_lines, give_uses_back
from storefront.operations.invoices import (
    CREDIT_NOTES,
    content_hash,
    draw_numbers,
    split_by_period,
)
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.settling import Settlement, settle_invoices


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
    subscription_id: int | None
    kind: str
    period_id: int | None
    is_void: bool
    gross_minor: int
    tax_minor: int


def credit_invoices(
    session: AnySession,
    invoice_ids: Sequence[int],
    reason: CreditReason,
    moment: Moment,
    *,
    of: int | None = None,
    despite_open_attempts: bool = False,
    minimums: Minimums = MappingProxyType({}),
) -> Credited:
    """Credit all that open, unpaid invoices still owe, in the caller's transaction.

    With ``of`` only what they owe for that subscription: where there are others on the
    invoice it stays open for the rest, to the cent, and the next attempt asks for that: a
    rest of nothing is paid, one under the gateway's of ``minimums`` is carried.

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
    abandoned = abandon_planned(session, invoice_ids, moment)
    invoices = _open_invoices(session, invoice_ids)
    busy = _with_open_attempts(session, invoices)
    waiting = () if despite_open_attempts else tuple(sorted(busy))
    chosen = {key: row for key, row in invoices.items() if key not in waiting}
    if not chosen:
        return Credited((), waiting)
    rests = _rests(session, list(chosen))
    staying = {key for key, own in rests.items() if _has_others(own, of)}
    whole = [key for key in chosen if key not in staying]
    for key in staying:
        rests[key] = [one for one in rests[key] if one.subscription_id == of]
    notes = _write_notes(session, chosen, rests, reason, moment)
    given_back = give_back_applied(session, [*whole, *_overpaid(chosen, rests, staying)], moment)
    _void(session, whole)
    _lower(session, {key: _sum(rests[key]) for key in sorted(staying)})
    give_up_lines(session, [one for own in rests.values() for one in own])
    close_chases(session, whole, moment)
    give_uses_back(session, whole, moment)
    give_uses_back(session, sorted(staying), moment, of)
    _book(session, chosen, rests, notes, given_back, moment)
    _settle_free(session, sorted(staying), moment)
    asked = {row.invoice_id: row for row in abandoned if row.invoice_id in staying}
    _ask_for_rest(session, asked, minimums, moment)
    return Credited(tuple(chosen), waiting)


def _has_others(lines: Sequence[_Rest], subscription_id: int | None) -> bool:
    """Return whether another subscription still waits for this invoice, be its rest 0.00."""
    return subscription_id is not None and any(
        one.gross_minor or (one.period_id and not one.is_void)
        for one in lines
        if one.subscription_id != subscription_id
    )


def _sum(lines: Sequence[_Rest]) -> int:
    return sum(one.gross_minor for one in lines)


def _overpaid(
    invoices: dict[int, AnyRow], rests: dict[int, list[_Rest]], staying: set[int]
) -> list[int]:
    """Return the invoices that stay and would owe less than nothing with the credit they hold.

    It goes back to its owner, who pays the rest or uses it again.
    """
    return [key for key in sorted(staying) if _sum(rests[key]) > invoices[key].due_minor]


def abandon_planned(session: AnySession, ids: Sequence[int], moment: Moment) -> list[AnyRow]:
    """Never sent, so nothing waits at the gateway. First, so that no worker sends it now."""
    table = table_of(ChargeAttempt)
    rows = session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(ids), table.c.state == AttemptState.PLANNED)
        .values(
            state=AttemptState.ABANDONED,
            reason=Refusal.NOTHING_DUE.value,
            answered_at=moment.now,
            check_at=None,
        )
        .returning(*table.c)
    )
    return list(rows)


def _settle_free(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """Let those go on who stay on an invoice that owes nothing after somebody left it."""
    table = table_of(Invoice)
    free = sa.select(table.c.id).where(
        table.c.id.in_(ids), table.c.state == InvoiceState.OPEN, table.c.due_minor == 0
    )
    settle_invoices(session, [Settlement(key, 0) for key in session.scalars(free)], moment)


def _ask_for_rest(
    session: AnySession, abandoned: Mapping[int, AnyRow], minimums: Minimums, moment: Moment
) -> None:
    """Plan anew what was planned before somebody left the invoice, over what it owes now."""
    if not abandoned:
        return
    table = table_of(Invoice)
    owing = session.execute(
        sa.select(table.c.id, table.c.payer_id, table.c.due_minor)
        .where(table.c.id.in_(list(abandoned)), table.c.due_minor > 0)
        .order_by(table.c.id)
    ).all()
    drafts = []
    for invoice in owing:
        row = abandoned[invoice.id]
        draft = AttemptDraft(
            invoice_id=invoice.id,
            number=row.number + 1,
            gateway=row.gateway,
            account=row.account,
            payment_method_id=row.payment_method_id,
            fingerprint=row.fingerprint,
            amount_minor=invoice.due_minor,
            currency=row.currency,
        )
        drafts.append((invoice.payer_id, draft))
    plan_or_carry(session, drafts, minimums, moment)


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
            line.c.subscription_id,
            line.c.kind,
            line.c.period_id,
            line.c.is_void,
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
            _Rest(
                row.id,
                row.invoice_id,
                row.subscription_id,
                row.kind,
                row.period_id,
                row.is_void,
                int(row.gross),
                int(row.tax),
            )
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


def _void(session: AnySession, ids: Sequence[int]) -> None:
    table = table_of(Invoice)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(ids), table.c.state == InvoiceState.OPEN)
        .values(
            credited_minor=table.c.credited_minor + table.c.due_minor,
            due_minor=0,
            state=InvoiceState.VOID,
        )
    )


def _lower(session: AnySession, parts: dict[int, int]) -> None:
    """Credit parts of invoices that stay open for the rest."""
    table = table_of(Invoice)
    for key, minor in parts.items():
        session.execute(
            sa.update(table)
            .where(table.c.id == key, table.c.state == InvoiceState.OPEN)
            .values(
                credited_minor=table.c.credited_minor + minor, due_minor=table.c.due_minor - minor
            )
        )


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
