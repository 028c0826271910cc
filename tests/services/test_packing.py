"""Recipes, and boxes that were held back at the lock."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.carriers.fields import BOX_FIELDS, BoxFacts
from storefront.domain.lifecycle import HoldReason
from storefront.models import Box, BoxCycle, Option, OptionGroup, RecipeItem, Subscription
from storefront.operations.recipes import recipes_of
from storefront.services.cycles import close_cycles
from storefront.services.packing import (
    CycleNotLocked,
    Ingredient,
    NothingToCopy,
    TooManyAnswers,
    UnknownInRecipe,
    copy_recipes,
    retry_boxes,
    save_recipe,
)
from storefront.services.stock import adjust_stock
from storefront.testing.factories import (
    make_address,
    make_group,
    make_options,
    make_plan,
    make_variant,
)
from tests.support.boxes import make_box, make_subscribed


@pytest.fixture
def plan(rt):
    return make_plan(rt, group=make_group(rt))


@pytest.fixture
def cycles(rt, plan):
    found = rt.session.scalars(
        sa.select(BoxCycle)
        .where(BoxCycle.group_id == plan.cycle_group_id)
        .order_by(BoxCycle.ship_from)
    ).all()
    rt.session.expunge_all()
    rt.session.rollback()
    return found


def recipe(rt, plan, cycle=None, option_key=""):
    found = recipes_of(rt.session, [plan.id], cycle.id if cycle else None).get(plan.id, [])
    rt.session.rollback()
    standing = cycle is None
    match = [one for one in found if (one.is_standing, one.option_key) == (standing, option_key)]
    return list(match[0].items) if match else None


def state_of(rt, box):
    found = rt.session.execute(sa.select(Box.state, Box.problem).where(Box.id == box.id)).one()
    rt.session.rollback()
    return found.state, found.problem


def test_answers_and_price_of_a_box_are_fields_as_they_were_at_the_lock(rt, clock, plan, cycles):
    make_options(rt, plan)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(make_variant(rt).public_id, 1)])
    box = make_box(rt, plan, cycles[0], options={"taste": "mild"})
    clock.set(datetime(2027, 3, 16, 9, tzinfo=UTC))
    close_cycles(rt)
    for renamed in (OptionGroup, Option):
        rt.session.execute(sa.update(renamed).values(name="Renamed since"))
    rt.session.commit()

    packing = rt.session.scalar(sa.select(Box.packing).where(Box.id == box.id))
    rt.session.rollback()
    facts = BoxFacts("bat", "box", "2027-03", "regular", 1, {}, packing)
    wanted = ("answers", "price_net", "price_tax", "price", "price_currency")
    said = [BOX_FIELDS[field](facts) for field in wanted]
    assert said == ["How do you like it?: Mild", "21.85", "4.15", "26.00", "EUR"]


def test_a_recipe_is_replaced_in_its_order(rt, plan):
    assam, sencha = make_variant(rt), make_variant(rt)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(assam.public_id, 1)])
    save_recipe(
        rt,
        plan.public_id,
        None,
        "",
        [Ingredient(sencha.public_id, 2), Ingredient(assam.public_id, 1)],
    )

    assert recipe(rt, plan) == [(sencha.id, 2), (assam.id, 1)]


def test_answers_longer_than_a_recipe_has_room_for_are_refused(rt, plan):
    answers = "&".join(f"{question}={'a' * 40}" for question in ("size", "taste"))
    with pytest.raises(TooManyAnswers):
        save_recipe(rt, plan.public_id, None, answers, [])


def test_a_recipe_without_ingredients_is_gone(rt, plan, cycles):
    assam = make_variant(rt)
    save_recipe(rt, plan.public_id, cycles[0].public_id, "", [Ingredient(assam.public_id, 1)])
    save_recipe(rt, plan.public_id, cycles[0].public_id, "", [])

    assert recipe(rt, plan, cycles[0]) is None
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(RecipeItem)) == 0


def test_the_last_cycle_s_recipes_are_copied_with_their_options(rt, plan, cycles):
    assam, sencha = make_variant(rt), make_variant(rt)
    march, april, may = (cycle.public_id for cycle in cycles[:3])
    save_recipe(rt, plan.public_id, march, "", [Ingredient(assam.public_id, 9)])
    save_recipe(rt, plan.public_id, april, "", [Ingredient(assam.public_id, 1)])
    save_recipe(rt, plan.public_id, april, "taste=mild", [Ingredient(sencha.public_id, 2)])
    both = "taste=mild&size=large"
    save_recipe(rt, plan.public_id, april, both, [Ingredient(sencha.public_id, 3)])

    assert copy_recipes(rt, plan.public_id, may) == "2027-04"

    assert recipe(rt, plan, cycles[2]) == [(assam.id, 1)]
    assert recipe(rt, plan, cycles[2], "taste=mild") == [(sencha.id, 2)]
    assert recipe(rt, plan, cycles[2], "size=large&taste=mild") == [(sencha.id, 3)]


def test_the_standing_recipe_is_copied_where_no_cycle_had_one(rt, plan, cycles):
    assam = make_variant(rt)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(assam.public_id, 3)])

    assert copy_recipes(rt, plan.public_id, cycles[0].public_id) == ""
    assert recipe(rt, plan, cycles[0]) == [(assam.id, 3)]


def test_nothing_is_copied_from_nothing(rt, plan, cycles):
    with pytest.raises(NothingToCopy):
        copy_recipes(rt, plan.public_id, cycles[0].public_id)


def test_a_recipe_for_a_cycle_of_another_group_is_refused(rt, plan):
    other = make_group(rt)
    foreign = rt.session.scalar(
        sa.select(BoxCycle.public_id).where(BoxCycle.group_id == other.id).limit(1)
    )
    rt.session.rollback()

    with pytest.raises(UnknownInRecipe):
        save_recipe(rt, plan.public_id, foreign, "", [])


def test_held_boxes_get_through_once_what_was_missing_is_there(rt, plan, cycles, clock):
    cycle, tea = cycles[0], make_variant(rt, on_hand=0)
    nowhere = make_subscribed(rt, plan, address_id=None)
    stopped = make_subscribed(rt, plan, held_at=rt.now(), hold_reason=HoldReason.STAFF)
    lost, kept = (make_box(rt, plan, cycle, subscription=s) for s in (nowhere, stopped))
    bare = make_box(rt, plan, cycle)
    clock.advance(days=14)
    close_cycles(rt)
    assert [state_of(rt, box)[1] for box in (lost, kept, bare)] == [
        "no_address",
        "held",
        "no_recipe",
    ]

    save_recipe(rt, plan.public_id, None, "", [Ingredient(tea.public_id, 1)])
    assert retry_boxes(rt, cycle.public_id, [bare.public_id]).held == {"short_stock": 1}
    adjust_stock(rt, tea.public_id, "receipt", 5, "delivery")
    _give_address_and_release(rt, nowhere, stopped)
    done = retry_boxes(rt, cycle.public_id)

    assert (done.locked, done.held) == (3, {})
    assert {state_of(rt, box) for box in (lost, kept, bare)} == {(BoxState.LOCKED, "")}
    assert retry_boxes(rt, cycle.public_id).total == 0


def _give_address_and_release(rt, nowhere, stopped):
    from storefront.models import Customer

    customer = rt.session.get_one(Customer, nowhere.customer_id)
    address = make_address(rt, customer)
    table = Subscription.__table__
    rt.session.execute(
        sa.update(table).where(table.c.id == nowhere.id).values(address_id=address.id)
    )
    rt.session.execute(
        sa.update(table).where(table.c.id == stopped.id).values(held_at=None, hold_reason=None)
    )
    rt.session.commit()


def test_boxes_of_an_open_cycle_are_not_decided_again(rt, plan, cycles):
    make_box(rt, plan, cycles[0], state=BoxState.HELD, problem="held")

    with pytest.raises(CycleNotLocked):
        retry_boxes(rt, cycles[0].public_id)
