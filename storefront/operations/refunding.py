"""Give money of a paid invoice back: one credit note, its bookings, and the way it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason
from storefront.domain.ledger import (
    BANK,
    CARRIED_BALANCE,
    DEFERRED_REVENUE,
    REFUNDS_DUE,
    REVENUE,
    TAX_PAYABLE,
    JournalKind,
)
from storefront.domain.money import Money
from storefront.domain.refunds import RefundTooHigh, Taken, Way, per_period, spread, unbook
from storefront.domain.repaying import Part, Source
from storefront.models import (
    CarriedAmount,
    ChargeAttempt,
    CreditMove,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
    Refund,
)
from storefront.models.base import public_id, table_of
from storefront.operations.customer_credit import grant_credit
from storefront.operations.earning import deferred_of
from storefront.operations.invoices import CREDIT_NOTES, content_hash, draw_numbers
from storefront.operations.keys import AnySession, reserve
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.references import new_references
from storefront.operations.refund_facts import RefundFacts


@dataclass(frozen=True, slots=True)
class Back:
    """What goes back of one invoice: parts of lines, which way, and why."""

    taken: tuple[Taken, ...]
    way: Way
    reason: CreditReason
    #: (line, minor units) that a later change took over and gives up first.
    released: tuple[tuple[int, int], ...] = ()
    #: What stays deferred of a period, in minor units, where that is known.
    kept: Mapping[int, int] = field(default_factory=dict)
    #: The one box it is given back for, where that is known.
    box_id: int | None = None

    @property
    def total_minor(self) -> int:
        return sum(one.gross for one in self.taken)


def carries(facts: RefundFacts, way: Way) -> int:
    """Return the most that goes back of one invoice that ``way``, in minor units."""
    invoice = facts.invoice
    if way is Way.CREDIT:
        return int(invoice.paid_minor + invoice.applied_minor)
    if facts.carried is not None or way is Way.OPEN:
        return int(facts.carried.amount_minor) if facts.carried and way is Way.OPEN else 0
    if way is Way.CARD:
        return min(sum(int(row.left) for row in facts.payments), int(invoice.paid_minor))
    return int(invoice.paid_minor)


def sources_of(facts: RefundFacts, way: Way) -> list[Source]:
    """Return the invoice and the earlier ones that its refund may draw on that ``way``.

    What nobody was asked for yet is no longer asked for; that reaches no earlier invoice.
    """
    earlier = () if way is Way.OPEN else facts.earlier
    return [Source(one.invoice.id, one.lines, carries(one, way)) for one in (facts, *earlier)]


def give_parts_back(
    session: AnySession,
    facts: RefundFacts,
    parts: Sequence[Part],
    way: Way,
    reason: CreditReason,
    moment: Moment,
    box_id: int | None = None,
) -> list[str]:
    """Write a credit note for each of ``parts``; returns their public ids, the first one first.

    They name the box ``box_id``, if it is for one alone.
    What is deferred of periods that the refunded invoice does not pay for stays as it is.
    Raises as ``give_back``.
    """
    by_id = {one.invoice.id: one for one in (facts, *facts.earlier)}
    lines = {line.id: line for one in by_id.values() for line in one.lines}
    own = {lines[one.line_id].period_id for one in parts[0].taken if one.gross > 0}
    touched = {lines[one.line_id].period_id for part in parts for one in part.taken}
    others = [period for period in touched - own if period is not None]
    held = deferred_of(session, others)
    kept = {period: held.get(period, 0) for period in others}
    notes = []
    for part in parts:
        back = Back(part.taken, way, reason, part.released, kept, box_id)
        notes.append(give_back(session, by_id[part.invoice], back, moment))
    return notes


def give_back(session: AnySession, facts: RefundFacts, back: Back, moment: Moment) -> str:
    """Write and book the credit note in the caller's transaction; returns its public id.

    Credit note, refunds and credit carry the same amount. ``card`` plans refunds of the
    payments behind the invoice, which ``services.refunds`` sends; ``credit`` pays the next
    invoices; ``bank`` is money somebody sends by hand; ``open`` gives up what was carried.
    Raises ``RefundTooHigh`` when a payment or a line gave money back meanwhile.
    """
    invoice = facts.invoice
    key, public = reserve(session, CreditNote, 1)[0], public_id("crn")
    write_note(session, facts, back, key, public, moment)
    _release_lines(session, back.released)
    lower_lines(session, back.taken)
    _lower_invoice(session, invoice.id, back.total_minor)
    to = CARRIED_BALANCE if back.way is Way.OPEN else REFUNDS_DUE
    book_note(session, facts, back, public, to, moment)
    if not back.total_minor:
        # An invoice of a change that was paid with earlier ones alone: they give it back.
        return public
    if back.way is Way.CARD:
        _plan_refunds(session, facts, back.total_minor, key, moment)
    elif back.way is Way.CREDIT:
        _to_credit(session, facts, back, key, moment)
    elif back.way is Way.BANK:
        sent = Transfer(
            REFUNDS_DUE, BANK, back.total_minor, invoice.currency, invoice.payer_id, invoice.id
        )
        book(session, [Journal(JournalKind.REFUND_DONE, public, (sent,))], moment.now)
    else:
        _give_up_carried(session, facts, back.total_minor, moment)
    return public


def write_note(
    session: AnySession, facts: RefundFacts, back: Back, key: int, public: str, moment: Moment
) -> None:
    """Insert the credit note of ``back`` with its lines, as key ``key``."""
    invoice = facts.invoice
    said = [[one.line_id, one.gross, one.tax] for one in back.taken]
    session.execute(
        sa.insert(table_of(CreditNote)).values(
            id=key,
            public_id=public,
            invoice_id=invoice.id,
            series=CREDIT_NOTES,
            number=draw_numbers(session, CREDIT_NOTES, 1),
            currency=invoice.currency,
            total_minor=back.total_minor,
            tax_minor=sum(one.tax for one in back.taken),
            reason=back.reason,
            to=back.way.value,
            snapshot=invoice.snapshot,
            locale=invoice.locale,
            content_hash=content_hash({"invoice": invoice.public_id, "lines": said}),
            created_at=moment.now,
            box_id=back.box_id,
        )
    )
    session.execute(
        sa.insert(table_of(CreditNoteLine)),
        [
            {
                "credit_note_id": key,
                "invoice_line_id": one.line_id,
                "gross_minor": one.gross,
                "tax_minor": one.tax,
            }
            for one in back.taken
        ],
    )


def lower_lines(session: AnySession, taken: Sequence[Taken]) -> None:
    """Count what went back on the lines; a discount only lowers what the others give back."""
    line = table_of(InvoiceLine)
    for one in taken:
        if one.gross <= 0:
            continue
        found = session.execute(
            sa.update(line)
            .where(
                line.c.id == one.line_id, line.c.credited_minor + one.gross <= line.c.gross_minor
            )
            .values(credited_minor=line.c.credited_minor + one.gross)
            .returning(line.c.id)
        ).all()
        if not found:
            raise RefundTooHigh(line=one.line_id)


def _release_lines(session: AnySession, released: Sequence[tuple[int, int]]) -> None:
    """What a later change took over is the line's own again, to go back from there."""
    line = table_of(InvoiceLine)
    for key, minor in released:
        found = session.execute(
            sa.update(line)
            .where(line.c.id == key, line.c.credited_minor >= minor)
            .values(credited_minor=line.c.credited_minor - minor)
            .returning(line.c.id)
        ).all()
        if not found:
            raise RefundTooHigh(line=key)


