"""Leaving: the reasons somebody may name, and who may be offered something instead."""

from __future__ import annotations

from datetime import date, timedelta

#: Codes of the reasons, in the order in which they are shown.
REASONS = ("too_much", "price", "not_for_me", "delivery", "other")
#: The longest answer in words of one's own that is kept.
LONGEST_NOTE = 500

#: Countries whose law has a way to cancel that may ask for nothing more than it needs: nobody
#: whose boxes go there is made an offer. Source: docs/decisions/0213-one-offer-at-most.md.
NO_OFFERS = frozenset({"DE", "FR"})
#: What may be offered: a pause of some boxes, the next box left out, a code, or a cheaper plan.
OFFERS = ("pause", "skip", "discount", "plan")


def may_offer(country: str, made_on: date | None, rest_days: int, today: date) -> bool:
    """True if somebody who is about to leave may be made an offer.

    ``country`` is where their boxes go, ``made_on`` the day of the last offer of this
    subscription that was answered; ``rest_days`` later another one may be made.

    >>> may_offer("AT", date(2027, 3, 1), 30, date(2027, 3, 31))
    True
    >>> may_offer("AT", date(2027, 3, 1), 30, date(2027, 3, 30))
    False
    >>> may_offer("DE", None, 30, date(2027, 3, 30))
    False
    """
    if country in NO_OFFERS:
        return False
    return made_on is None or made_on + timedelta(days=rest_days) <= today
