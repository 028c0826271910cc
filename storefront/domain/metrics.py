"""What the numbers on a dashboard mean, in one place.

MRR: recurring price of billable subscriptions after recurring discounts, without tax,
shipping, one-offs and trials, brought to a month. Movement: a change of MRR with its
kind; the movements of a time always sum to the difference of MRR over it. Churn happens
on the day paid time ends, not on the click.
"""

from dataclasses import dataclass
from enum import StrEnum

from storefront.domain.money import Money
from storefront.domain.periods import Interval


def monthly_value(amount: Money, interval: Interval) -> Money:
    """Return what ``amount`` every ``interval`` is worth per month.

    Yearly / 12; weekly x 52 / 12, every n weeks likewise; a day counts as a seventh of a
    week, so 7 days and 1 week agree. Rounding: half up to a minor unit, once per
    subscription, so sums of subscriptions and sums of movements agree.
    Source: docs/decisions/0016-mrr-per-month.md.

    >>> monthly_value(Money(29900, "EUR"), Interval("year")).minor
    2492
    >>> monthly_value(Money(1000, "EUR"), Interval("week", 2)).minor
    2167
    """
    if interval.months is not None:
        above, below = 1, interval.months
    else:
        above, below = 364, 12 * (interval.days or 1)
    return Money((2 * amount.minor * above + below) // (2 * below), amount.currency)


class MovementKind(StrEnum):
    """Why MRR changed."""

    NEW = "new"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"
    REACTIVATION = "reactivation"


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of one subscription's MRR; ``delta`` is negative when it fell."""

    kind: MovementKind
    delta: Money


def movement_between(
    old: Money | None, new: Money | None, *, churned_before: bool = False
) -> Movement | None:
    """Return the movement from MRR ``old`` to ``new``, or None when nothing moved.

    None means "not a subscriber"; zero is a subscriber who brings nothing just now (a
    pause, a discount of 100 %), so a start at zero is still new and an end at zero is
    still churn. ``churned_before``: the customer had a subscription that ended, so the
    start is a reactivation.
    Raises ``CurrencyMismatch`` for two currencies.
    Source: docs/decisions/0016-mrr-per-month.md.

    >>> movement_between(Money(2900, "EUR"), Money(0, "EUR")).kind
    <MovementKind.CONTRACTION: 'contraction'>
    >>> movement_between(Money(0, "EUR"), None)
    Movement(kind=<MovementKind.CHURN: 'churn'>, delta=Money(minor=0, currency='EUR'))
    """
    if old is None:
        if new is None:
            return None
        return Movement(MovementKind.REACTIVATION if churned_before else MovementKind.NEW, new)
    if new is None:
        return Movement(MovementKind.CHURN, -old)
    delta = new - old
    if delta.is_zero:
        return None
    grew = delta.minor > 0
    return Movement(MovementKind.EXPANSION if grew else MovementKind.CONTRACTION, delta)