def _lower_invoice(session: AnySession, invoice_id: int, minor: int) -> None:
    """What came as money goes back first, then what credit paid."""
    table = table_of(Invoice)
    money = sa.case((table.c.paid_minor < minor, table.c.paid_minor), else_=minor)
    found = session.execute(
        sa.update(table)
        .where(table.c.id == invoice_id, table.c.paid_minor + table.c.applied_minor >= minor)
        .values(
            credited_minor=table.c.credited_minor + minor,
            paid_minor=table.c.paid_minor - money,
            applied_minor=table.c.applied_minor - (minor - money),
        )
        .returning(table.c.id)
    ).all()
    if not found:
        raise RefundTooHigh(invoice=invoice_id)


def book_note(
    session: AnySession, facts: RefundFacts, back: Back, public: str, to: str, moment: Moment
) -> None:
    """Book a credit note: from deferred revenue, revenue and tax to the account ``to``."""
    invoice = facts.invoice
    periods = {one.id: one.period_id for one in facts.lines}
    sums = per_period(back.taken, periods)
    deferred = deferred_of(session, [period for period in sums if period is not None])
    transfers: list[Transfer] = []
    for period, (net, tax) in sums.items():
        there = deferred.get(period, 0) if period is not None else 0
        if period is not None and period in back.kept and net > 0:
            # An invoice before this one put it there: cents of rounding are revenue.
            first, rest = there - back.kept[period], net - there + back.kept[period]
        else:
            first, rest = unbook(net, there)
        transfers += [
            Transfer(account, to, minor, invoice.currency, invoice.payer_id, invoice.id, period)
            for account, minor in ((DEFERRED_REVENUE, first), (REVENUE, rest), (TAX_PAYABLE, tax))
        ]
    book(session, [Journal(JournalKind.CREDIT_NOTE, public, tuple(transfers))], moment.now)


