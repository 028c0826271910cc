"""What somebody declares about a contract without signing in: that it ends, or a withdrawal.

Source: section 312k BGB, Code de la consommation L215-1-1, article 11a of directive 2011/83/EU;
docs/decisions/0211-ending-a-contract-without-signing-in.md.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from enum import StrEnum

from storefront.domain.rates import EU

#: Where a page to end contracts has to be linked from every page.
_ENDS_ONLINE = frozenset({"DE", "FR"})
#: Where a right of withdrawal was read in the law: the Union, the EEA, and Great Britain by
#: regulation 29 of SI 2013/3134.
_AREA = frozenset(EU) | {"IS", "LI", "NO", "GB"}
#: From the receipt of the first box; and what we allow for the way where nobody told us of it.
WITHDRAWAL_DAYS, ON_THE_WAY = 14, 7
#: Money goes back within this many days of a withdrawal.
REFUND_DAYS = 14


class DeclarationKind(StrEnum):
    """What is declared."""

    END = "end"
    WITHDRAW = "withdraw"


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


def withdrawable_until(first_left_on: date | None) -> date | None:
    """Return the last day on which we take a withdrawal for timely; None before any box left.

    >>> withdrawable_until(date(2027, 3, 1)), withdrawable_until(None)
    (datetime.date(2027, 3, 22), None)
    """
    if first_left_on is None:
        return None
    return first_left_on + timedelta(days=WITHDRAWAL_DAYS + ON_THE_WAY)


def is_timely(received_on: date, first_left_on: date | None) -> bool:
    """Whether a withdrawal came while the right to it lasts, as far as we can know.

    >>> is_timely(date(2027, 3, 22), date(2027, 3, 1))
    True
    """
    until = withdrawable_until(first_left_on)
    return until is None or received_on <= until


def words_of(contract: str) -> list[str]:
    """Return what may be a number in what somebody typed to name a contract.

    >>> words_of("Tea box, no. (sub_abc) or INV-12.")
    ['tea', 'box', 'no', 'sub_abc', 'or', 'inv-12']
    """
    words = (word.strip(".,;:()[]#\"'/").casefold() for word in contract.replace(",", " ").split())
    return [word for word in words if word]
