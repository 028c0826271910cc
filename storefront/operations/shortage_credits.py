"""What goes back for an add-on that had run out: exactly what was paid for the missing pieces.

Source: docs/decisions/0183-when-a-product-is-short.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.invoices import CreditReason, LineKind
from storefront.domain.refunds import Refundable, Way, refundables
from storefront.domain.repaying import draw, most_of
from storefront.models import Addon, BoxAddition, BoxAdditionBox, CreditNote, Invoice, InvoiceLine
from storefront.models.base import table_of
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
    """``minor`` of one line of a paid invoice, for pieces that are not in the box."""

    facts: RefundFacts
    line_id: int
    minor: int


def owed_for(session: AnySession, row: AnyRow, variant_id: int, pieces: int) -> Owed | None:
    """Return what was paid for ``pieces`` of an add-on in the box ``row``; writes nothing.

    With its tax and its share of the discounts. None where no one line says so, it is not
    paid, or that cannot be credited now: then somebody has to decide, so the box waits.
    """
    brought = _additions_of(session, row.id, variant_id)
    if brought:
        found = _bought_apart(session, brought, pieces)
    else:
        found = _of_the_period(session, row, variant_id)
    if found is None:
        return None
    facts, line = found
    if facts.is_disputed or pieces > line.head.quantity:
        return None
    minor = line.of_pieces(pieces)
    whole = line.left if pieces == line.head.quantity else minor
    own = sources_of(facts, Way.CREDIT)[:1]
    if most_of(own) < minor or line.left < whole:
        return None
    return Owed(facts, line.head.id, minor)


def give_owed(session: AnySession, owed: Owed, moment: Moment) -> Credit:
    """Credit it to who paid, by a credit note; nothing where it cost nothing."""
    if not owed.minor:
        return Credit()
    facts = owed.facts
    parts = draw(sources_of(facts, Way.CREDIT)[:1], {owed.line_id: owed.minor})
    ref = give_parts_back(session, facts, parts, Way.CREDIT, CreditReason.REFUND, moment)[0]
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


def _bought_apart(
    session: AnySession, brought: Sequence[AnyRow], pieces: int
) -> tuple[RefundFacts, Refundable] | None:
    """Return the line of the newest addition that brought so many pieces alone.

    None where only several together did, or some came with the period: two payments at two
    prices, perhaps by two people.
    """
    ref = next((one.public_id for one in brought if one.quantity >= pieces), None)
    if ref is None:
        return None
    facts = read_refund(session, ref, for_update=True)
    lines = [one for one in refundables(facts.lines) if one.head.kind is LineKind.ADDON]
    return (facts, lines[0]) if len(lines) == 1 else None


def _of_the_period(
    session: AnySession, row: AnyRow, variant_id: int
) -> tuple[RefundFacts, Refundable] | None:
    """Return the line that paid for the add-on with the period of the box, if just one did."""
    line, invoice, addon = table_of(InvoiceLine), table_of(Invoice), table_of(Addon)
    bring = sa.select(addon.c.id, addon.c.name).where(addon.c.variant_id == variant_id)
    addons = {row.id: row.name for row in session.execute(bring)}
    found = session.execute(
        sa.select(invoice.c.public_id, line.c.period_id)
        .join(line, line.c.invoice_id == invoice.c.id)
        .where(line.c.id == row.invoice_line_id)
    ).one_or_none()
    if found is None or found.period_id is None:
        return None
    try:
        facts = read_refund(session, found.public_id, for_update=True)
    except LookupError:
        return None
    lines = _for(refundables(facts.lines), found.period_id, addons)
    return (facts, lines[0]) if len(lines) == 1 else None


def _for(
    lines: Sequence[Refundable], period_id: int, addons: Mapping[int, str]
) -> list[Refundable]:
    """Return the lines of the period for one of ``addons``, names by key.

    Lines from before the add-on was kept on them are known by the name it has now.
    """
    old = set(addons.values())
    return [
        one
        for one in lines
        if one.head.kind is LineKind.ADDON
        and one.head.period_id == period_id
        and (one.head.text in old if one.head.addon_id is None else one.head.addon_id in addons)
    ]