def _plan_refunds(
    session: AnySession, facts: RefundFacts, minor: int, note: int, moment: Moment
) -> None:
    parts = spread(minor, [row.left for row in facts.payments])
    attempt = table_of(ChargeAttempt)
    rows = [(row, part) for row, part in zip(facts.payments, parts, strict=True) if part]
    for row, part in rows:
        found = session.execute(
            sa.update(attempt)
            .where(
                attempt.c.id == row.id, attempt.c.refunded_minor + part <= attempt.c.amount_minor
            )
            .values(refunded_minor=attempt.c.refunded_minor + part)
            .returning(attempt.c.id)
        ).all()
        if not found:
            raise RefundTooHigh(payment=row.public_id)
    publics = new_references(session, "ref", len(rows), moment.now)
    session.execute(
        sa.insert(table_of(Refund)),
        [
            {
                "public_id": public,
                "attempt_id": row.id,
                "credit_note_id": note,
                "amount_minor": part,
                "currency": row.currency,
                "reason": "refund",
                "state": AttemptState.PLANNED,
                "gateway_reference": "",
                "created_at": moment.now,
            }
            for public, (row, part) in zip(publics, rows, strict=True)
        ],
    )


def _to_credit(
    session: AnySession, facts: RefundFacts, back: Back, note: int, moment: Moment
) -> None:
    invoice, move = facts.invoice, table_of(CreditMove)
    amount = Money(back.total_minor, invoice.currency)
    origin = "change" if back.reason is CreditReason.CHANGE else "refund"
    key = grant_credit(session, invoice.payer_id, amount, origin, "", moment, account=REFUNDS_DUE)
    session.execute(sa.update(move).where(move.c.id == key).values(credit_note_id=note))


def _give_up_carried(session: AnySession, facts: RefundFacts, minor: int, moment: Moment) -> None:
    """What was too small to charge is not asked for any more; all of it or nothing."""
    table = table_of(CarriedAmount)
    found = session.execute(
        sa.update(table)
        .where(
            table.c.invoice_id == facts.invoice.id,
            table.c.amount_minor == minor,
            table.c.settled_at.is_(None),
        )
        .values(settled_at=moment.now, attempt_id=None)
        .returning(table.c.id)
    ).all()
    if not found:
        raise RefundTooHigh(invoice=facts.invoice.public_id)
