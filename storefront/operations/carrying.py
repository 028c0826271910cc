"""Totals that are too small to charge: settle their invoice now, asked for with a later one.

Source: docs/decisions/0097-small-totals-are-carried.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS
from storefront.domain.credit import is_too_small
from storefront.models import CarriedAmount, ChargeAttempt
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.moment import Moment
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import StaleSubscription

#: Gateway -> currency -> smallest charge in minor units.
Minimums = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Small:
    """An invoice whose due amount no gateway would charge."""

    invoice_id: int
    payer_id: int
    currency: str
    due_minor: int


def carry(session: AnySession, small: Sequence[Small], moment: Moment) -> None:
    """Settle invoices by carrying what they owe to a later charge; all else as when paid."""
    if not small:
        return
    insert_many(
        session,
        CarriedAmount,
        [
            {
                "payer_id": one.payer_id,
                "currency": one.currency,
                "invoice_id": one.invoice_id,
                "amount_minor": one.due_minor,
                "attempt_id": None,
                "at": moment.now,
                "settled_at": None,
            }
            for one in small
        ],
    )
    settled = [Settlement(one.invoice_id, one.due_minor, is_carried=True) for one in small]
    settle_invoices(session, settled, moment)


def plan_or_carry(
    session: AnySession,
    drafts: Sequence[tuple[int, AttemptDraft]],
    minimums: Minimums,
    moment: Moment,
) -> int:
    """Plan the charges of (payer, draft) with what was carried so far; returns how many.

    A total that stays under the gateway's minimum even so is carried too. One statement more
    than ``plan_attempts`` where nobody has anything carried. Raises ``StaleSubscription``
    when another worker asks for the same amounts.
    """
    if not drafts:
        return 0
    free = _free(session, {payer for payer, _draft in drafts})
    planned: list[AttemptDraft] = []
    claimed: list[list[AnyRow]] = []
    small = []
    for payer, draft in drafts:
        rows: list[AnyRow] = free.pop((payer, draft.currency), [])
        extra = sum(row.amount_minor for row in rows)
        if is_too_small(draft.amount_minor + extra, minimums, draft.gateway, draft.currency):
            small.append(Small(draft.invoice_id, payer, draft.currency, draft.amount_minor))
            free[payer, draft.currency] = rows
            continue
        planned.append(_with(draft, extra) if extra else draft)
        claimed.append(rows)
    made = plan_attempts(session, planned, moment)
    for (attempt_id, _public), rows in zip(made, claimed, strict=True):
        _claim(session, attempt_id, rows)
    carry(session, small, moment)
    return len(made)


def _with(draft: AttemptDraft, extra: int) -> AttemptDraft:
    return draft._replace(amount_minor=draft.amount_minor + extra, carried_minor=extra)


def settle_carried(session: AnySession, attempt_ids: Sequence[int], moment: Moment) -> None:
    """Write down that charges brought what was carried; their journals say so already."""
    if attempt_ids:
        table = table_of(CarriedAmount)
        session.execute(
            sa.update(table)
            .where(table.c.attempt_id.in_(attempt_ids), table.c.settled_at.is_(None))
            .values(settled_at=moment.now)
        )


def _free(session: AnySession, payers: set[int]) -> dict[tuple[int, str], list[AnyRow]]:
    """Return what was carried and no open charge asks for, by payer and currency."""
    found: dict[tuple[int, str], list[AnyRow]] = defaultdict(list)
    for row in session.execute(_free_statement(), {"ids": sorted(payers)}):
        found[row.payer_id, row.currency].append(row)
    return dict(found)


@cache
def _free_statement() -> AnySelect:
    table, attempt = table_of(CarriedAmount), table_of(ChargeAttempt)
    asked = sa.exists().where(
        attempt.c.id == table.c.attempt_id, attempt.c.state.in_(sorted(OPEN_ATTEMPTS))
    )
    return (
        sa.select(
            table.c.id,
            table.c.payer_id,
            table.c.currency,
            table.c.amount_minor,
            table.c.attempt_id,
        )
        .where(any_of(table.c.payer_id), table.c.settled_at.is_(None), sa.not_(asked))
        .order_by(table.c.id)
    )


def _claim(session: AnySession, attempt_id: int, rows: Sequence[AnyRow]) -> None:
    table = table_of(CarriedAmount)
    for row in rows:
        was = (
            table.c.attempt_id.is_(None)
            if row.attempt_id is None
            else table.c.attempt_id == row.attempt_id
        )
        found = session.execute(
            sa.update(table)
            .where(table.c.id == row.id, was, table.c.settled_at.is_(None))
            .values(attempt_id=attempt_id)
            .returning(table.c.id)
        ).all()
        if not found:
            raise StaleSubscription(f"carried amount {row.id} is asked for already")
