"""Recipes for first boxes, for countries and for long-standing subscribers."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.models import Box, BoxCycle, ProductVariant, Recipe, Subscription
from storefront.models.base import table_of
from storefront.operations.choosing import open_boxes, recipe_for
from storefront.operations.places import free_stock, places_of
from storefront.operations.skips import read_coming
from storefront.queries.contents import next_contents
from storefront.queries.cycles import board
from storefront.queries.units import forecast
from storefront.runtime import Runtime
from storefront.services.checkout import Step
from storefront.services.cycles import close_cycles
from storefront.services.packing import (
    Ingredient,
    OverlappingRecipe,
    TooManyAnswers,
    copy_recipes,
    save_recipe,
)
from storefront.services.places import set_places
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import (
    make_group,
    make_plan,
    make_recipe,
    make_subscription,
    make_variant,
)
from tests.support.admin import make_staff
from tests.support.gifts import make_gift, wish_for
from tests.support.orders import begin, order

VIENNA = {"country": "AT", "street": "Ring 1", "postcode": "1010", "city": "Wien"}


@pytest.fixture
def plan(rt: Runtime):
    return make_plan(rt, group=make_group(rt))


@pytest.fixture
def goods(rt: Runtime, plan) -> dict[str, ProductVariant]:
    """The plan's boxes hold tea, first ones a welcome, those to Austria what may go there."""
    found = {sku: make_variant(rt, sku=sku, on_hand=50) for sku in ("TEA", "WELCOME", "ALPINE")}
    make_recipe(rt, plan, variants=[found["TEA"]])
    make_recipe(rt, plan, variants=[found["WELCOME"]], option_key="#1")
    make_recipe(rt, plan, variants=[found["ALPINE"]], option_key="@AT")
    return found


def move_to(rt: Runtime, clock: FrozenClock, day: date) -> None:
    clock.advance(days=(day - rt.today()).days)


