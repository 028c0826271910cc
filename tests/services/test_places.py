"""Places of a plan and free stock: what is left to sell, and who gets the last of it."""

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Rule
from storefront.models import BoxCycle, BoxSwap, ProductVariant, Subscription, SwapOffer
from storefront.operations.audit import Who
from storefront.operations.choices import write_choice
from storefront.operations.places import free_stock, places_of
from storefront.queries.places import full_plans
from storefront.queries.units import forecast
from storefront.services.cancellations import cancel
from storefront.services.checkout import Step
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.places import set_places
from storefront.services.staff import add_staff
from storefront.testing.factories import (
    make_group,
    make_plan,
    make_recipe,
    make_subscription,
    make_variant,
)
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.orders import begin, choose, count, in_parallel, order, paid


@pytest.fixture
def who(rt):
    from storefront.models import Staff

    add_staff(
        rt, email="owner@shop.example", name="O", password="kettle on the hob 9", role="owner"
    )
    row = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(row.id, row.public_id, "192.0.2.1")


@pytest.fixture
def plan(rt):
    return make_plan(rt, group=make_group(rt))


def left(rt, plan):
    found = places_of(rt.session, [plan.id], rt.moment())[plan.id].left
    rt.session.rollback()
    return found


def standing(rt, variant):
    found = free_stock(rt.session, [variant.id], rt.moment())[variant.id]
    rt.session.rollback()
    return found


def test_what_running_subscribers_need_is_not_sold(rt, plan, who):
    """100 units, 80 active subscribers, 15 sold one by one: 5 are offered; one leaves: 6."""
    tea = make_variant(rt, on_hand=100)
    make_recipe(rt, plan, variants=[tea])
    single = make_plan(rt, group=make_group(rt), max_boxes=1)
    make_recipe(rt, single, variants=[tea])
    set_places(rt, who, plan.public_id, None, sells_by_stock=True)
    set_places(rt, who, single.public_id, None, sells_by_stock=True)
    active = [make_subscribed(rt, plan) for _each in range(80)]
    cycle = cycles_of(rt, _group_of(rt, single))[0]
    for _each in range(15):
        once = make_subscribed(rt, single, max_boxes=1, boxes_billed=1)
        make_box(rt, single, cycle, subscription=once)

    found = standing(rt, tea)
    assert (found.on_hand, found.sold, found.running, found.free) == (100, 15, 80, 5)
    assert (left(rt, plan), left(rt, single)) == (5, 5)
    cancel(rt, active[0].customer_id, active[0].public_id)
    assert (left(rt, plan), left(rt, single)) == (6, 6)


def _group_of(rt, plan):
    from storefront.models import CycleGroup

    found = rt.session.get_one(CycleGroup, plan.cycle_group_id)
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def test_the_last_place_goes_to_one_of_fifty_and_nobody_else_is_charged(
    app, rt, plan, who, demo_gateway
):
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    keys = [begin(rt, plan, email=f"shopper{n}@example.org") for n in range(50)]
    steps = in_parallel(app, 50, lambda own, n: order(own, keys[n]).step)

    assert sorted(steps) == [Step.PAY] + [Step.SOLD_OUT] * 49
    winner = keys[steps.index(Step.PAY)]
    assert paid(rt, demo_gateway, winner) is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1
    assert left(rt, plan) == 0
    assert full_plans(rt.session, rt.moment()) == {plan.code}


def test_the_last_tin_goes_to_one_of_ten(app, rt, plan, who):
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=1)])
    set_places(rt, who, plan.public_id, None, sells_by_stock=True)
    keys = [begin(rt, plan, email=f"shopper{n}@example.org") for n in range(10)]
    steps = in_parallel(app, 10, lambda own, n: order(own, keys[n]).step)

    assert sorted(steps) == [Step.PAY] + [Step.SOLD_OUT] * 9


def test_a_place_is_held_for_half_an_hour_and_then_another_s(rt, plan, who, clock, demo_gateway):
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    ada, ben = begin(rt, plan), begin(rt, plan, email="ben@example.org")
    placed = order(rt, ada)
    clock.advance(minutes=29)
    assert order(rt, ben).step is Step.SOLD_OUT

    clock.advance(minutes=2)
    assert paid(rt, demo_gateway, ben) is Outcome.DONE
    choose(demo_gateway, placed)
    assert finish_checkout(rt, ada).outcome is Outcome.SOLD_OUT
    assert demo_gateway.bank.executed_count() == 1
    assert count(rt, Subscription) == 1


def test_who_comes_back_late_gets_the_place_if_nobody_took_it(rt, plan, who, clock, demo_gateway):
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    ada = begin(rt, plan)
    placed = order(rt, ada)
    clock.advance(minutes=45)
    choose(demo_gateway, placed)

    assert finish_checkout(rt, ada).outcome is Outcome.DONE


def test_the_same_order_again_needs_no_second_place(rt, plan, who, demo_gateway):
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    ada = begin(rt, plan)
    assert order(rt, ada).step is Step.PAY
    assert paid(rt, demo_gateway, ada, "0002") is Outcome.DECLINED
    assert paid(rt, demo_gateway, ada) is Outcome.DONE


def test_a_plan_without_limits_is_never_full(rt, plan, demo_gateway):
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=0)])

    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    assert full_plans(rt.session, rt.moment()) == frozenset()


def test_stock_that_is_not_counted_limits_nothing(rt, plan, who):
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=0, is_counted=False)])
    set_places(rt, who, plan.public_id, None, sells_by_stock=True)

    assert left(rt, plan) is None


