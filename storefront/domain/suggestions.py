"""What the account suggests below everything else: one thing at most, computed from real prices.

Source: docs/decisions/0235-one-suggestion-in-the-account.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from storefront.domain.money import Money
from storefront.domain.periods import Interval


class SuggestionKind(StrEnum):
    """What is suggested; a code never changes its meaning, for what was put away keeps it."""

    #: The same plan, paid for longer at once.
    LONGER = "longer"
    #: A plan that costs less, to somebody who leaves out box after box.
    SMALLER = "smaller"
    #: Something that comes with the box.
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class OnSale:
    """A price that a subscription has or could go on with.

    ``is_plain`` is False where other amounts come first, so that it cannot be compared.
    """

    ref: str
    plan_ref: int
    plan: str
    interval: Interval
    amount: Money
    inclusive: bool
    is_plain: bool = True


@dataclass(frozen=True, slots=True)
class Saving:
    """``price`` costs ``saved`` less than the present price, paid over its interval."""

    price: OnSale
    saved: Money


def longer(now: OnSale, sold: Iterable[OnSale]) -> Saving | None:
    """Return the price of the same plan, for a longer interval, that saves the most.

    Over the longer interval, which has to be a whole number of present ones. Of two that save
    the same the shorter one binds less. None where none saves anything.

    >>> pot = OnSale("p1", 1, "Pot", Interval("month"), Money(2600, "EUR"), True)
    >>> year = OnSale("p2", 1, "Pot", Interval("year"), Money(28080, "EUR"), True)
    >>> longer(pot, [year]).saved
    Money(minor=3120, currency='EUR')
    """
    if not now.is_plain:
        return None
    found = []
    for one in sold:
        if one.plan_ref != now.plan_ref or not _is_comparable(now, one):
            continue
        many = one.interval.multiple_of(now.interval)
        if many is None or many < 2:
            continue
        saved = now.amount.minor * many - one.amount.minor
        if saved > 0:
            found.append((saved, -many, one))
    if not found:
        return None
    saved, _many, best = max(found, key=lambda each: each[:2])
    return Saving(best, Money(saved, now.amount.currency))


def smaller(now: OnSale, sold: Iterable[OnSale]) -> OnSale | None:
    """Return the price next below the present one: less for the same time, and no more at once.

    >>> pot = OnSale("p1", 1, "Pot", Interval("month"), Money(2600, "EUR"), True)
    >>> cup = OnSale("p2", 2, "Cup", Interval("month"), Money(1600, "EUR"), True)
    >>> seldom = OnSale("p3", 1, "Pot", Interval("month", 2), Money(2600, "EUR"), True)
    >>> smaller(pot, [cup, seldom]).ref, smaller(cup, [pot])
    ('p2', None)
    """
    pace = _pace(now)
    found = [
        one
        for one in sold
        if _is_comparable(now, one)
        and _family(one) == _family(now)
        and one.amount.minor <= now.amount.minor
        and _pace(one) < pace
    ]
    return max(found, key=_pace, default=None)


def skips_in_a_row(
    skipped: Iterable[date], sent: Sequence[date], coming: Iterable[tuple[date, bool]]
) -> bool:
    """True if two boxes, one after the other, are left out.

    ``skipped`` are days of boxes left out, ``sent`` those of the last boxes that left (what
    lies before the first of them is not known and does not count), ``coming`` the days ahead
    with whether that box is skipped.

    >>> skipped = [date(2027, 3, 18), date(2027, 4, 18)]
    >>> skips_in_a_row(skipped, [date(2027, 2, 18)], [])
    True
    >>> skips_in_a_row(skipped, [date(2027, 2, 18), date(2027, 4, 1)], [])
    False
    """
    first = min(sent, default=date.min)
    row = dict.fromkeys((day for day in skipped if day >= first), True)
    row.update(dict.fromkeys(sent, False))
    row.update(coming)
    days = sorted(row)
    return any(row[one] and row[after] for one, after in pairwise(days))


def _is_comparable(now: OnSale, one: OnSale) -> bool:
    same = (one.amount.currency, one.inclusive) == (now.amount.currency, now.inclusive)
    return same and one.is_plain


def _family(one: OnSale) -> bool:
    return one.interval.days is not None


def _pace(one: OnSale) -> Fraction:
    """Return the amount per day, or per month where the interval has no fixed days."""
    return Fraction(one.amount.minor, one.interval.days or one.interval.months or 1)
