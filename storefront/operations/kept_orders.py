"""What a placed order keeps of each of its boxes, as its shopper was shown it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any


def kept_boxes(quote: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what an order keeps of each box; before 0100 it was one, kept with the order."""
    boxes: Sequence[Mapping[str, Any]] = quote.get("boxes", [quote])
    return boxes


def kept_days(kept: Mapping[str, Any]) -> tuple[date | None, date | None]:
    """Return the ship day and the cut-off of a box's first box; None for what was not shown."""
    ships_on, cutoff_on = (kept.get(name) for name in ("ships_on", "cutoff_on"))
    return (
        date.fromisoformat(ships_on) if ships_on else None,
        date.fromisoformat(cutoff_on) if cutoff_on else None,
    )


def last_free_day(kept: Mapping[str, Any]) -> date | None:
    """Return the last day on which leaving a box's free trial costs nothing; None for no trial."""
    day = kept.get("last_free_on")
    return date.fromisoformat(day) if day else None
