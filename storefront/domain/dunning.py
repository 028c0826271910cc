"""What follows a decline: another try, a question to the customer, or the last action."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal

from storefront.domain.charging import DeclineKind

LastAction = Literal["cancel", "pause", "leave"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait after each soft decline, in days, and what happens in the end.

    Each number counts from the decline just before, so (3, 5, 7) tries 3, 8 and 15 days
    after the first decline. The end comes with the decline of the last try.
    Raises ``ValueError`` for a wait below one day.
    """

    retry_after_days: tuple[int, ...] = (3, 5, 7)
    last_action: LastAction = "cancel"

    def __post_init__(self) -> None:
        if any(days < 1 for days in self.retry_after_days):
            raise ValueError(f"a retry waits at least a day: {self.retry_after_days}")


DEFAULT_POLICY = RetryPolicy()


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


def next_step(policy: RetryPolicy, step: int, declined_on: date, decline: DeclineKind) -> Step:
    """Return what follows the decline of ``declined_on``.

    ``step`` counts the declines of this case before that one, so the first is 0. A soft
    decline is tried again while the policy has a wait left, then the last action is due
    at once. A hard decline is never tried again on that method: the customer is asked
    for another, and has as long as the retries left would have taken.
    Units: shop-local days. Raises ``ValueError`` for a negative ``step``.
    Source: docs/decisions/0021-steps-of-dunning.md.

    >>> next_step(DEFAULT_POLICY, 0, date(2027, 3, 12), DeclineKind.SOFT)
    Step(kind=<StepKind.RETRY: 'retry'>, on=datetime.date(2027, 3, 15))
    >>> next_step(DEFAULT_POLICY, 1, date(2027, 3, 15), DeclineKind.HARD)
    Step(kind=<StepKind.ASK: 'ask'>, on=datetime.date(2027, 3, 27))
    """
    if step < 0:
        raise ValueError(f"steps count from zero, not {step}")
    waits = policy.retry_after_days[step:]
    if not waits:
        return Step(StepKind.LAST_ACTION, declined_on)
    if decline is DeclineKind.HARD:
        return Step(StepKind.ASK, declined_on + timedelta(days=sum(waits)))
    return Step(StepKind.RETRY, declined_on + timedelta(days=waits[0]))
