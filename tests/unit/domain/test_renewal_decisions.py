"""What becomes of a subscription at a boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from storefront.domain.boxes import PaidBox, ProjectedKind, Standing, project
from storefront.domain.cycles import CycleSlot
from storefront.domain.lifecycle import EndReason, HoldReason
from storefront.domain.periods import Interval
from storefront.domain.renewals import Boundary, Fate, decide

MONTH = Interval("month")
DAY = date(2027, 4, 12)
NOW = datetime(2027, 4, 12, 6, tzinfo=UTC)
DUE = Boundary(
    start=DAY,
    anchor_on=DAY,
    anchor_day=12,
    billing=MONTH,
    shipping=MONTH,
    today=DAY,
    now=NOW,
    due_at=NOW,
)


def fate(**changes):
    return decide(replace(DUE, **changes)).fate


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, Fate.BILL),
        ({"today": date(2027, 4, 11)}, Fate.WAIT),
        ({"cancel_on": DAY}, Fate.END),
        ({"cancel_on": date(2027, 5, 12)}, Fate.BILL),
        ({"anchor_on": date(2027, 4, 20)}, Fate.FREE),
        ({"max_boxes": 3, "boxes_billed": 2}, Fate.BILL),
        ({"max_boxes": 3, "boxes_billed": 3}, Fate.END),
        ({"max_boxes": 3, "boxes_billed": 1, "boxes_next": 2}, Fate.BILL),
        ({"max_boxes": 3, "boxes_billed": 2, "boxes_next": 2}, Fate.END),
        ({"ends_on": DAY}, Fate.END),
        ({"ends_on": DAY + timedelta(days=1)}, Fate.BILL),
        ({"is_trial_without_method": True}, Fate.END),
        ({"is_pausing": True}, Fate.PAUSE),
        ({"is_pausing": True, "max_boxes": 1, "boxes_billed": 1}, Fate.END),
        ({"is_pausing": True, "cancel_on": DAY}, Fate.END),
        ({"is_pausing": True, "today": date(2027, 4, 11)}, Fate.WAIT),
        ({"has_consent": False}, Fate.HOLD),
        ({"due_at": NOW - timedelta(hours=49)}, Fate.HOLD),
        ({"last_billed_at": NOW - timedelta(hours=23)}, Fate.WAIT),
        ({"last_billed_at": NOW - timedelta(hours=24)}, Fate.BILL),
        ({"last_paid_on": DAY + timedelta(days=1)}, Fate.SKIP),
    ],
)
def test_the_first_reason_decides(changes, wanted):
    assert fate(**changes) is wanted


def test_each_end_says_why():
    assert decide(replace(DUE, max_boxes=0)).reason is EndReason.COMPLETED
    assert decide(replace(DUE, ends_on=DAY)).reason is EndReason.COMPLETED
    assert decide(replace(DUE, is_trial_without_method=True)).reason is EndReason.ABANDONED
    assert decide(replace(DUE, has_consent=False)).reason is HoldReason.NO_CONSENT


def test_a_pause_covers_the_days_until_it_ends_if_that_is_known():
    assert decide(replace(DUE, is_pausing=True)).end_on is None
    until = date(2027, 7, 12)
    assert decide(replace(DUE, is_pausing=True, resumes_on=until)).end_on == until


CYCLES = [
    CycleSlot(n, date(2027, n, 12), date(2027, n, 11), date(2027, n, 16), date(2027, n, 18))
    for n in range(1, 13)
]
STANDING = Standing(CYCLES, MONTH, MONTH, date(2027, 4, 12), 12)


def coming(**changes):
    boxes = project(replace(STANDING, **changes), 6, date(2027, 4, 1))
    return [box.cycle.id for box in boxes if box.kind is not ProjectedKind.SKIPPED]


def test_no_box_is_promised_behind_the_end():
    assert coming() == [4, 5, 6, 7, 8, 9]
    assert coming(boxes_left=2) == [4, 5]
    assert coming(boxes_left=0) == []
    assert coming(ends_on=date(2027, 6, 12)) == [4, 5]
    assert coming(boxes_left=4, billing=Interval("month", 3)) == [4, 5, 6]


def test_a_paid_box_does_not_count_against_what_is_left():
    paid = [PaidBox(1, CYCLES[2])]
    assert coming(paid=paid, boxes_left=1) == [3, 4]
