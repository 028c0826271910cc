"""A plan's limits of skips, as the engine keeps them, and the last second of a cut-off."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.events import Actor
from storefront.domain.skip_limits import SkipLimits, SkipRefusal
from storefront.models import Box, BoxCycle, BoxSkip, Plan, Subscription
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.services.skips import BoxTooLate, SkipNotAllowed, skip_box, undo_skip
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_group, make_plan, make_shop, make_subscription


def cycle(rt: Runtime, key: str) -> str:
    """Return the public id of a cycle, by its month."""
    found = rt.session.execute(sa.select(BoxCycle.public_id).where(BoxCycle.key == key))
    public = found.scalar_one()
    rt.session.rollback()
    return public


def skip(rt: Runtime, sub: Subscription, key: str, actor: Actor = Actor.CUSTOMER):
    return skip_box(rt, sub.customer_id or 0, sub.public_id, cycle(rt, key), actor)


def undo(rt: Runtime, sub: Subscription, key: str):
    return undo_skip(rt, sub.customer_id or 0, sub.public_id, cycle(rt, key))


def skipped(rt: Runtime) -> list[str]:
    """Return the months that are skipped."""
    skips, cycles = table_of(BoxSkip), table_of(BoxCycle)
    rows = rt.session.scalars(
        sa.select(cycles.c.key).join(skips, skips.c.cycle_id == cycles.c.id).order_by(cycles.c.key)
    ).all()
    rt.session.rollback()
    return list(rows)


def limited(rt: Runtime, **limits: int) -> Subscription:
    """Ordered on 2 March, so the March box is paid; charged on each 12th."""
    return make_subscription(rt, plan=make_plan(rt, **limits))


def test_one_box_too_many_in_a_row_is_refused_and_the_first_possible_is_named(rt: Runtime) -> None:
    sub = limited(rt, skips_in_row=2)
    skip(rt, sub, "2027-04")
    skip(rt, sub, "2027-05")
    with pytest.raises(SkipNotAllowed) as refused:
        skip(rt, sub, "2027-06")
    assert refused.value.params == {
        "why": SkipRefusal.IN_ROW,
        "limits": SkipLimits(in_row=2),
        "year": 2027,
        "next_on": date(2027, 7, 19),
        "until_on": date(2027, 7, 11),
    }
    assert skipped(rt) == ["2027-04", "2027-05"]
    skip(rt, sub, "2027-07")


def test_a_box_that_moved_does_not_end_a_row_of_skips(rt: Runtime) -> None:
    sub = limited(rt, skips_in_row=2)
    # The paid box of March goes to April, then to May.
    skip(rt, sub, "2027-03")
    skip(rt, sub, "2027-04")
    with pytest.raises(SkipNotAllowed):
        skip(rt, sub, "2027-05")


def test_a_skip_that_is_past_counts_in_a_row(rt: Runtime, clock: FrozenClock) -> None:
    sub = limited(rt, skips_in_row=1)
    skip(rt, sub, "2027-04")
    while rt.today() < date(2027, 5, 5):
        clock.advance(days=1)
        run_renewals(rt)
    with pytest.raises(SkipNotAllowed):
        skip(rt, sub, "2027-05")
    skip(rt, sub, "2027-06")


def test_so_many_in_a_calendar_year_and_then_the_next_year_opens(
    rt: Runtime, clock: FrozenClock
) -> None:
    sub = limited(rt, skips_per_year=2)
    skip(rt, sub, "2027-04")
    skip(rt, sub, "2027-06")
    with pytest.raises(SkipNotAllowed) as refused:
        skip(rt, sub, "2027-08")
    assert refused.value.params["why"] is SkipRefusal.PER_YEAR
    assert refused.value.params["next_on"] is None
    while rt.today() < date(2027, 11, 20):
        clock.advance(days=1)
        run_renewals(rt)
    rt.session.execute(sa.update(Box).values(state=BoxState.EXPORTED))
    rt.session.commit()
    with pytest.raises(SkipNotAllowed) as refused:
        skip(rt, sub, "2027-12")
    assert refused.value.params["next_on"] == date(2028, 1, 18)
    skip(rt, sub, "2028-01")


def test_a_skip_that_nobody_asked_for_counts_against_no_limit(rt: Runtime) -> None:
    sub = limited(rt, skips_per_year=1, skips_in_row=1)
    skip(rt, sub, "2027-04")
    rt.session.execute(sa.update(table_of(BoxSkip)).values(is_forced=True))
    rt.session.commit()
    skip(rt, sub, "2027-05")
    with pytest.raises(SkipNotAllowed):
        skip(rt, sub, "2027-06")


def test_a_skip_taken_back_does_not_count(rt: Runtime) -> None:
    sub = limited(rt, skips_per_year=1)
    skip(rt, sub, "2027-04")
    undo(rt, sub, "2027-04")
    skip(rt, sub, "2027-05")
    assert skipped(rt) == ["2027-05"]


def test_the_notice_ends_in_the_last_second_of_its_day_and_undo_at_the_cut_off(
    rt: Runtime, clock: FrozenClock
) -> None:
    sub = limited(rt, skip_notice_days=3)
    clock.set(datetime(2027, 3, 8, 22, 59, 59, tzinfo=UTC))
    skip(rt, sub, "2027-03")
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    undo(rt, sub, "2027-03")
    clock.set(datetime(2027, 3, 8, 23, 0, tzinfo=UTC))
    with pytest.raises(SkipNotAllowed) as refused:
        skip(rt, sub, "2027-03")
    assert refused.value.params["why"] is SkipRefusal.NOTICE
    assert refused.value.params["until_on"] == date(2027, 4, 8)


def test_staff_may_skip_beyond_the_limits_until_the_cut_off(
    rt: Runtime, clock: FrozenClock
) -> None:
    sub = limited(rt, skips_in_row=0, skip_notice_days=5)
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    assert skip(rt, sub, "2027-03", Actor.STAFF).moved
    undo(rt, sub, "2027-03")
    clock.set(datetime(2027, 3, 11, 23, 0, tzinfo=UTC))
    clock.advance(seconds=1)
    with pytest.raises(BoxTooLate):
        skip(rt, sub, "2027-03", Actor.STAFF)


def test_a_limit_set_later_holds_for_subscribers_there_are_and_undoes_nothing(rt: Runtime) -> None:
    sub = limited(rt)
    for key in ("2027-04", "2027-05"):
        skip(rt, sub, key)
    rt.session.execute(sa.update(table_of(Plan)).values(skips_in_row=1))
    rt.session.commit()
    with pytest.raises(SkipNotAllowed):
        skip(rt, sub, "2027-06")
    # Asked for again, what is skipped is skipped.
    assert not skip(rt, sub, "2027-05").changed
    assert skipped(rt) == ["2027-04", "2027-05"]


def test_in_whatever_order_boxes_are_skipped_a_limit_leaves_as_many(rt: Runtime) -> None:
    sub = limited(rt, skips_per_year=2)
    for order in permutations(["2027-03", "2027-05", "2027-07"]):
        for key in order[:2]:
            skip(rt, sub, key)
        with pytest.raises(SkipNotAllowed):
            skip(rt, sub, order[2])
        assert skipped(rt) == sorted(order[:2])
        for key in order[:2]:
            undo(rt, sub, key)
        assert skipped(rt) == []


@pytest.mark.parametrize(
    ("zone", "cutoff", "last"),
    [
        # The day on which the clocks go forward, 23 hours long: the offset at its end counts.
        ("Europe/Berlin", date(2027, 3, 28), datetime(2027, 3, 28, 21, 59, 59, tzinfo=UTC)),
        ("America/New_York", date(2027, 3, 14), datetime(2027, 3, 15, 3, 59, 59, tzinfo=UTC)),
        # The day on which they go back, 25 hours long.
        ("Pacific/Auckland", date(2027, 4, 4), datetime(2027, 4, 4, 11, 59, 59, tzinfo=UTC)),
    ],
)
def test_the_cut_off_is_the_last_second_of_its_day_in_the_zone_of_the_shop(
    rt: Runtime, clock: FrozenClock, zone: str, cutoff: date, last: datetime
) -> None:
    make_shop(rt, zone=zone)
    group = make_group(rt, charge_day=cutoff.day + 1)
    sub = make_subscription(rt, plan=make_plan(rt, group=group))
    key = f"{cutoff:%Y-%m}"
    clock.set(last)
    skip(rt, sub, key)
    undo(rt, sub, key)
    skip(rt, sub, key)
    clock.set(last + timedelta(seconds=1))
    with pytest.raises(BoxTooLate):
        undo(rt, sub, key)
    clock.set(last)
    undo(rt, sub, key)
    clock.set(last + timedelta(seconds=1))
    with pytest.raises(BoxTooLate):
        skip(rt, sub, key)
    assert skipped(rt) == []
