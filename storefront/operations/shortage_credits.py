"""What goes back for an add-on that had run out: exactly what was paid for the missing pieces.

Source: docs/decisions/0183-when-a-product-is-short.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sqlalchemy as sa

from storefront.domain.invoices import CreditReason, LineKind
from storefront.domain.money import split_minor
from storefront.domain.refunds import Refundable, Way, refundables
from storefront.domain.repaying import draw, most_of
from storefront.models import BoxAddition, BoxAdditionBox, CreditNote, CreditNoteLine, Invoice
from storefront.models.base import table_of
from storefront.operations.addon_lines import lines_for
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of


@dataclass(frozen=True, slots=True)
class Credit:
    """What the payer of a box gets back for what it lacks; ``note`` 0: nothing was paid."""

    minor: int = 0
    note: int = 0
    #: Public ids, and whose money it is.
    note_ref: str = ""
    invoice_ref: str = ""
    payer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Owed:
    """Minor units by line of a paid invoice, for pieces that are not in the box."""

    facts: RefundFacts
    parts: Mapping[int, int]

    @property
    def minor(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class _Missing:
    """Pieces that are ``missing`` of those that a line brought into the box."""

    line: Refundable
    missing: int
    brought: int


#: Lines of one paid invoice that paid for what is missing.
_Found = tuple[RefundFacts, list[_Missing]]


def owed_for(
    session: AnySession, row: AnyRow, variant_id: int, pieces: int, lying: int
) -> Owed | None:
    """Return what was paid for ``pieces`` of ``lying`` of an add-on in a box; writes nothing.

    With its tax and its share of the discounts, and never more than is left. None where no
    lines of one invoice say so, it is not paid, or that cannot be credited now: then somebody
    has to decide, so the box waits.
    """
    brought = _additions_of(session, row.id, variant_id)
    if brought:
        found = _bought_apart(session, brought, pieces)
    else:
        found = _with_the_period(session, row, variant_id, pieces, lying)
    if found is None:
        return None
    facts, missing = found
    if facts.is_disputed or any(one.missing > one.line.head.quantity for one in missing):
        return None
    given = _given_for(session, row.id, [one.line for one in missing])
    parts = {one.line.head.id: _rest(one, given[one.line.head.id]) for one in missing}
    owed = Owed(facts, {key: minor for key, minor in parts.items() if minor})
    return None if most_of(sources_of(facts, Way.CREDIT)[:1]) < owed.minor else owed


def give_owed(session: AnySession, owed: Owed, box_id: int, moment: Moment) -> Credit:
    """Credit it for the box to who paid, by a credit note; nothing where it cost nothing."""
    if not owed.minor:
        return Credit()
    facts = owed.facts
    parts = draw(sources_of(facts, Way.CREDIT)[:1], owed.parts)
    reason = CreditReason.REFUND
    ref = give_parts_back(session, facts, parts, Way.CREDIT, reason, moment, box_id)[0]
    return credit_of_note(session, facts, ref, owed.minor)


def credit_of_note(session: AnySession, facts: RefundFacts, ref: str, minor: int) -> Credit:
    """Return the credit that the note ``ref`` gave."""
    note, invoice = table_of(CreditNote), facts.invoice
    key = session.execute(sa.select(note.c.id).where(note.c.public_id == ref)).scalar_one()
    return Credit(minor, key, ref, invoice.public_id, invoice.payer_id)


def _additions_of(session: AnySession, box_id: int, variant_id: int) -> Sequence[AnyRow]:
    """Return what brought pieces of a variant into the box, bought apart; the newest first."""
    table, part, invoice = table_of(BoxAddition), table_of(BoxAdditionBox), table_of(Invoice)
    return session.execute(
        sa.select(invoice.c.public_id, table.c.quantity)
        .join(table, table.c.invoice_id == invoice.c.id)
        .join(part, part.c.addition_id == table.c.id)
        .where(
            part.c.box_id == box_id,
            part.c.returned_at.is_(None),
            table.c.variant_id == variant_id,
            table.c.state == "applied",
        )
        .order_by(table.c.id.desc(), part.c.id)
    ).all()


def _bought_apart(session: AnySession, brought: Sequence[AnyRow], pieces: int) -> _Found | None:
    """Return the line of the newest addition that brought so many pieces alone.

    None where only several together did, or some came with the period: two payments at two
    prices, perhaps by two people.
    """
    newest = next((one for one in brought if one.quantity >= pieces), None)
    if newest is None:
        return None
    facts = read_refund(session, newest.public_id, for_update=True)
    lines = [one for one in refundables(facts.lines) if one.head.kind is LineKind.ADDON]
    if len(lines) != 1:
        return None
    # A change of plan may have moved its pieces for another box into this one.
    alike = sum(one.quantity for one in brought if one.public_id == newest.public_id)
    return facts, [_Missing(lines[0], pieces, alike)]


def _with_the_period(
    session: AnySession, row: AnyRow, variant_id: int, pieces: int, lying: int
) -> _Found | None:
    """Return the lines that paid for the pieces with a period; the dearest are missing first."""
    found = lines_for(session, row, variant_id, lying)
    found.sort(key=lambda one: (-Fraction(one[0].paid_minor, one[0].quantity), one[0].id))
    wanted: dict[int, int] = {}
    there = {line.id: number for line, number in found}
    refs = set()
    for line, number in found:
        taken = min(number, pieces - sum(wanted.values()))
        if taken:
            wanted[line.id] = taken
            refs.add(line.invoice)
    if sum(wanted.values()) < pieces or len(refs) != 1:
        return None
    facts = read_refund(session, refs.pop(), for_update=True)
    own = {one.head.id: one for one in refundables(facts.lines)}
    if not wanted.keys() <= own.keys():
        return None
    return facts, [_Missing(own[key], number, there[key]) for key, number in wanted.items()]


def _rest(one: _Missing, given: int) -> int:
    """Return what the missing pieces cost, as far as that is left of all it brought to the box."""
    share = sum(split_minor(one.line.paid, [1] * one.line.head.quantity)[: one.brought])
    return max(min(one.line.of_pieces(one.missing), share - given), 0)


def _given_for(session: AnySession, box_id: int, lines: Sequence[Refundable]) -> Counter[int]:
    """Return what went back for the box on each line, with its discounts, by head line."""
    note, part = table_of(CreditNote), table_of(CreditNoteLine)
    heads = {member.id: one.head.id for one in lines for member in one.members}
    found: Counter[int] = Counter()
    for key, minor in session.execute(
        sa.select(part.c.invoice_line_id, part.c.gross_minor)
        .join(note, note.c.id == part.c.credit_note_id)
        .where(note.c.box_id == box_id, part.c.invoice_line_id.in_(list(heads)))
    ):
        found[heads[key]] += minor
    return found
