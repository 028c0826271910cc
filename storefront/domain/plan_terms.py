"""What a merchant may ask of a plan: terms and introductory prices that can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from storefront.domain.periods import Interval


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """How a plan begins, binds, changes and ends; the names are those of the plan's columns."""

    trial_days: int = 0
    trial_needs_card: bool = True
    min_boxes: int = 0
    max_boxes: int | None = None
    ends_on: date | None = None
    at_term_end: str = "renew"
    first_period: str = "full"
    charge_day: int | None = None
    change_policy: str = "boxes"
    past_due_shipping: str = "hold"
    pause_unpaid: str = "credit"
    skips_in_row: int | None = None
    skips_per_year: int | None = None
    skip_notice_days: int = 0
    box_notice_days: int = 0
    first_box: str = "next"
    first_box_on: date | None = None
    second_withdrawal: bool = False


def problems_of_terms(
    terms: PlanTerms, shipping: Interval | None, billing: Sequence[Interval]
) -> dict[str, str]:
    """Return what cannot be kept, as field name to reason; empty when all can.

    ``shipping`` is None for a plan that ships nothing; ``billing`` are the intervals on sale.
    Reasons: not_prorated (a box has no parts), group_decides (boxes are charged on the day of
    their cycles), below_minimum, not_whole (a payment would bring more boxes than are left),
    no_single (nothing is sold a box at a time), no_day (a first box that waits, for when?),
    with_payment (a trial's first box, or that after free days, comes with its payment).
    Source: docs/decisions/0064-how-it-begins.md, 0181-first-boxes.md.

    >>> problems_of_terms(PlanTerms(max_boxes=4), Interval("month"), [Interval("month", 3)])
    {'max_boxes': 'not_whole'}
    """
    found = {}
    if shipping is not None:
        if terms.first_period == "prorated":
            found["first_period"] = "not_prorated"
        if terms.charge_day is not None:
            found["charge_day"] = "group_decides"
        if terms.at_term_end == "monthly" and shipping not in billing:
            found["at_term_end"] = "no_single"
        found |= _problem_of_first_box(terms)
    end = _problem_of_end(terms, shipping, billing)
    return found | ({"max_boxes": end} if end else {})


def _problem_of_first_box(terms: PlanTerms) -> dict[str, str]:
    if terms.first_box == "later" and terms.first_box_on is None:
        return {"first_box_on": "no_day"}
    is_free = terms.first_box == "now" and terms.first_period == "free"
    if terms.first_box != "next" and (terms.trial_days or is_free):
        return {"first_box": "with_payment"}
    return {}


def _problem_of_end(
    terms: PlanTerms, shipping: Interval | None, billing: Sequence[Interval]
) -> str:
    if terms.max_boxes is None:
        return ""
    if terms.max_boxes < terms.min_boxes:
        return "below_minimum"
    whole = all(terms.max_boxes % boxes == 0 for boxes in _boxes(shipping, billing))
    return "" if whole else "not_whole"


def problem_of_phases(
    phases: Sequence[tuple[int, int]], shipping: Interval | None, billing: Interval
) -> str:
    """Return what is wrong with introductory prices (boxes, amount), empty when nothing is.

    not_rising: each counts from the first box on, so the next is longer; not_whole: one would
    end inside a payment.

    >>> problem_of_phases([(3, 900), (2, 1200)], Interval("month"), Interval("month"))
    'not_rising'
    """
    counts = [boxes for boxes, _ in phases]
    if any(boxes < 1 for boxes in counts) or counts != sorted(set(counts)):
        return "not_rising"
    (per,) = _boxes(shipping, [billing])
    return "not_whole" if any(boxes % per for boxes in counts) else ""


def _boxes(shipping: Interval | None, billing: Sequence[Interval]) -> list[int]:
    """Return how many boxes each interval pays for; what ships nothing counts payments."""
    if shipping is None:
        return [1 for _ in billing]
    return [interval.multiple_of(shipping) or 1 for interval in billing]
