"""What follows a decline: another try, a question to the customer, or the last action."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal

from storefront.domain.charging import MAX_TRIES_PER_MONTH, DeclineKind

LastAction = Literal["cancel", "pause", "leave"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """On which days a charge is tried again, and what happens in the end.

    ``retry_minute`` is the shop-local time of day, in minutes after midnight.

    Each number is a day after the first decline, so (3, 8, 15) tries three times within
    15 days. The end comes with the decline of the last try.
    Raises ``ValueError`` for a day below one and for days that do not rise.
    """

    retry_after_days: tuple[int, ...] = (3, 8, 15)
    last_action: LastAction = "cancel"
    retry_minute: int = 540

    def __post_init__(self) -> None:
        days = self.retry_after_days
        if any(day < 1 for day in days):
            raise ValueError(f"a retry waits at least a day: {days}")
        if list(days) != sorted(set(days)):
            raise ValueError(f"the days of a schedule rise: {days}")
        if not 0 <= self.retry_minute < 24 * 60:
            raise ValueError(f"no time of day: {self.retry_minute}")


#: How long subscribers of a group have been there: any time, at most so many days, longer.
Began = Literal["any", "within", "before"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A group of subscribers: of a plan, in countries, newer or older than some days.

    ``plan_id`` None: of any plan; no ``countries``: anywhere, also where nothing is shipped.
    """

    plan_id: int | None = None
    countries: frozenset[str] = frozenset()
    began: Began = "any"
    began_days: int = 90

    def holds(self, plan_id: int, country: str, days: int) -> bool:
        """True of a subscriber of ``days`` days whose boxes go to ``country``.

        >>> new = Segment(countries=frozenset({"DE"}), began="within", began_days=60)
        >>> new.holds(1, "DE", 60), new.holds(1, "DE", 61), new.holds(1, "", 3)
        (True, False, False)
        """
        if self.plan_id is not None and self.plan_id != plan_id:
            return False
        if self.countries and country not in self.countries:
            return False
        return self.began == "any" or (days <= self.began_days) == (self.began == "within")


#: The longest a chase may take, in days.
LONGEST_DAYS = 60
#: The last warning goes out so many days before the last action.
WARN_DAYS = 3
#: Days in which the card schemes count the tries of one card for one amount.
_SCHEME_DAYS = 30


def is_within_ceilings(days: Sequence[int]) -> bool:
    """True if a schedule can be kept: it never asks one card more often than the schemes allow.

    The first charge is counted, and each customer's own tries come on top; the guard holds the
    ceilings whatever a schedule says.

    >>> is_within_ceilings((3, 8, 15)), is_within_ceilings(range(1, 15))
    (True, False)
    """
    tried = [0, *days]
    most = max(sum(start <= day < start + _SCHEME_DAYS for day in tried) for start in tried)
    return most <= MAX_TRIES_PER_MONTH and max(tried) <= LONGEST_DAYS


DEFAULT_POLICY = RetryPolicy()


def policy_together(policies: Sequence[RetryPolicy]) -> RetryPolicy:
    """Return the policy of an invoice for several plans: the one whose end comes first.

    Of two that end on the same day, the first. Raises ``ValueError`` without one.

    >>> policy_together([DEFAULT_POLICY, RetryPolicy((2, 5), "pause")])
    RetryPolicy(retry_after_days=(2, 5), last_action='pause', retry_minute=540)
    """
    return min(policies, key=lambda policy: max(policy.retry_after_days, default=0))


class StepKind(StrEnum):
    """What the chase does next."""

    RETRY = "retry"
    ASK = "ask"
    LAST_ACTION = "last_action"


@dataclass(frozen=True, slots=True)
class Step:
    """``on`` is the day to try again; for an ask the day of the last action if no answer."""

    kind: StepKind
    on: date


def next_step(
    policy: RetryPolicy, first_on: date, step: int, today: date, decline: DeclineKind
) -> Step:
    """Return what follows a decline of today, when the first one was on ``first_on``.

    ``step`` counts the tries by the clock so far: 0 at the first decline. A soft decline is
    tried again on the next day of the schedule that is still to come (a day that passed while
    nothing ran is not made up for), then the last action is due at once. Any other decline is
    not tried again by the clock: the customer is asked for another method (after ``ask`` the
    same one will do, when they say so), and has until the last day of the schedule.
    Units: shop-local days. Raises ``ValueError`` for a negative ``step``.
    Source: docs/decisions/0021-steps-of-dunning.md.

    >>> first = date(2027, 3, 12)
    >>> next_step(DEFAULT_POLICY, first, 0, first, DeclineKind.SOFT)
    Step(kind=<StepKind.RETRY: 'retry'>, on=datetime.date(2027, 3, 15))
    >>> next_step(DEFAULT_POLICY, first, 1, date(2027, 3, 15), DeclineKind.HARD)
    Step(kind=<StepKind.ASK: 'ask'>, on=datetime.date(2027, 3, 27))
    """
    if step < 0:
        raise ValueError(f"steps count from zero, not {step}")
    days = [first_on + timedelta(days=day) for day in policy.retry_after_days[step:]]
    left = [day for day in days if day > today]
    if not left:
        return Step(StepKind.LAST_ACTION, today)
    if decline is not DeclineKind.SOFT:
        return Step(StepKind.ASK, left[-1])
    return Step(StepKind.RETRY, left[0])


def last_day(policy: RetryPolicy, first_on: date) -> date:
    """Return the last day of the schedule: until then the customer may pay some other way."""
    return first_on + timedelta(days=max(policy.retry_after_days, default=0))
