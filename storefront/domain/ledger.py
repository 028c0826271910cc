"""The accounts of the double-entry ledger and the kinds of journal.

Every transfer moves one amount from a debit to a credit account, so each journal and the
whole ledger balance by construction. Source: docs/decisions/0004-ledger.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum

from storefront.domain.money import split_minor


class JournalKind(StrEnum):
    """The money event a journal books; unique together with the event's id."""

    INVOICE_FINALISED = "invoice_finalised"
    INVOICE_PAID = "invoice_paid"
    CREDIT_APPLIED = "credit_applied"
    CREDIT_NOTE = "credit_note"
    REFUND_DONE = "refund_done"
    REFUND_FAILED = "refund_failed"
    SURPLUS = "surplus"
    CREDIT_GRANTED = "credit_granted"
    BOX_EARNED = "box_earned"
    DAYS_EARNED = "days_earned"
    WRITTEN_OFF = "written_off"
    AMOUNT_CARRIED = "amount_carried"
    BOX_FORFEITED = "box_forfeited"
    GATEWAY_FEE = "gateway_fee"
    PAYOUT = "payout"
    REVERSAL = "reversal"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"


RECEIVABLE = "receivable"
DEFERRED_REVENUE = "deferred_revenue"
REVENUE = "revenue"
TAX_PAYABLE = "tax_payable"
BANK = "bank"
CUSTOMER_CREDIT = "customer_credit"
CREDITS_GRANTED = "credits_granted"
CARRIED_BALANCE = "carried_balance"
REFUNDS_DUE = "refunds_due"
DISPUTE_SUSPENSE = "dispute_suspense"
GATEWAY_FEES = "gateway_fees"
BAD_DEBT = "bad_debt"
#: Every account with a fixed name; each gateway has a clearing account beside them.
ACCOUNTS = (
    RECEIVABLE,
    DEFERRED_REVENUE,
    REVENUE,
    TAX_PAYABLE,
    BANK,
    CUSTOMER_CREDIT,
    CREDITS_GRANTED,
    CARRIED_BALANCE,
    REFUNDS_DUE,
    DISPUTE_SUSPENSE,
    GATEWAY_FEES,
    BAD_DEBT,
)


def clearing(gateway: str) -> str:
    """Return the clearing account of ``gateway``; money that came by bank goes to ``bank``."""
    return BANK if gateway == "manual" else f"clearing:{gateway}"


def next_earning(since: date, end: date) -> date:
    """Return up to which day (not included) days from ``since`` are booked together.

    Books close by the month: the first of the next month, or the period's ``end``.

    >>> next_earning(date(2027, 1, 20), date(2028, 1, 20))
    datetime.date(2027, 2, 1)
    >>> next_earning(date(2027, 2, 1), date(2027, 2, 9))
    datetime.date(2027, 2, 9)
    """
    return min(end, (since.replace(day=1) + timedelta(days=32)).replace(day=1))


def earned_days(rest: int, since: date, until: date, end: date) -> int:
    """Return what the days from ``since`` to ``until`` earn of ``rest``, owed up to ``end``.

    Units: minor; whole days, ``until`` and ``end`` not included. Rounded half up; the last
    step takes everything. Raises ``ValueError`` for days out of order.

    >>> earned_days(3100, date(2027, 3, 1), date(2027, 3, 11), date(2027, 4, 1))
    1000
    """
    if not since < until <= end:
        raise ValueError(f"no days to earn from {since} to {until} before {end}")
    days, whole = (until - since).days, (end - since).days
    return (2 * rest * days + whole) // (2 * whole)


def earned_shares(
    rest: int, gone: Sequence[int], to_come: Sequence[int] | None, *, forfeited: bool = False
) -> list[int]:
    """Return what each box that is ``gone`` earns of the ``rest`` deferred for its period.

    Weights are the boxes' net prices; ``to_come`` are those of the boxes still owed. As long
    as nothing was credited a box earns exactly its price. After a credit that named no box,
    the loss is shared; the last box takes what is left, so nothing stays behind. A forfeited
    box earns only what the boxes to come do not need.

    >>> earned_shares(3000, [1000], [1000, 1000]), earned_shares(1500, [1000], [1000, 1000])
    ([1000], [500])
    >>> earned_shares(2000, [1000], [1000, 1000], forfeited=True), earned_shares(7, [0, 0], None)
    ([0], [4, 3])
    """
    others = list(to_come or ())
    if forfeited and others:
        rest = min(rest - sum(others), sum(gone))
        others = []
    if rest <= 0:
        return [0] * len(gone)
    weights = [*gone, *others]
    if not any(weights):
        weights = [1] * len(gone) + [0 if forfeited else 1] * len(others)
    return split_minor(rest, weights)[: len(gone)]
