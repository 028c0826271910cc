"""How often boxes may be skipped: so many in a row, so many a year, so many days before.

A plan sets these three; none of them binds the shop's staff, and none of them refuses to take
a skip back. Source: docs/decisions/0167-limits-of-skips.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import takewhile

from storefront.domain.boxes import ProjectedBox, ProjectedKind, Standing, in_order, project
from storefront.domain.cycles import CycleSlot

#: Columns of a plan that hold the limits, in the order of ``SkipLimits``.
LIMIT_COLUMNS = ("skips_in_row", "skips_per_year", "skip_notice_days")


@dataclass(frozen=True, slots=True)
class SkipLimits:
    """What a plan allows: boxes skipped in a row and in a calendar year (None: any number).

    ``notice_days``: so many days before the cut-off day a skip is asked for at the latest.
    """

    in_row: int | None = None
    per_year: int | None = None
    notice_days: int = 0

    @property
    def binds(self) -> bool:
        """Whether there is anything to say about them."""
        return self != SkipLimits()

    @property
    def none(self) -> bool:
        """Whether no box may be skipped at all."""
        return self.in_row == 0 or self.per_year == 0


class SkipRefusal(StrEnum):
    """Why a box whose cut-off has not passed cannot be skipped."""

    NOTICE = "notice"
    IN_ROW = "in_row"
    PER_YEAR = "per_year"


def last_skip_day(cycle: CycleSlot, limits: SkipLimits) -> date:
    """Return the day in whose last second the box of ``cycle`` may still be skipped.

    >>> march = CycleSlot(1, date(2027, 3, 12), date(2027, 3, 11), date(2027, 3, 15),
    ...                   date(2027, 3, 18))
    >>> last_skip_day(march, SkipLimits(notice_days=3))
    datetime.date(2027, 3, 8)
    """
    return cycle.cutoff_on - timedelta(days=limits.notice_days)


@dataclass(frozen=True, slots=True)
class SkipRoom:
    """What one subscription has left of its limits."""

    limits: SkipLimits
    today: date
    #: Cycles in the order in which their boxes leave.
    cycles: tuple[CycleSlot, ...]
    skipped: AbstractSet[int]
    #: Those of the skipped that nobody asked for.
    uncounted: AbstractSet[int]
    #: Cycles in which a box of the subscription left, stands or is planned.
    boxes: AbstractSet[int]
    #: What comes, as projected.
    ahead: tuple[ProjectedBox, ...]

    def refusal(self, cycle: CycleSlot) -> SkipRefusal | None:
        """Return why the box of ``cycle`` cannot be skipped, None when it can.

        That there is such a box and that its cut-off has not passed is the caller's.
        """
        limits = self.limits
        if self.today > last_skip_day(cycle, limits):
            return SkipRefusal.NOTICE
        if limits.in_row is not None and self.row_with(cycle) > limits.in_row:
            return SkipRefusal.IN_ROW
        if limits.per_year is not None and self.used_in(year_of(cycle)) >= limits.per_year:
            return SkipRefusal.PER_YEAR
        return None

    def row_with(self, cycle: CycleSlot) -> int:
        """Return how many boxes would be skipped in a row, with that of ``cycle``.

        In a row are skips with no box of the subscription leaving between them; cycles
        it has no box in (rolling plans, pauses) and skips nobody asked for neither count
        nor break the row.
        """
        keys = [one.id for one in self.cycles]
        if cycle.id not in keys:
            return 1
        at = keys.index(cycle.id)
        return 1 + self._row(reversed(keys[:at])) + self._row(keys[at + 1 :])

    def _row(self, keys: Iterable[int]) -> int:
        until_a_box = takewhile(lambda key: key in self.skipped or key not in self.boxes, keys)
        return sum(key in self._counted for key in until_a_box)

    def used_in(self, year: int) -> int:
        """Return how many boxes of a calendar year are skipped by now."""
        return sum(one.id in self._counted and year_of(one) == year for one in self.cycles)

    @property
    def _counted(self) -> AbstractSet[int]:
        return self.skipped - self.uncounted

    def first_open(self) -> CycleSlot | None:
        """Return the cycle of the first coming box that may be skipped, None in sight."""
        coming = (box.cycle for box in self.ahead if box.kind is not ProjectedKind.SKIPPED)
        open_ = (one for one in coming if one is not None and one.cutoff_on >= self.today)
        return next((one for one in open_ if self.refusal(one) is None), None)


def year_of(cycle: CycleSlot) -> int:
    """Return the year a skip of ``cycle`` counts in: that of its charge day, else its lock.

    Never that of its ship day, which a holiday may move into the next year.
    """
    return cycle.feed_on.year


def room_for_skips(
    standing: Standing,
    limits: SkipLimits,
    ahead: Sequence[ProjectedBox],
    today: date,
    uncounted: AbstractSet[int] = frozenset(),
) -> SkipRoom:
    """Return what is left of ``limits``; ``ahead`` are the coming boxes as projected.

    It depends on the set of skips, never on the order in which they were made; those of
    ``uncounted`` cycles were not asked for.
    """
    found = ahead
    if limits.in_row is not None and standing.skipped:
        # A skip far ahead is in a row with one of these boxes unless others lie between.
        found = project(standing, len(standing.cycles), today)
    places = {box.cycle.id for box in found if box.cycle and box.kind is not ProjectedKind.SKIPPED}
    return SkipRoom(
        limits,
        today,
        tuple(in_order(standing.cycles)),
        standing.skipped,
        uncounted,
        places | standing.taken,
        tuple(ahead),
    )
