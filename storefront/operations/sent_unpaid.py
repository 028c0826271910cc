"""Invoices to be paid by transfer whose boxes left before: only what was not sent is credited.

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
from storefront.operations.credits import credit_invoices
from storefront.operations.earning import forfeit_boxes
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import RefundFacts, lines_of_invoice
from storefront.operations.refunding import Back, book_note, lower_lines, write_note
from storefront.operations.subscriptions import StaleSubscription

#: Not handed to the warehouse: nobody packs them for an invoice that is given up.
_HERE = (BoxState.PLANNED, BoxState.HELD)


def dropped_of(session: AnySession, owed: Sequence[AnyRow], subscription_id: int) -> dict[int, int]:
    """Return what leaving credits of each of ``open_invoices``, in minor units.

    All of its share, also where credit pays for some of the invoice, except by transfer:
    there boxes that have left, or are being packed, stay owed.
    """
    boxes = _boxes(session, [one.id for one in owed], subscription_id)
    found = {}
    for one in owed:
        own = boxes.get(one.id, [])
        sent = sum(row.minor for row in own if row.state not in _HERE)
        found[one.id] = one.due_minor - min(sent, one.due_minor) if sent else one.share_minor
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
    boxes = _boxes(session, rest, subscription_id)
    for key, own in boxes.items():
        if shares[key]:
            _credit_part(session, key, subscription_id, shares[key], moment)
        here = [row.id for row in own if row.state in _HERE]
        table = table_of(Box)
        session.execute(
            sa.update(table).where(table.c.id.in_(here)).values(state=BoxState.CANCELED)
        )
        forfeit_boxes(session, here, moment)


def _boxes(
    session: AnySession, invoice_ids: Sequence[int], subscription_id: int
) -> dict[int, list[AnyRow]]:
    """Return the boxes a subscription has of the periods on invoices to be paid by transfer."""
    box, line, invoice = table_of(Box), table_of(InvoiceLine), table_of(Invoice)
    rows = session.execute(
        sa.select(
            line.c.invoice_id,
            box.c.id,
            box.c.state,
            (box.c.net_minor + box.c.tax_minor).label("minor"),
        )
        .join(line, line.c.period_id == box.c.period_id)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(
            invoice.c.id.in_(invoice_ids),
            box.c.subscription_id == subscription_id,
            invoice.c.pay_by == "bank",
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
