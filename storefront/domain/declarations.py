"""What somebody declares about a contract without signing in: that it ends, or a withdrawal.

Source: section 312k BGB, Code de la consommation L215-1-1, article 11a of directive 2011/83/EU;
docs/decisions/0211-ending-a-contract-without-signing-in.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from storefront.domain.periods import Interval, add_interval
from storefront.domain.rates import EU

#: Where a page to end contracts has to be linked from every page.
_ENDS_ONLINE = frozenset({"DE", "FR"})
#: Where a right of withdrawal was read in the law: the Union, the EEA, and Great Britain by
#: regulation 29 of SI 2013/3134.
_AREA = frozenset(EU) | {"IS", "LI", "NO", "GB"}
#: From the receipt of the first box; and what we allow for the way where nobody told us of it.
WITHDRAWAL_DAYS, ON_THE_WAY = 14, 7
#: So much longer for whoever was not told of the right.
UNTOLD = Interval("month", 12)
#: Money goes back within this many days of a withdrawal.
REFUND_DAYS = 14
#: The shop is reminded of money that is to go back: four days before the last day for it, on the
#: day before, and the day after; here as days from the withdrawal.
REMINDED_AFTER = (REFUND_DAYS - 4, REFUND_DAYS - 1, REFUND_DAYS + 1)


class DeclarationKind(StrEnum):
    """What is declared."""

    END = "end"
    WITHDRAW = "withdraw"


class Exclusion(StrEnum):
    """Why nobody may withdraw from a product.

    Source: directive 2011/83/EU, article 16 c, d and e; SI 2013/3134, regulation 28.
    """

    #: Sealed for health or hygiene, and opened after it came.
    SEALED = "sealed"
    #: Spoils or passes its day quickly.
    PERISHABLE = "perishable"
    #: Made to the buyer's own wishes.
    PERSONAL = "personal"


def links_end(countries: Collection[str]) -> bool:
    """Whether every page leads to the one that ends a contract.

    >>> links_end(["DE", "AT"]), links_end(["US"])
    (True, False)
    """
    return not _ENDS_ONLINE.isdisjoint(countries)


def links_withdrawal(countries: Collection[str]) -> bool:
    """Whether every page leads to the one for a withdrawal.

    >>> links_withdrawal(["AT"]), links_withdrawal(["GB"]), links_withdrawal(["US", "CH"])
    (True, True, False)
    """
    return not _AREA.isdisjoint(countries)


def has_review(kind: DeclarationKind, language: str) -> bool:
    """Whether what was typed is shown once more before it is sent.

    A withdrawal always, and an end as France asks for it; in Germany the page that asks already
    has the button that ends, and nothing may stand between.

    >>> has_review(DeclarationKind.END, "de"), has_review(DeclarationKind.END, "fr")
    (False, True)
    """
    return kind is DeclarationKind.WITHDRAW or language == "fr"


@dataclass(frozen=True, slots=True)
class Right:
    """What the right to withdraw from a subscription hangs on."""

    ordered_on: date
    #: When the first box left; None before one has.
    left_on: date | None
    #: When the buyer was told of the right; None: never, as far as we know.
    told_on: date | None
    #: False for a plan that sends nothing: its days run from the order.
    ships: bool = True
    #: When a free trial went over into paid time, where the plan gives a second right then.
    converted_on: date | None = None


def withdrawable_until(right: Right) -> date | None:
    """Return the last day on which we take a withdrawal for timely; None before any box left.

    Whoever was not told of the right has twelve months more, and whoever was told late the whole
    time from then on.
    Source: directive 2011/83/EU, articles 9 and 10; SI 2013/3134, regulations 30 and 31.

    >>> ordered, left = date(2027, 2, 20), date(2027, 3, 1)
    >>> withdrawable_until(Right(ordered, left, ordered))
    datetime.date(2027, 3, 22)
    >>> withdrawable_until(Right(ordered, None, ordered, ships=False))
    datetime.date(2027, 3, 6)
    >>> withdrawable_until(Right(ordered, left, None))
    datetime.date(2028, 3, 22)
    """
    begins = right.left_on if right.ships else right.ordered_on
    if begins is None:
        return None
    days = timedelta(days=WITHDRAWAL_DAYS + (ON_THE_WAY if right.ships else 0))
    ends = _ends(begins + days, right.told_on)
    return max(ends, right.converted_on + days) if right.converted_on else ends


def _ends(ends: date, told_on: date | None) -> date:
    at_last = add_interval(ends, UNTOLD, 1)
    if told_on is None or told_on > at_last:
        return at_last
    return max(ends, told_on + timedelta(days=WITHDRAWAL_DAYS))


def is_timely(received_on: date, right: Right) -> bool:
    """Whether a withdrawal came while the right to it lasts, as far as we can know.

    >>> is_timely(date(2027, 3, 22), Right(date(2027, 2, 20), date(2027, 3, 1), date(2027, 2, 20)))
    True
    """
    until = withdrawable_until(right)
    return until is None or received_on <= until


def reminder_after(received_on: date, today: date) -> int | None:
    """Return which reminder of ``REMINDED_AFTER`` is due, the last of several; None: none yet.

    >>> [reminder_after(date(2027, 3, 1), date(2027, 3, day)) for day in (10, 11, 14, 15, 16, 31)]
    [None, 10, 13, 13, 15, 15]
    """
    passed = (today - received_on).days
    return max((days for days in REMINDED_AFTER if days <= passed), default=None)


def words_of(contract: str) -> list[str]:
    """Return what may be a number in what somebody typed to name a contract.

    >>> words_of("Tea box, no. (sub_abc) or INV-12.")
    ['tea', 'box', 'no', 'sub_abc', 'or', 'inv-12']
    """
    words = (word.strip(".,;:()[]#\"'/").casefold() for word in contract.replace(",", " ").split())
    return [word for word in words if word]
