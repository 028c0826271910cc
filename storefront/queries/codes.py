"""The unique codes of a campaign: their batches, and what became of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.exports import safe_cell
from storefront.domain.money import Money, exponent
from storefront.models import Customer, Invoice, PromotionCode, Redemption
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow

#: Codes on one page, and read at once for a file.
PAGE = 50
AT_ONCE = 5_000
COLUMNS = ("code", "state", "used_at", "customer", "amount", "currency", "invoice")


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of codes; ``is_on`` False when none of them is accepted."""

    name: str
    count: int
    used: int
    taken_minor: int
    is_on: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code and the order it was used for, if it was; ``customer`` is a public id."""

    id: int
    code: str
    #: open, used or off.
    state: str
    used_at: datetime | None
    customer: str
    name: str
    amount: Money | None
    invoice: str


def batches(session: AnySession, coupon_id: int) -> list[Batch]:
    """Return the batches of a coupon, the newest first."""
    table, used = table_of(PromotionCode), table_of(Redemption)
    taken = (
        sa.select(used.c.promotion_code_id, sa.func.sum(used.c.amount_minor).label("minor"))
        .where(used.c.coupon_id == coupon_id, used.c.given_back_at.is_(None))
        .group_by(used.c.promotion_code_id)
        .subquery()
    )
    rows = session.execute(
        sa.select(
            table.c.batch,
            sa.func.count().label("codes"),
            sa.func.sum(table.c.used).label("uses"),
            sa.func.coalesce(sa.func.sum(taken.c.minor), 0).label("minor"),
            sa.func.count(table.c.archived_at).label("off"),
            sa.func.min(table.c.created_at).label("made_at"),
        )
        .outerjoin(taken, taken.c.promotion_code_id == table.c.id)
        .where(table.c.coupon_id == coupon_id, table.c.batch != "")
        .group_by(table.c.batch)
        .order_by(sa.desc("made_at"), table.c.batch)
    )
    return [
        Batch(row.batch, row.codes, row.uses, int(row.minor), row.off < row.codes, row.made_at)
        for row in rows
    ]


def codes(session: AnySession, coupon_id: int, batch: str, above: int = 0) -> list[CodeRow]:
    """Return a page of codes in the order they were made, those used first on none."""
    return _codes(session, coupon_id, batch, above, PAGE + 1)


def code_file(session: AnySession, coupon_id: int, batch: str) -> Iterator[str]:
    """Yield a CSV file of a batch, some thousand lines at a time; no cell is a formula."""
    yield _lines([COLUMNS])
    above = 0
    while rows := _codes(session, coupon_id, batch, above, AT_ONCE):
        above = rows[-1].id
        yield _lines([_cells(row) for row in rows])


def _cells(row: CodeRow) -> Sequence[str]:
    used_at = row.used_at.isoformat(timespec="seconds") if row.used_at else ""
    cells = (row.code, row.state, used_at, row.customer, *_amount(row.amount), row.invoice)
    return [safe_cell(cell) for cell in cells]


def _amount(amount: Money | None) -> tuple[str, str]:
    if amount is None:
        return "", ""
    return str(Decimal(amount.minor).scaleb(-exponent(amount.currency))), amount.currency


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _codes(session: AnySession, coupon_id: int, batch: str, above: int, size: int) -> list[CodeRow]:
    table, used = table_of(PromotionCode), table_of(Redemption)
    customer, invoice = table_of(Customer), table_of(Invoice)
    counting = sa.and_(
        used.c.promotion_code_id == table.c.id, used.c.counts, used.c.given_back_at.is_(None)
    )
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.code,
            table.c.used,
            table.c.archived_at,
            used.c.at,
            used.c.amount_minor,
            invoice.c.currency,
            invoice.c.public_id.label("invoice"),
            customer.c.public_id.label("customer"),
            customer.c.name,
        )
        .outerjoin(used, counting)
        .outerjoin(invoice, invoice.c.id == used.c.invoice_id)
        .outerjoin(customer, customer.c.id == used.c.customer_id)
        .where(table.c.coupon_id == coupon_id, table.c.batch == batch, table.c.id > above)
        .order_by(table.c.id)
        .limit(size)
    )
    return [_row(row) for row in rows]


def _row(row: AnyRow) -> CodeRow:
    state = "used" if row.used else "off" if row.archived_at else "open"
    amount = None if row.amount_minor is None else Money(row.amount_minor, row.currency)
    return CodeRow(
        row.id,
        row.code,
        state,
        row.at,
        row.customer or "",
        row.name or "",
        amount,
        row.invoice or "",
    )
