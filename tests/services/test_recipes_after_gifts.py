"""Who goes on after a gift is no newcomer: recipes by number count from the gift's boxes."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.recipe_scopes import Tells
from storefront.models import Box, BoxCycle, Checkout, Gift, Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.choosing import open_boxes, recipe_for
from storefront.operations.coming_choices import held_boxes, number_of_order
from storefront.operations.holds import Wanted
from storefront.operations.places import take_places
from storefront.operations.skips import read_coming
from storefront.queries.units import forecast
from storefront.services.continuing import go_on, run_continuing
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.gifts import claim, run_gifts
from storefront.services.places import set_places
from storefront.services.renewals import run_renewals
from storefront.testing.factories import (
    make_group,
    make_plan,
    make_price,
    make_recipe,
    make_variant,
)
from tests.support.admin import make_staff
from tests.support.gifts import HOME, code_of, make_gift, pay_order, subscription_of, wish_for


@pytest.fixture
def gift(rt) -> Gift:
    """Ada claimed three boxes; first ones hold a welcome, from the fourth on there is cake."""
    plan = make_plan(rt, group=make_group(rt), amount_minor=6900, unit="month", count=3)
    make_price(rt, plan, amount_minor=2500)
    for sku, scope in (("TEA", ""), ("WELCOME", "#1"), ("CAKE", "#4-")):
        variants = [make_variant(rt, sku=sku, on_hand=50)]
        make_recipe(rt, plan, variants=variants, option_key=scope)
    set_places(rt, make_staff(rt), plan.public_id, None, sells_by_stock=True)
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), "ada@example.org", HOME)
    return gift


def gift_plan(rt) -> int:
    return rt.session.scalars(sa.select(Plan.id)).one()


def packed(rt) -> list[str]:
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = rt.session.execute(
        sa.select(box.c.packing)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.locked_at.is_not(None))
        .order_by(cycle.c.ship_from)
    ).all()
    rt.session.rollback()
    return [sku for row in rows for sku, _n in row.packing["contents"]]


def test_who_goes_on_after_a_gift_gets_the_fourth_box_and_no_welcome(rt, clock, gift):
    sub = subscription_of(rt, gift)
    price = rt.session.scalars(sa.select(Price.public_id).where(Price.amount_minor == 2500)).one()
    rt.session.rollback()
    key = go_on(rt, sub.customer_id, sub.public_id, price)
    order = rt.session.scalars(sa.select(Checkout.id).where(Checkout.public_id == key)).one()
    numbered = Tells(numbers=True)
    assert number_of_order(rt.session, order, numbered) == 4
    assert take_places(rt.session, order, [Wanted(gift_plan(rt), 1, {})], rt.moment())
    (held,) = held_boxes(rt.session, [gift_plan(rt)], rt.now(), numbered)
    assert held.number == 4
    rt.session.rollback()
    pay_order(rt, key)
    own = rt.session.scalars(sa.select(Subscription.id).where(Subscription.id != sub.id)).one()
    rt.session.rollback()

    for month, day in ((3, 16), (4, 16), (5, 16), (6, 12), (6, 16), (7, 12), (7, 16)):
        no_welcome_but_the_first(rt, own)
        clock.advance(days=(date(2027, month, day) - rt.today()).days)
        plan_ahead(rt)
        run_gifts(rt)
        run_continuing(rt)
        run_renewals(rt)
        close_cycles(rt)

    assert packed(rt)[:5] == ["WELCOME", "TEA", "TEA", "CAKE", "CAKE"]


def no_welcome_but_the_first(rt, own: int) -> None:
    """The account of who goes on, and the list of what to buy, know the gift's boxes."""
    (coming,) = read_coming(rt.session, table_of(Subscription).c.id == own, rt.today())
    told = [recipe_for(rt.session, one) for one in open_boxes(rt.session, coming, rt.today())]
    bought = {one.sku: sum(one.expected) for one in forecast(rt.session, rt.today(), 6).variants}
    rt.session.rollback()
    assert "#1" not in {one.option_key for one in told if one}
    assert bought.get("WELCOME", 0) == (0 if packed(rt) else 1)