@pytest.mark.parametrize(
    ("values", "boxes"),
    [
        ({}, 1),
        ({"quantity": 2}, 2),
        ({"state": "past_due"}, 0),
        ({"state": "canceled"}, 0),
        ({"max_boxes": 2, "boxes_billed": 2}, 0),
    ],
)
def test_a_reservation_is_what_the_account_shows_next(rt, plan, values, boxes):
    tea = make_variant(rt, on_hand=10)
    make_recipe(rt, plan, variants=[tea])
    make_subscribed(rt, plan, **values)

    assert standing(rt, tea).running == boxes
    # April is the first that is not paid yet.
    assert sum(forecast(rt.session, rt.today(), 2).variants[0].expected if boxes else []) == boxes


def test_a_paid_box_counts_once_until_it_is_locked(rt, plan):
    tea = make_variant(rt, on_hand=10)
    make_recipe(rt, plan, variants=[tea])
    make_subscription(rt, plan=plan)

    found = standing(rt, tea)
    assert (found.sold, found.running, found.free) == (1, 0, 9)
    assert count(rt, BoxCycle) > 0


@pytest.fixture
def teas(rt):
    return [make_variant(rt, sku=f"TEA-{n}", on_hand=10) for n in range(4)]


def choosing(rt, teas, who):
    """A plan of two of the teas, sold as long as the stock makes boxes."""
    plan = make_plan(rt, group=make_group(rt))
    pool = [Ingredient(tea.public_id, 1, is_choice=True) for tea in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2))
    set_places(rt, who, plan.public_id, None, sells_by_stock=True)
    return plan


def test_boxes_that_are_chosen_reserve_what_was_chosen_and_the_rest_what_fills_them(rt, teas, who):
    plan = choosing(rt, teas, who)
    first, *_others = [make_subscribed(rt, plan) for _each in range(6)]
    cycle = cycles_of(rt, _group_of(rt, plan))[0]
    write_choice(rt.session, first.id, cycle.id, {teas[2].id: 1, teas[3].id: 1}, rt.now())
    rt.session.commit()

    assert [standing(rt, tea).running for tea in teas] == [5, 5, 1, 1]
    assert left(rt, plan) == 14

    # Another plan that needs one of them leaves the pool what its boxes take, and the other way.
    tin = make_plan(rt, group=make_group(rt))
    make_recipe(rt, tin, variants=[teas[0]])
    set_places(rt, who, tin.public_id, None, sells_by_stock=True)
    assert left(rt, tin) == 5
    for _each in range(5):
        make_subscribed(rt, tin)
    assert (left(rt, tin), left(rt, plan)) == (0, 9)

    # An unfinished choice is filled up.
    write_choice(rt.session, first.id, cycle.id, {teas[3].id: 1}, rt.now())
    rt.session.commit()
    assert sum(standing(rt, tea).running for tea in teas) == 18


def test_the_last_box_of_a_pool_goes_to_one_of_ten(app, rt, teas, who):
    plan = choosing(rt, teas[:2], who)
    for _each in range(9):
        make_subscribed(rt, plan)
    keys = [begin(rt, plan, email=f"shopper{n}@example.org") for n in range(10)]
    steps = in_parallel(app, 10, lambda own, n: order(own, keys[n]).step)

    assert sorted(steps) == [Step.PAY] + [Step.SOLD_OUT] * 9


def test_an_order_is_taken_for_every_box_that_its_page_offers(rt, teas, who):
    """Boxes that cannot be filled for want of something else keep nothing from other plans."""
    mugs = make_plan(rt, group=make_group(rt))
    pool = [Ingredient(tea.public_id, 1, is_choice=True) for tea in teas]
    save_recipe(rt, mugs.public_id, None, "", pool, rule=Rule(4))
    tin = make_plan(rt, group=make_group(rt))
    make_recipe(rt, tin, variants=[teas[0]])
    set_places(rt, who, tin.public_id, None, sells_by_stock=True)
    make_subscribed(rt, mugs, quantity=9)
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.id == teas[3].id).values(on_hand=8)
    )
    rt.session.commit()

    assert [left(rt, tin), standing(rt, teas[1]).running] == [2, 8]
    keys = [begin(rt, tin, email=f"shopper{n}@example.org") for n in range(3)]
    steps = [order(rt, key).step for key in keys]
    assert steps == [Step.PAY, Step.PAY, Step.SOLD_OUT]
    assert order(rt, keys[0]).step is Step.PAY, "it has what it holds"


def test_what_is_taken_instead_is_reserved_beside_what_the_recipe_says(rt, plan, teas):
    make_recipe(rt, plan, variants=[teas[0]])
    subscription = make_subscribed(rt, plan, quantity=2)
    cycle = cycles_of(rt, _group_of(rt, plan))[0]
    values = {
        "subscription_id": subscription.id,
        "variant_id": teas[0].id,
        "instead_id": teas[1].id,
        "is_standing": False,
        "from_id": cycle.id,
        "pieces": 1,
        "swapped_at": rt.now(),
    }
    rt.session.execute(sa.insert(BoxSwap).values(**values))
    rt.session.commit()
    # Only where a plan offers it is anything taken instead.
    rt.session.execute(
        sa.insert(SwapOffer).values(plan_id=plan.id, variant_id=teas[1].id, position=0)
    )
    rt.session.commit()
    assert [standing(rt, tea).running for tea in teas] == [2, 2, 0, 0]
