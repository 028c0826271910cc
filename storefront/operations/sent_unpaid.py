"""Unpaid invoices whose boxes have left: only what was not sent is credited, the rest stays due.

Source: docs/decisions/0026-leaving.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.ledger import RECEIVABLE
from storefront.domain.money import split_minor
from storefront.domain.refunds import Refundable, Taken, Way, refundables, take
from storefront.models import Box, CreditNote, Invoice, InvoiceLine
from storefront.models.base import public_id, table_of
from storefront.operations.carrying import Minimums
from storefront.operations.credits import abandon_planned, credit_invoices
from storefront.operations.earning import forfeit_boxes
from storefront.operations.given_up import close_chases
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import RefundFacts, lines_of_invoice
from storefront.operations.refunding import Back, book_note, lower_lines, write_note
from storefront.operations.subscriptions import StaleSubscription
from storefront.operations.tiling import open_invoices

#: Not handed to the warehouse: nobody packs them for an invoice that is given up. A locked box
#: is being packed; only staff, who see it, take it back (``STOPPABLE``).
_HERE = (BoxState.PLANNED, BoxState.HELD)


def dropped_of(session: AnySession, owed: Sequence[AnyRow], subscription_id: int) -> dict[int, int]:
    """Return what leaving credits of each of ``open_invoices``, in minor units.

    All of its share, also where credit pays for some of the invoice, except boxes that have
    left or are being packed: those stay owed, as far as credit did not pay for them. Where
    others share an invoice that a card pays, nothing stays: they could not pay theirs without
    it.
    """
    boxes = _boxes(session, _may_stay(owed), subscription_id)
    found = {}
    for one in owed:
        own = boxes.get(one.id, [])
        sent = sum(row.minor for row in own if row.state not in _HERE)
        # Credit pays for what was sent first: nobody pays for a box that never comes.
        credit = 0 if one.is_shared else one.applied_minor
        stays = min(max(sent - credit, 0), one.due_minor)
        found[one.id] = one.due_minor - stays if stays else one.share_minor
    return found


def drop_unsent(
    session: AnySession,
    owed: Sequence[AnyRow],
    subscription_id: int,
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
) -> None:
    """Credit ``open_invoices`` of a subscription that ends, but not what was sent.

    What they owe for other subscriptions stays, and is carried under ``minimums``.
    """
    shares = dropped_of(session, owed, subscription_id)
    whole = [one.id for one in owed if shares[one.id] == one.share_minor]
    credit_invoices(
        session,
        whole,
        CreditReason.CANCELLATION,
        moment,
        of=subscription_id,
        despite_open_attempts=True,
        minimums=minimums,
    )
    rest = [one.id for one in owed if one.id not in whole]
    own_rest = [one.id for one in owed if one.id in rest and not one.is_shared]
    # Nothing is tried by the clock any more: who left pays when they say so.
    abandon_planned(session, own_rest, moment)
    close_chases(session, own_rest, moment)
    boxes = _boxes(session, rest, subscription_id)
    for key, own in boxes.items():
        if shares[key]:
            _credit_part(session, key, subscription_id, shares[key], moment)
        here = [row.id for row in own if row.state in _HERE]
        table = table_of(Box)
        gone = session.execute(
            sa.update(table)
            .where(table.c.id.in_(here), table.c.state.in_(_HERE))
            .values(state=BoxState.CANCELED)
            .returning(table.c.id)
        ).all()
        if len(gone) != len(here):
            raise StaleSubscription(f"boxes of invoice {key} were locked meanwhile")
        forfeit_boxes(session, here, moment)


def end_unpaid(
    session: AnySession, rows: Sequence[AnyRow], moment: Moment, minimums: Minimums
) -> tuple[dict[int, int], set[int]]:
    """Credit what subscriptions that the chase ends leave unpaid, but not what was sent.

    ``rows`` are an invoice and a subscription each. Returns what stays due of invoices in minor
    units, and the invoices left alone because a charge for them is on its way. An invoice of
    which nothing stays due is neither credited here nor named.
    Source: docs/decisions/0172-the-last-step-and-what-was-sent.md.
    """
    invoice = table_of(Invoice)
    named = invoice.c.id.in_([row.invoice_id for row in rows])
    found = set(session.scalars(sa.select(invoice.c.id).where(named, pays_for_sent(invoice))))
    stays: dict[int, int] = {}
    flying: set[int] = set()
    if not found:
        return stays, flying
    abandon_planned(session, sorted(found), moment)
    # A charge names its invoice, so none begins between the look below and the credit.
    session.execute(
        sa.select(invoice.c.id)
        .where(invoice.c.id.in_(found))
        .order_by(invoice.c.id)
        .with_for_update()
    )
    for row in rows:
        if row.invoice_id not in found:
            continue
        owed = [
            one
            for one in open_invoices(session, row.subscription_id)
            if one.id == row.invoice_id and not one.is_shared
        ]
        shares = dropped_of(session, owed, row.subscription_id)
        if any(one.in_flight for one in owed):
            flying.add(row.invoice_id)
        elif any(shares[one.id] != one.share_minor for one in owed):
            drop_unsent(session, owed, row.subscription_id, moment, minimums)
            stays[row.invoice_id] = sum(one.due_minor - shares[one.id] for one in owed)
    return stays, flying


def pays_for_sent(invoice: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition of an invoice on which a box has left that is not credited."""
    box, line = table_of(Box), table_of(InvoiceLine)
    return sa.exists().where(
        line.c.invoice_id == invoice.c.id,
        sa.not_(line.c.is_void),
        box.c.period_id == line.c.period_id,
        box.c.state.not_in([*_HERE, BoxState.CANCELED]),
    )


