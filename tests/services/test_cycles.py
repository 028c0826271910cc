"""Cycles planned ahead, boxes seated in them, and the lock."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState, CycleState
from storefront.domain.lifecycle import HoldReason, SubscriptionState
from storefront.models import Box, BoxItem, ProductVariant, StockMove
from storefront.services import cycles as service
from storefront.services.cycles import LockNotDue, close_cycle, close_cycles, plan_ahead
from storefront.testing.factories import (
    make_address,
    make_group,
    make_options,
    make_plan,
    make_recipe,
    make_variant,
)
from tests.support.boxes import cycles_of, make_box, make_subscribed


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


def again(rt, row):
    fresh = rt.session.get_one(type(row), row.id)
    rt.session.expunge(fresh)
    rt.session.rollback()
    return fresh


def moves(rt, kind):
    return rt.session.scalars(
        sa.select(StockMove.quantity).where(StockMove.kind == kind).order_by(StockMove.id)
    ).all()


@pytest.fixture
def shop(rt):
    """A plan with a recipe of one variant (10 there), and its first cycle."""
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    variant = make_variant(rt, on_hand=10)
    make_recipe(rt, plan, variants=[variant])
    return plan, cycles_of(rt, group)[0], variant


def after_lock(clock):
    clock.advance(days=14)  # 16 March; the first cycle locks on the 15th


def test_cycles_are_planned_400_days_ahead_and_never_twice(rt):
    group = make_group(rt, cycles=0)

    assert plan_ahead(rt).made == 13
    assert plan_ahead(rt).made == 0

    keys = [cycle.key for cycle in cycles_of(rt, group)]
    assert (keys[0], keys[-1]) == ("2027-03", "2028-03")


def test_the_next_cycle_opens_and_stays_open_through_its_cut_off_day(rt, clock):
    group = make_group(rt)

    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))  # 23:59:59 in Berlin
    plan_ahead(rt)
    assert [c.state for c in cycles_of(rt, group)][:2] == [CycleState.OPEN, CycleState.PLANNED]

    clock.set(datetime(2027, 3, 11, 23, 0, tzinfo=UTC))
    plan_ahead(rt)
    assert [c.state for c in cycles_of(rt, group)][:2] == [CycleState.OPEN, CycleState.OPEN]


def test_boxes_that_waited_join_the_new_cycles_in_order(rt):
    group = make_group(rt, cycles=1)
    plan = make_plan(rt, group=group)
    subscription = make_subscribed(rt, plan)
    first = cycles_of(rt, group)[0]
    make_box(rt, plan, first, subscription=subscription)
    second = make_box(rt, plan, None, subscription=subscription, number=1)
    third = make_box(rt, plan, None, subscription=subscription, number=2)

    assert plan_ahead(rt).seated == 2
    assert plan_ahead(rt).seated == 0

    by_id = {cycle.id: cycle.key for cycle in cycles_of(rt, group)}
    assert by_id[again(rt, second).cycle_id] == "2027-04"
    assert by_id[again(rt, third).cycle_id] == "2027-05"


def test_a_cycle_locks_after_the_last_second_of_its_lock_day(rt, clock, shop):
    plan, cycle, _variant = shop
    box = make_box(rt, plan, cycle)

    clock.set(datetime(2027, 3, 15, 22, 59, 59, tzinfo=UTC))  # 23:59:59 in Berlin
    assert close_cycles(rt).cycles == []
    clock.set(datetime(2027, 3, 15, 23, 0, tzinfo=UTC))
    assert close_cycles(rt).cycles == [cycle.public_id]

    assert again(rt, cycle).state is CycleState.LOCKED
    assert again(rt, box).state is BoxState.LOCKED


def test_the_lock_freezes_address_contents_and_takes_the_stock_once(rt, clock, shop):
    plan, cycle, variant = shop
    box = make_box(rt, plan, cycle, quantity=3)
    after_lock(clock)

    close_cycles(rt)
    close_cycles(rt)

    locked = again(rt, box)
    assert locked.ship_to["street"] == "Lindenweg 4"
    assert locked.packing["contents"] == [[variant.sku, 3]]
    assert locked.packing["weight_grams"] == 360
    item = rt.session.execute(sa.select(BoxItem.quantity, BoxItem.origin)).one()
    assert tuple(item) == (3, "recipe")
    counted = again(rt, variant)
    assert (counted.on_hand, counted.committed) == (7, 3)
    assert moves(rt, "allocation") == [-3]


def test_the_address_of_the_box_alone_wins_over_the_subscription_s(rt, clock, shop):
    plan, cycle, _variant = shop
    subscription = make_subscribed(rt, plan)
    other = make_address(rt, _customer(rt, subscription), street="Am Ring 1")
    box = make_box(rt, plan, cycle, subscription=subscription, address_id=other.id)
    after_lock(clock)

    close_cycles(rt)

    assert again(rt, box).ship_to["street"] == "Am Ring 1"


def _customer(rt, subscription):
    from storefront.models import Customer

    found = rt.session.get_one(Customer, subscription.customer_id)
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.mark.parametrize("state", [SubscriptionState.CANCELED, SubscriptionState.PAUSED])
def test_a_paid_box_of_an_ended_or_paused_subscription_is_packed(rt, clock, shop, state):
    plan, cycle, _variant = shop
    box = make_box(rt, plan, cycle, subscription=make_subscribed(rt, plan, state=state))
    after_lock(clock)

    close_cycles(rt)

    assert again(rt, box).state is BoxState.LOCKED


def test_boxes_that_cannot_leave_are_held_with_their_problem(rt, clock, shop):
    plan, cycle, variant = shop
    held = make_subscribed(rt, plan, held_at=rt.now(), hold_reason=HoldReason.STAFF)
    nowhere = make_subscribed(rt, plan, address_id=None)
    unserved = make_subscribed(rt, plan)
    foreign = make_address(rt, _customer(rt, unserved), country="US")
    bare = make_plan(rt, group=_group(rt, plan))
    expected = {
        make_box(rt, plan, cycle, subscription=held).id: "held",
        make_box(rt, plan, cycle, subscription=nowhere).id: "no_address",
        make_box(rt, plan, cycle, subscription=unserved, address_id=foreign.id).id: "no_address",
        make_box(rt, bare, cycle).id: "no_recipe",
        make_box(rt, plan, cycle, quantity=11).id: "short_stock",
    }
    after_lock(clock)

    done = close_cycles(rt)

    rows = rt.session.execute(sa.select(Box.id, Box.problem, Box.state)).all()
    assert {row.id: row.problem for row in rows} == expected
    assert {row.state for row in rows} == {BoxState.HELD}
    assert done.boxes.held == {"held": 1, "no_address": 2, "no_recipe": 1, "short_stock": 1}
    assert again(rt, cycle).state is CycleState.LOCKED
    assert again(rt, variant).on_hand == 10


def _group(rt, plan):
    from storefront.models import CycleGroup

    found = rt.session.get_one(CycleGroup, plan.cycle_group_id)
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def test_short_stock_goes_to_those_who_paid_first(rt, clock, shop):
    plan, cycle, variant = shop
    boxes = [make_box(rt, plan, cycle, quantity=4) for _ in range(3)]
    after_lock(clock)

    close_cycles(rt)

    assert [again(rt, box).state for box in boxes] == ["locked", "locked", "held"]
    assert again(rt, variant).on_hand == 2


def test_what_is_not_counted_or_may_be_oversold_never_runs_out(rt, clock):
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    card = make_variant(rt, on_hand=0, is_counted=False)
    tea = make_variant(rt, on_hand=1, may_oversell=True)
    make_recipe(rt, plan, variants=[card, tea])
    box = make_box(rt, plan, cycles_of(rt, group)[0], quantity=3)
    after_lock(clock)

    close_cycles(rt)

    assert again(rt, box).state is BoxState.LOCKED
    assert (again(rt, card).on_hand, again(rt, tea).on_hand) == (0, -2)
    assert moves(rt, "allocation") == [-3]


def test_the_most_specific_recipe_is_packed(rt, clock):
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_options(rt, plan)
    make_options(rt, plan, code="size", choices=[("large", "Large", 0), ("small", "Small", 0)])
    cycle = cycles_of(rt, group)[0]
    names = ("standing", "standing mild", "cycle", "cycle mild", "cycle both")
    of = {name: make_variant(rt, sku=name.upper()) for name in names}
    make_recipe(rt, plan, variants=[of["standing"]])
    make_recipe(rt, plan, variants=[of["standing mild"]], option_key="taste=mild")
    make_recipe(rt, plan, cycle=cycle, variants=[of["cycle"]])
    make_recipe(rt, plan, cycle=cycle, variants=[of["cycle mild"]], option_key="taste=mild")
    both = "size=large&taste=mild"
    make_recipe(rt, plan, cycle=cycle, variants=[of["cycle both"]], option_key=both)
    large = make_box(rt, plan, cycle, options={"taste": "mild", "size": "large"})
    mild = make_box(rt, plan, cycle, options={"taste": "mild", "size": "small"})
    strong = make_box(rt, plan, cycle, options={"taste": "strong"})
    after_lock(clock)

    close_cycles(rt)

    assert again(rt, large).packing["contents"] == [["CYCLE BOTH", 1]]
    assert again(rt, mild).packing["contents"] == [["CYCLE MILD", 1]]
    assert again(rt, strong).packing["contents"] == [["CYCLE", 1]]


@pytest.mark.parametrize("point", ["close.before_commit", "close.after_slice"])
def test_a_lock_that_crashed_goes_on_where_it_stopped(rt, clock, shop, monkeypatch, point):
    monkeypatch.setattr(service, "SLICE", 2)
    plan, cycle, variant = shop
    for _ in range(5):
        make_box(rt, plan, cycle)
    after_lock(clock)
    arm(f"{point}:raise@2")
    with pytest.raises(FailpointReached):
        close_cycles(rt)
    decided = 2 if point == "close.before_commit" else 4
    states = rt.session.scalars(sa.select(Box.state)).all()
    rt.session.rollback()
    assert states.count(BoxState.LOCKED) == decided
    assert again(rt, variant).on_hand == 10 - decided
    assert again(rt, cycle).state is not CycleState.LOCKED

    assert close_cycles(rt).boxes.locked == 5 - decided

    assert again(rt, cycle).state is CycleState.LOCKED
    assert again(rt, variant).on_hand == 5
    assert len(moves(rt, "allocation")) == 5


def test_a_box_that_was_committed_late_into_a_locked_cycle_is_decided_too(rt, clock, shop):
    plan, cycle, _variant = shop
    after_lock(clock)
    close_cycles(rt)
    box = make_box(rt, plan, cycle)

    assert close_cycles(rt).boxes.locked == 1

    assert again(rt, box).state is BoxState.LOCKED
    assert again(rt, cycle).state is CycleState.LOCKED
    assert close_cycles(rt).boxes.total == 0


def test_the_stock_is_what_its_moves_say(rt, clock, shop):
    plan, cycle, variant = shop
    for _ in range(3):
        make_box(rt, plan, cycle)
    after_lock(clock)

    close_cycles(rt)

    changed = rt.session.scalar(
        sa.select(sa.func.sum(StockMove.quantity)).where(StockMove.kind != "shipment")
    )
    on_hand = rt.session.scalar(
        sa.select(ProductVariant.on_hand).where(ProductVariant.id == variant.id)
    )
    assert on_hand == 10 + changed


def test_a_cycle_is_not_locked_by_hand_before_its_time(rt, clock, shop):
    _plan, cycle, _variant = shop
    clock.advance(days=13)
    assert rt.today() == date(2027, 3, 15)

    with pytest.raises(LockNotDue):
        close_cycle(rt, cycle.public_id)
    clock.advance(days=1)
    assert close_cycle(rt, cycle.public_id).cycles == [cycle.public_id]
