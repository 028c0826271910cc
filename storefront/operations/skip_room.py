"""What the plan of a subscription lets be skipped, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from storefront.domain.boxes import ProjectedBox
from storefront.domain.skip_limits import SkipLimits, SkipRoom, room_for_skips
from storefront.operations.skips import Coming


def skip_limits(coming: Coming) -> SkipLimits:
    """Return what the present plan allows."""
    row = coming.row
    return SkipLimits(row.skips_in_row, row.skips_per_year, row.skip_notice_days)


def skip_room(coming: Coming, ahead: Sequence[ProjectedBox], today: date) -> SkipRoom:
    """Return what is left of the limits; ``ahead`` are the coming boxes as projected."""
    forced = frozenset(cycle for cycle, skip in coming.skips.items() if skip.is_forced)
    return room_for_skips(coming.standing, skip_limits(coming), ahead, today, forced)
