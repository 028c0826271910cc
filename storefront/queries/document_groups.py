"""The lines of a document by the subscription they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.invoices import LineKind
from storefront.domain.money import Money
from storefront.models import InvoiceLine
from storefront.models.base import table_of
from storefront.queries.documents import DocumentLine


@dataclass(frozen=True, slots=True)
class DocumentGroup:
    """The lines of one subscription, with what they come to; ``plan`` names it."""

    plan: str
    lines: tuple[DocumentLine, ...]
    total: Money


def groups_of(lines: Sequence[DocumentLine]) -> list[DocumentGroup]:
    """Return ``lines`` by subscription, in the order of the first of each."""
    return [
        _group([line for line in lines if line.subscription_id == key])
        for key in dict.fromkeys(line.subscription_id for line in lines)
    ]


def _group(lines: Sequence[DocumentLine]) -> DocumentGroup:
    plan = next((line.text for line in lines if line.kind is LineKind.PLAN), lines[0].text)
    total = Money(sum(line.gross.minor for line in lines), lines[0].gross.currency)
    return DocumentGroup(plan, tuple(lines), total)


def subjects_of(invoice: sa.FromClause) -> sa.ScalarSelect[str]:
    """Return the column that says what an invoice is for: its plans, or its first line.

    A change of plan is for what is changed to, though what is taken back stands above it.
    """
    line = table_of(InvoiceLine)
    charge = line.alias()
    changed_to = (
        sa.select(sa.func.min(charge.c.position))
        .where(charge.c.invoice_id == invoice.c.id, charge.c.kind == LineKind.PRORATION_CHARGE)
        .correlate(invoice)
        .scalar_subquery()
    )
    return (
        sa.select(sa.func.aggregate_strings(line.c.text, ", "))
        .where(
            line.c.invoice_id == invoice.c.id,
            sa.or_(
                line.c.kind == LineKind.PLAN, line.c.position == sa.func.coalesce(changed_to, 1)
            ),
        )
        .scalar_subquery()
    )