def packed(rt: Runtime, sub: Subscription) -> dict[str, str]:
    """Return by cycle what the boxes of a subscription were packed with."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = rt.session.execute(
        sa.select(cycle.c.key, box.c.packing)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.subscription_id == sub.id, box.c.locked_at.is_not(None))
    ).all()
    rt.session.rollback()
    return {row.key: "+".join(sku for sku, _n in row.packing["contents"]) for row in rows}


def shown(rt: Runtime, sub: Subscription) -> list[str]:
    """Return what the account and the page of choices say of the coming boxes, soonest first."""
    (coming,) = read_coming(rt.session, table_of(Subscription).c.id == sub.id, rt.today())
    boxes = open_boxes(rt.session, coming, rt.today())
    found = next_contents(rt.session, [coming], {sub.id: [one.cycle.id for one in boxes]})
    names = dict(rt.session.execute(sa.select(ProductVariant.id, ProductVariant.sku)).all())
    told = []
    for one in boxes:
        recipe = recipe_for(rt.session, one)
        assert recipe is not None
        told.append("+".join(names[variant] for variant, _n in recipe.items))
        pieces = found[sub.id, one.cycle.id].pieces
        assert [piece.sku for piece in pieces] == [names[key] for key, _n in recipe.items]
    rt.session.rollback()
    return told


def needs(rt: Runtime) -> dict[str, tuple[int, ...]]:
    """Return what is to be bought for the next two cycles."""
    found = forecast(rt.session, rt.today(), 2)
    rt.session.rollback()
    assert not any(one.bare for one in found.cycles)
    return {one.sku: one.expected for one in found.variants}


def reserved(rt: Runtime, goods: dict[str, ProductVariant]) -> dict[str, tuple[int, int]]:
    found = free_stock(rt.session, [one.id for one in goods.values()], rt.moment())
    rt.session.rollback()
    return {sku: (found[one.id].sold, found[one.id].running) for sku, one in goods.items()}


def test_a_box_is_shown_reserved_bought_for_and_packed_by_one_recipe(
    rt: Runtime, clock: FrozenClock, plan, goods
) -> None:
    home = make_subscription(rt, plan=plan)
    abroad = make_subscription(rt, plan=plan, address=VIENNA)
    assert shown(rt, home)[:3] == ["WELCOME", "TEA", "TEA"]
    assert shown(rt, abroad)[:2] == ["ALPINE", "ALPINE"]
    assert needs(rt) == {"WELCOME": (1, 0), "TEA": (0, 1), "ALPINE": (1, 1)}
    assert reserved(rt, goods) == {"WELCOME": (1, 0), "TEA": (0, 0), "ALPINE": (1, 0)}
    march = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.execute(sa.update(ProductVariant).values(on_hand=0))
    told = board(rt.session, march, rt.today())
    rt.session.rollback()
    assert told is not None
    lacking = {one.sku: one.so_far for one in told.shortages if one.lacks_now}
    assert lacking == {"WELCOME": 1, "ALPINE": 1}

    move_to(rt, clock, date(2027, 3, 16))
    close_cycles(rt)
    # The first boxes are packed; the next ones are still to be charged.
    assert reserved(rt, goods) == {"WELCOME": (0, 0), "TEA": (0, 1), "ALPINE": (0, 1)}
    move_to(rt, clock, date(2027, 4, 12))
    run_renewals(rt)
    assert reserved(rt, goods)["TEA"] == (1, 0)
    move_to(rt, clock, date(2027, 4, 16))
    close_cycles(rt)
    assert packed(rt, home) == {"2027-03": "WELCOME", "2027-04": "TEA"}
    assert packed(rt, abroad) == {"2027-03": "ALPINE", "2027-04": "ALPINE"}


def test_a_number_follows_the_order_in_which_boxes_leave(
    rt: Runtime, clock: FrozenClock, goods
) -> None:
    season = make_plan(rt, count=3, amount_minor=7410)
    make_recipe(rt, season, variants=[goods["TEA"]])
    make_recipe(rt, season, variants=[goods["WELCOME"]], option_key="#1")
    make_recipe(rt, season, variants=[goods["ALPINE"]], option_key="#3-")
    sub = make_subscription(rt, plan=season)
    assert shown(rt, sub)[:4] == ["WELCOME", "TEA", "ALPINE", "ALPINE"]
    cycle = sa.select(BoxCycle.public_id).join(Box, Box.cycle_id == BoxCycle.id)
    march = rt.session.scalars(cycle.where(BoxCycle.key == "2027-03")).one()
    rt.session.rollback()
    # The box that is skipped goes behind the others; April's is the first now.
    skip_box(rt, sub.customer_id or 0, sub.public_id, march)
    assert shown(rt, sub)[:3] == ["WELCOME", "TEA", "ALPINE"]
    for month in (3, 4, 5):
        move_to(rt, clock, date(2027, month, 16))
        close_cycles(rt)
    assert packed(rt, sub) == {"2027-04": "WELCOME", "2027-05": "TEA"}


def test_who_was_subscribed_elsewhere_gets_no_first_box(
    rt: Runtime, clock: FrozenClock, plan, goods
) -> None:
    sub = make_subscription(rt, plan=plan)
    rt.session.execute(sa.update(Subscription).values(imported_from="shopify", imported_id="1"))
    rt.session.commit()
    assert shown(rt, sub)[0] == "TEA"
    assert needs(rt) == {"TEA": (1, 1)}
    assert reserved(rt, goods)["TEA"] == (1, 0)
    move_to(rt, clock, date(2027, 3, 16))
    close_cycles(rt)
    assert packed(rt, sub) == {"2027-03": "TEA"}


def test_new_sales_are_limited_by_what_first_boxes_hold(rt: Runtime, plan, goods) -> None:
    set_places(rt, make_staff(rt), plan.public_id, None, sells_by_stock=True)
    welcome = sa.update(ProductVariant).where(ProductVariant.sku == "WELCOME")
    rt.session.execute(welcome.values(on_hand=1))
    rt.session.commit()
    assert places_of(rt.session, [plan.id], rt.moment())[plan.id].left == 1
    rt.session.rollback()
    make_subscription(rt, plan=plan)
    assert places_of(rt.session, [plan.id], rt.moment())[plan.id].left == 0
    rt.session.rollback()
    # Nothing of it goes to Austria, so an order from there is not held back by it.
    assert make_subscription(rt, plan=plan, address=VIENNA).id
    assert order(rt, begin(rt, plan, email="late@example.org")).step is Step.SOLD_OUT


def test_recipes_that_no_rule_tells_apart_are_refused(rt: Runtime, plan, goods) -> None:
    tea = [Ingredient(goods["TEA"].public_id, 1)]

    def save(key: str, cycle: str | None = None) -> None:
        save_recipe(rt, plan.public_id, cycle, key, tea)

    for key, other in (("#1-3", "#1"), ("@AT+DE", "@AT")):
        with pytest.raises(OverlappingRecipe) as refused:
            save(key)
        assert refused.value.option_key == other
    for key in ("#2-3", "@DE", "#1-3&@AT", "#1&taste=mild", "#1"):
        save(key)
    with pytest.raises(TooManyAnswers):
        save("@" + "+".join(f"A{chr(65 + n)}" for n in range(26)) + "&taste=mild")

    cycles = sa.select(BoxCycle.public_id).order_by(BoxCycle.ship_from)
    march, april = rt.session.scalars(cycles.limit(2))
    rt.session.rollback()
    save("#1", march)
    save("#1-2", april)
    with pytest.raises(OverlappingRecipe):
        copy_recipes(rt, plan.public_id, april)
    save_recipe(rt, plan.public_id, april, "#1-2", [])
    assert copy_recipes(rt, plan.public_id, april) == "2027-03"
    own = sa.select(Recipe.option_key).where(Recipe.cycle_id.is_not(None))
    assert rt.session.scalars(own).all() == ["#1", "#1"]
    rt.session.rollback()


def test_a_gift_that_nobody_has_claimed_counts_in_the_country_it_was_paid_for(
    rt: Runtime, clock: FrozenClock, plan, goods
) -> None:
    make_gift(rt, plan, wish_for(rt.today(), country="AT"))

    assert needs(rt) == {"ALPINE": (1, 0)}
    assert reserved(rt, goods) == {"WELCOME": (0, 0), "TEA": (0, 0), "ALPINE": (1, 0)}
    march = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.execute(sa.update(ProductVariant).values(on_hand=0))
    told = board(rt.session, march, rt.today())
    rt.session.rollback()
    assert told is not None
    assert [one.sku for one in told.shortages if one.lacks_now] == ["ALPINE"]
