"""Another name and other days for a group that subscribers are in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.rhythm_changes import Kept, RhythmProblem
from storefront.models import AuditEntry, Box, BoxCycle, CycleGroup
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.cycles import plan_ahead
from storefront.services.days_off import set_days_off
from storefront.services.finishing import Outcome
from storefront.services.group_rhythm import (
    GroupGone,
    NameTaken,
    NotAsShown,
    RhythmDraft,
    RhythmRefused,
    change_group,
    preview_group,
)
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_group, make_plan, make_recipe, make_subscription
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import begin, paid

AS_IT_IS = RhythmDraft("Monthly boxes", 1, 3, 6, 2)
#: Cut-off five days before the charge; left three days later.
SLOWER = RhythmDraft("Slow boxes", 5, 4, 9, 2)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def change(rt: Runtime, who: Who, group: CycleGroup, draft: RhythmDraft) -> int:
    """Look at the preview and save it."""
    shown = preview_group(rt, group.public_id, draft)
    return change_group(rt, who, group.public_id, draft, shown.version, shown.seen)


def cycles(rt: Runtime, group: CycleGroup) -> dict[str, sa.Row[tuple[object, ...]]]:
    table = table_of(BoxCycle)
    rows = rt.session.execute(sa.select(table).where(table.c.group_id == group.id)).all()
    rt.session.rollback()
    return {row.key: row for row in rows}


def test_cycles_that_are_not_sold_follow_and_every_payment_keeps_its_box(
    rt: Runtime, clock: FrozenClock, who: Who
) -> None:
    group = make_group(rt)
    sub = make_subscription(rt, plan=make_plan(rt, group=group))
    before = cycles(rt, group)
    shown = preview_group(rt, group.public_id, SLOWER)
    kept = {one.round.days.key: one.kept for one in shown.steps}
    assert kept["2027-03"] is Kept.PROMISED
    assert kept["2027-04"] is None
    moved = change_group(rt, who, group.public_id, SLOWER, shown.version, shown.seen)
    after = cycles(rt, group)
    assert moved == len(before) - 1
    assert after["2027-03"] == before["2027-03"]
    april = after["2027-04"]
    assert (april.id, april.charge_on) == (before["2027-04"].id, date(2027, 4, 12))
    assert (april.cutoff_on, april.lock_on) == (date(2027, 4, 7), date(2027, 4, 16))
    assert april.ship_from == date(2027, 4, 21)
    assert rt.session.scalar(sa.select(CycleGroup.name)) == "Slow boxes"
    noted = sa.select(AuditEntry.after).where(AuditEntry.action == "group.changed")
    assert rt.session.scalar(noted)["moved"] == moved
    rt.session.rollback()

    for month in (4, 5, 6):
        clock.advance(days=(date(2027, month, 12) - rt.today()).days)
        plan_ahead(rt)
        run_renewals(rt)
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = rt.session.execute(
        sa.select(box.c.period_id, cycle.c.key)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.subscription_id == sub.id)
        .order_by(box.c.id)
    ).all()
    rt.session.rollback()
    assert [row.key for row in rows] == ["2027-03", "2027-04", "2027-05", "2027-06"]
    assert len({row.period_id for row in rows}) == 4
    # What the worker made since has the new days, too.
    made = cycles(rt, group)
    last = max(made)
    assert last > max(before)
    assert (made[last].charge_on - made[last].cutoff_on).days == 5


def test_two_tabs_do_not_save_over_each_other(rt: Runtime, who: Who) -> None:
    group = make_group(rt)
    ref = group.public_id
    first, second = preview_group(rt, ref, SLOWER), preview_group(rt, ref, AS_IT_IS)
    assert not second.moves
    change_group(rt, who, ref, SLOWER, first.version, first.seen)
    after = cycles(rt, group)
    renamed = replace(AS_IT_IS, name="Boxes")
    with pytest.raises(NotAsShown):
        change_group(rt, who, ref, renamed, second.version, second.seen)
    rt.session.rollback()
    assert cycles(rt, group) == after
    # An order that came after the preview keeps its cycle, so that is looked at again.
    back = preview_group(rt, ref, AS_IT_IS)
    make_subscription(rt, plan=make_plan(rt, group=group))
    with pytest.raises(NotAsShown):
        change_group(rt, who, ref, AS_IT_IS, back.version, back.seen)
    rt.session.rollback()
    assert cycles(rt, group)["2027-03"].cutoff_on == date(2027, 3, 7)
    # A name needs no preview, and moves nothing.
    name = replace(SLOWER, name="Quick boxes")
    assert change_group(rt, who, ref, name, preview_group(rt, ref, name).version, "") == 0
    assert rt.session.scalar(sa.select(CycleGroup.name)) == "Quick boxes"
    rt.session.rollback()


def test_prepaid_boxes_follow_where_staff_say_so_and_stay_in_their_cycles(
    rt: Runtime, who: Who
) -> None:
    group = make_group(rt)
    sub = make_subscription(rt, plan=make_plan(rt, group=group, count=3, amount_minor=7410))
    seats = sa.select(Box.id, Box.cycle_id).where(Box.subscription_id == sub.id).order_by(Box.id)
    before = rt.session.execute(seats).all()
    rt.session.rollback()
    shown = preview_group(rt, group.public_id, SLOWER)
    kept = {one.round.days.key: one.kept for one in shown.steps}
    assert (kept["2027-03"], kept["2027-04"]) == (Kept.PROMISED, Kept.BOXES)
    assert kept["2027-06"] is None
    shown = preview_group(rt, group.public_id, replace(SLOWER, moves_paid=True))
    kept = {one.round.days.key: one.kept for one in shown.steps}
    assert (kept["2027-03"], kept["2027-04"]) == (Kept.PROMISED, None)
    assert change(rt, who, group, replace(SLOWER, moves_paid=True))
    after = cycles(rt, group)
    assert after["2027-03"].cutoff_on == date(2027, 3, 11)
    assert after["2027-04"].cutoff_on == date(2027, 4, 7)
    assert rt.session.execute(seats).all() == before
    rt.session.rollback()


def test_what_would_charge_twice_before_the_first_box_is_refused(rt: Runtime, who: Who) -> None:
    group = make_group(rt)
    make_subscription(rt, plan=make_plan(rt, group=group, trial_days=30))
    late = RhythmDraft("Late", 1, 20, 37, 2)
    with pytest.raises(RhythmRefused) as refused:
        change(rt, who, group, late)
    rt.session.rollback()
    assert refused.value.problem is RhythmProblem.PAID_BEFORE
    assert change(rt, who, group, SLOWER)


def test_the_cycle_of_an_order_whose_payment_is_on_its_way_keeps_its_days(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, who: Who
) -> None:
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan)
    # The day after the cut-off of March, whose charge day is still to come.
    clock.advance(days=(date(2027, 3, 12) - rt.today()).days)
    # A card whose bank asks first: the order waits for its buyer.
    assert paid(rt, demo_gateway, begin(rt, plan), "3220") is Outcome.ACTION
    shown = preview_group(rt, group.public_id, SLOWER)
    kept = {one.round.days.key: one.kept for one in shown.steps}
    assert kept["2027-04"] is Kept.PROMISED
    assert kept["2027-05"] is None


def test_a_cycle_that_stayed_follows_the_next_time_and_leaves_on_no_new_day_off(
    rt: Runtime, clock: FrozenClock, who: Who
) -> None:
    group = make_group(rt)
    make_subscription(rt, plan=make_plan(rt, group=group, count=6))
    change(rt, who, group, SLOWER)
    april = cycles(rt, group)["2027-04"]
    assert april.lock_on == date(2027, 4, 15)
    set_days_off(rt, who, [april.ship_from], (7,))
    moved = cycles(rt, group)["2027-04"].ship_from
    assert moved > april.ship_from

    change(rt, who, group, replace(SLOWER, moves_paid=True))
    assert cycles(rt, group)["2027-04"].lock_on == date(2027, 4, 16)


def test_names_and_the_lock_of_rolling_groups_are_held_to(rt: Runtime, who: Who) -> None:
    weekly = {"unit": "week", "charge_day": None, "name": "Weekly", "code": "weekly"}
    rolling = make_group(rt, **weekly, anchor_on=date(2027, 3, 1))
    before = cycles(rt, rolling)
    changed = replace(AS_IT_IS, name="Weekly", lock_days=0, ship_days=5)
    assert change(rt, who, rolling, changed)
    after = cycles(rt, rolling)
    assert all(after[key].lock_on == row.lock_on for key, row in before.items())
    assert any(after[key].ship_from != row.ship_from for key, row in before.items())

    other = make_group(rt)
    for name in ("weekly", "Weekly"):
        with pytest.raises(NameTaken):
            change(rt, who, other, replace(AS_IT_IS, name=name))
        rt.session.rollback()
    with pytest.raises(GroupGone):
        preview_group(rt, "grp_none", AS_IT_IS)
    with pytest.raises(ValueError, match="lock"):
        preview_group(rt, other.public_id, replace(AS_IT_IS, lock_days=9))
