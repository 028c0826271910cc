"""Give customers credit, and use it for what they owe: oldest first, never the same twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.credit import spend_credit
from storefront.domain.invoices import InvoiceState
from storefront.domain.ledger import CREDITS_GRANTED, CUSTOMER_CREDIT, RECEIVABLE, JournalKind
from storefront.domain.money import Money
from storefront.models import CreditApplication, CreditMove, CustomerCredit, Invoice
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, reserve
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class Owing:
    """An invoice that may be paid with credit; ``due_minor`` is all that it owes."""

    id: int
    public_id: str
    payer_id: int
    currency: str
    due_minor: int


def grant_credit(
    session: AnySession,
    customer_id: int,
    amount: Money,
    origin: str,
    reason: str,
    moment: Moment,
    *,
    account: str = CREDITS_GRANTED,
) -> int:
    """Give a customer credit and book it; returns the key of the record.

    ``account`` bears it: what the shop gives away, or what a refund took back. Raises
    ``ValueError`` for an amount that is not above zero.
    """
    if amount.minor <= 0:
        raise ValueError(f"credit of {amount}")
    table = table_of(CustomerCredit)
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table).values(
        customer_id=customer_id, currency=amount.currency, balance_minor=amount.minor
    )
    credit_id = session.execute(
        insert.on_conflict_do_update(
            index_elements=["customer_id", "currency"],
            set_={"balance_minor": table.c.balance_minor + amount.minor},
        ).returning(table.c.id)
    ).scalar_one()
    key = reserve(session, CreditMove, 1)[0]
    insert_many(
        session,
        CreditMove,
        [
            {
                "id": key,
                "customer_credit_id": credit_id,
                "amount_minor": amount.minor,
                "rest_minor": amount.minor,
                "origin": origin,
                "reason": reason,
                "at": moment.now,
            }
        ],
    )
    given = Transfer(account, CUSTOMER_CREDIT, amount.minor, amount.currency, customer_id)
    book(session, [Journal(JournalKind.CREDIT_GRANTED, f"credit:{key}", (given,))], moment.now)
    return key


def apply_credit(
    session: AnySession, invoices: Sequence[Owing], moment: Moment, *, is_booked: bool = True
) -> dict[int, int]:
    """Use the payers' credit for ``invoices``; returns how much went to each, if any did.

    The invoices' ``applied_minor`` and ``due_minor`` follow. Rows of credit are locked, and
    each update asks again whether the rest is there, so two invoices never get the same
    credit. ``is_booked`` False is for offered invoices: the credit is set aside, and
    ``book_applied`` books it when the invoice is finalised. Statements: a constant number
    for any count, one where nobody has credit.
    Source: docs/decisions/0082-credit-pays-first.md.
    """
    invoices = [one for one in invoices if one.due_minor > 0]
    if not invoices:
        return {}
    balances = _balances(session, {one.payer_id for one in invoices})
    if not balances:
        return {}
    moves = _moves(session, [row.id for row in balances.values()])
    parts = _allot(invoices, balances, moves)
    if not parts:
        return {}
    _take(session, parts)
    insert_many(
        session,
        CreditApplication,
        [
            {
                "credit_move_id": move.id,
                "invoice_id": invoice.id,
                "amount_minor": minor,
                "at": moment.now,
            }
            for invoice, move, minor in parts
        ],
    )
    applied: dict[int, int] = defaultdict(int)
    for invoice, _, minor in parts:
        applied[invoice.id] += minor
    table = table_of(Invoice)
    _add(session, table, {"applied_minor": 1, "due_minor": -1}, applied)
    if is_booked:
        book_applied(session, [(one, applied[one.id]) for one in invoices], moment)
    return dict(applied)


def book_applied(session: AnySession, applied: Iterable[tuple[Owing, int]], moment: Moment) -> None:
    """Book credit used for finalised invoices."""
    journals = [
        Journal(
            JournalKind.CREDIT_APPLIED,
            one.public_id,
            (Transfer(CUSTOMER_CREDIT, RECEIVABLE, minor, one.currency, one.payer_id, one.id),),
        )
        for one, minor in applied
        if minor
    ]
    book(session, journals, moment.now)


def give_back_applied(
    session: AnySession, invoice_ids: Sequence[int], moment: Moment
) -> dict[int, int]:
    """Return applied credit of invoices to its owners, once; returns how much per invoice.

    The invoices' ``applied_minor`` and ``due_minor`` follow; the caller books.
    """
    if not invoice_ids:
        return {}
    used, source = table_of(CreditApplication), table_of(CreditMove)
    rows = session.execute(
        sa.update(used)
        .where(used.c.invoice_id.in_(invoice_ids), used.c.given_back_at.is_(None))
        .values(given_back_at=moment.now)
        .returning(used.c.invoice_id, used.c.credit_move_id, used.c.amount_minor)
    ).all()
    moves = {row.credit_move_id for row in rows}
    sources = session.execute(
        sa.select(source.c.id, source.c.customer_credit_id).where(source.c.id.in_(moves))
    )
    owners: dict[int, int] = {row.id: row.customer_credit_id for row in sources}
    per_invoice: dict[int, int] = defaultdict(int)
    per_move: dict[int, int] = defaultdict(int)
    per_owner: dict[int, int] = defaultdict(int)
    for row in rows:
        per_invoice[row.invoice_id] += row.amount_minor
        per_move[row.credit_move_id] += row.amount_minor
        per_owner[owners[row.credit_move_id]] += row.amount_minor
    _add(session, table_of(CustomerCredit), {"balance_minor": 1}, per_owner)
    _add(session, source, {"rest_minor": 1}, per_move)
    _add(session, table_of(Invoice), {"applied_minor": -1, "due_minor": 1}, per_invoice)
    return dict(per_invoice)


def set_aside_for(session: AnySession, checkout_id: int, currency: str) -> Money:
    """Return the credit that the offered invoice of an order holds."""
    used, invoice = table_of(CreditApplication), table_of(Invoice)
    minor = session.execute(
        sa.select(sa.func.sum(used.c.amount_minor))
        .join(invoice, invoice.c.id == used.c.invoice_id)
        .where(
            invoice.c.checkout_id == checkout_id,
            invoice.c.state == InvoiceState.OFFERED,
            used.c.given_back_at.is_(None),
        )
    ).scalar_one()
    return Money(int(minor or 0), currency)


def book_set_aside(session: AnySession, invoice_ids: Sequence[int], moment: Moment) -> None:
    """Book the credit that invoices held while they were offered; they are finalised now."""
    if not invoice_ids:
        return
    table = table_of(Invoice)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.payer_id,
            table.c.currency,
            table.c.due_minor,
            table.c.applied_minor,
        ).where(table.c.id.in_(invoice_ids), table.c.applied_minor > 0)
    )
    book_applied(
        session,
        [
            (
                Owing(row.id, row.public_id, row.payer_id, row.currency, row.due_minor),
                row.applied_minor,
            )
            for row in rows
        ],
        moment,
    )


def balance_of(session: AnySession, customer_id: int, currency: str) -> Money:
    """Return the credit a customer has left in ``currency``."""
    table = table_of(CustomerCredit)
    minor = session.execute(
        sa.select(table.c.balance_minor).where(
            table.c.customer_id == customer_id, table.c.currency == currency
        )
    ).scalar_one_or_none()
    return Money(minor or 0, currency)


def _balances(session: AnySession, payers: set[int]) -> dict[tuple[int, str], AnyRow]:
    statement = _balances_statement(session.get_bind().dialect.name == "postgresql")
    rows = session.execute(statement, {"ids": sorted(payers)})
    return {(row.customer_id, row.currency): row for row in rows}


@cache
def _balances_statement(locks: bool) -> AnySelect:
    table = table_of(CustomerCredit)
    statement = (
        sa.select(table.c.id, table.c.customer_id, table.c.currency)
        .where(any_of(table.c.customer_id), table.c.balance_minor > 0)
        .order_by(table.c.id)
    )
    # In the order of keys, so that two batches never wait for one another.
    return statement.with_for_update() if locks else statement


def _moves(session: AnySession, owners: Sequence[int]) -> dict[int, list[AnyRow]]:
    table = table_of(CreditMove)
    rows = session.execute(
        sa.select(table.c.id, table.c.customer_credit_id, table.c.rest_minor)
        .where(table.c.customer_credit_id.in_(owners), table.c.rest_minor > 0)
        .order_by(table.c.at, table.c.id)
    )
    found: dict[int, list[AnyRow]] = defaultdict(list)
    for row in rows:
        found[row.customer_credit_id].append(row)
    return found


_Part = tuple[Owing, AnyRow, int]


def _allot(
    invoices: Sequence[Owing],
    balances: dict[tuple[int, str], AnyRow],
    moves: dict[int, list[AnyRow]],
) -> list[_Part]:
    owed: dict[tuple[int, str], list[Owing]] = defaultdict(list)
    for one in invoices:
        owed[one.payer_id, one.currency].append(one)
    parts: list[_Part] = []
    for who, mine in owed.items():
        if who not in balances:
            continue
        sources = moves[balances[who].id]
        spent = spend_credit([one.due_minor for one in mine], [row.rest_minor for row in sources])
        for one, pieces in zip(mine, spent, strict=True):
            parts += [(one, sources[place], minor) for place, minor in pieces]
    return parts


def _take(session: AnySession, parts: Sequence[_Part]) -> None:
    per_move: dict[int, int] = defaultdict(int)
    per_owner: dict[int, int] = defaultdict(int)
    for _, move, minor in parts:
        per_move[move.id] += minor
        per_owner[move.customer_credit_id] += minor
    _add(session, table_of(CustomerCredit), {"balance_minor": -1}, per_owner)
    _add(session, table_of(CreditMove), {"rest_minor": -1}, per_move)


def _add(
    session: AnySession, table: sa.Table, signs: dict[str, int], amounts: dict[int, int]
) -> None:
    """Add to columns of rows by key; the CHECKs refuse what would fall below zero."""
    if not amounts:
        return
    session.connection().execute(
        sa.update(table)
        .where(table.c.id == sa.bindparam("key"))
        .values(
            {name: table.c[name] + sign * sa.bindparam("amount") for name, sign in signs.items()}
        ),
        [{"key": key, "amount": amount} for key, amount in sorted(amounts.items())],
    )