def _may_stay(owed: Sequence[AnyRow]) -> list[int]:
    return [one.id for one in owed if one.pay_by == "bank" or not one.is_shared]


def _boxes(
    session: AnySession, invoice_ids: Sequence[int], subscription_id: int
) -> dict[int, list[AnyRow]]:
    """Return the boxes a subscription has of the periods on invoices."""
    box, line = table_of(Box), table_of(InvoiceLine)
    rows = session.execute(
        sa.select(
            line.c.invoice_id,
            box.c.id,
            box.c.state,
            (box.c.net_minor + box.c.tax_minor).label("minor"),
        )
        .join(line, line.c.period_id == box.c.period_id)
        .where(
            line.c.invoice_id.in_(invoice_ids),
            box.c.subscription_id == subscription_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .distinct()
        .order_by(box.c.id)
    )
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.invoice_id, []).append(row)
    return found


def _credit_part(
    session: AnySession, invoice_id: int, subscription_id: int, minor: int, moment: Moment
) -> None:
    table = table_of(Invoice)
    invoice = session.execute(sa.select(table).where(table.c.id == invoice_id)).one()
    every = lines_of_invoice(session, invoice_id)
    lines = tuple(one for one in every if one.subscription_id == subscription_id)
    facts = RefundFacts(invoice, lines, (), None, (), ())
    back = Back(_taken(refundables(lines), minor), Way.OPEN, CreditReason.CANCELLATION)
    key, public = reserve(session, CreditNote, 1)[0], public_id("crn")
    write_note(session, facts, back, key, public, moment)
    lower_lines(session, back.taken)
    changed = session.execute(
        sa.update(table)
        .where(
            table.c.id == invoice_id,
            table.c.state == InvoiceState.OPEN,
            table.c.due_minor == invoice.due_minor,
        )
        .values(credited_minor=table.c.credited_minor + minor, due_minor=table.c.due_minor - minor)
        .returning(table.c.id)
    ).all()
    if not changed:
        raise StaleSubscription(f"invoice {invoice_id} changed")
    book_note(session, facts, back, public, RECEIVABLE, moment)


def _taken(groups: Sequence[Refundable], minor: int) -> tuple[Taken, ...]:
    """Take ``minor`` units of what is left of the lines, each by its share."""
    parts = split_minor(minor, [one.left for one in groups])
    found = [take(one, part) for one, part in zip(groups, parts, strict=True) if part]
    return tuple(one for own in found for one in own)
