"""What is bought beside boxes is nobody's to choose or to swap for: one piece, one claim."""

from time import sleep

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import charges
from storefront.domain.addons import Cadence, Reach
from storefront.domain.changes import QuoteChanged
from storefront.domain.choices import FaultKind, Rule
from storefront.domain.swaps import SwapBar
from storefront.models import (
    Addon,
    Box,
    BoxCycle,
    PaymentMethod,
    Plan,
    ProductVariant,
    Subscription,
)
from storefront.operations.consents import Given
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.additions import AdditionWish, NothingToAddTo, add_to_boxes, quote_now
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.choices import BadChoice, choose_contents
from storefront.services.finishing import Outcome
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import NotOffered, offer_swaps, take_instead
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.services.test_additions import last_attempt
from tests.support.orders import begin, in_parallel, paid

YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")
GONE = FaultKind.BARRED


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    """Three months are paid at once: boxes of March, April and May."""
    return make.make_plan(rt, amount_minor=7500, count=3)


@pytest.fixture
def honey(rt: Runtime) -> ProductVariant:
    """One pot is left."""
    return make.make_variant(rt, name="Honey", on_hand=1, price_minor=600)


@pytest.fixture
def addon(rt: Runtime, honey: ProductVariant) -> Addon:
    return make.make_addon(rt, 500, name="Honey", variant=honey)


@pytest.fixture
def tea(rt: Runtime) -> ProductVariant:
    return make.make_variant(rt, name="Tea", on_hand=50, price_minor=600)


def pool(rt: Runtime, plan: Plan, *variants: ProductVariant) -> None:
    items = [Ingredient(one.public_id, 1, is_choice=True) for one in variants]
    save_recipe(rt, plan.public_id, None, "", items, rule=Rule(1))


def next_cycle(rt: Runtime) -> str:
    statement = sa.select(BoxCycle.public_id).join(Box, Box.cycle_id == BoxCycle.id)
    ref = rt.session.scalars(statement.order_by(BoxCycle.ship_from)).first()
    rt.session.rollback()
    assert ref is not None
    return ref


def wish(addon: Addon, reach: Reach = Reach.NEXT) -> AdditionWish:
    return AdditionWish(addon.public_id, 1, reach)


def add(rt: Runtime, sub: Subscription, what: AdditionWish, once: str = "once-1") -> str:
    who = sub.customer_id or 0
    shown = quote_now(rt, who, sub.public_id, what).quote_hash
    return add_to_boxes(rt, who, sub.public_id, what, shown, once, YES).outcome


def choose(rt: Runtime, sub: Subscription, cycle: str, variant: ProductVariant) -> FaultKind | None:
    """Choose it; return why that cannot be."""
    try:
        choose_contents(rt, sub.customer_id or 0, sub.public_id, cycle, {variant.public_id: 1})
    except BadChoice as refused:
        return refused.faults[0].kind
    return None


def swap(
    rt: Runtime, sub: Subscription, cycle: str, own: ProductVariant, other: ProductVariant
) -> SwapBar | None:
    """Take the other instead; return why that cannot be."""
    who = sub.customer_id or 0
    try:
        take_instead(rt, who, sub.public_id, cycle, own.public_id, other.public_id)
    except NotOffered as refused:
        return refused.bar
    return None


def bring_card_of(rt: Runtime, demo_gateway: DemoGateway, sub: Subscription) -> None:
    """Let the bank ask for a confirmation of what this subscriber pays."""
    table, token = PaymentMethod.__table__, demo_gateway.bank.token_for("3220")
    mine = table.c.customer_id == sub.customer_id
    rt.session.execute(sa.update(table).where(mine).values(token=token))
    rt.session.commit()


def restock(rt: Runtime, variant: ProductVariant, pieces: int) -> None:
    table = ProductVariant.__table__
    rt.session.execute(sa.update(table).where(table.c.id == variant.id).values(on_hand=pieces))
    rt.session.commit()


def test_what_is_being_paid_for_cannot_be_chosen_until_that_payment_has_failed(
    rt: Runtime, demo_gateway: DemoGateway, plan: Plan, honey, addon: Addon, tea
):
    pool(rt, plan, tea, honey)
    ada, ben = make.make_subscription(rt, plan=plan), make.make_subscription(rt, plan=plan)
    cycle = next_cycle(rt)
    bring_card_of(rt, demo_gateway, ada)
    assert add(rt, ada, wish(addon)) == "action"

    assert choose(rt, ben, cycle, honey) is GONE
    # Nor as a choice beside one's own addition: that would be two pieces.
    assert choose(rt, ada, cycle, honey) is GONE
    key, reference = last_attempt(rt)
    demo_gateway.bank.confirm_charge(reference, False)
    charges.look_up(rt, key)
    assert choose(rt, ben, cycle, honey) is None


def test_what_is_being_paid_for_or_paid_cannot_come_instead_of_anything(
    rt: Runtime, demo_gateway: DemoGateway, plan: Plan, honey, addon: Addon, tea
):
    save_recipe(rt, plan.public_id, None, "", [Ingredient(tea.public_id, 1)])
    offer_swaps(rt, plan.public_id, [honey.public_id])
    ada, ben = make.make_subscription(rt, plan=plan), make.make_subscription(rt, plan=plan)
    cycle = next_cycle(rt)
    bring_card_of(rt, demo_gateway, ada)
    assert add(rt, ada, wish(addon)) == "action"
    assert swap(rt, ben, cycle, tea, honey) is SwapBar.SOLD_OUT

    key, reference = last_attempt(rt)
    demo_gateway.bank.confirm_charge(reference, True)
    charges.look_up(rt, key)

    assert swap(rt, ben, cycle, tea, honey) is SwapBar.SOLD_OUT
    restock(rt, honey, 2)
    assert swap(rt, ben, cycle, tea, honey) is None


def test_what_was_added_to_later_boxes_is_kept_for_them(
    rt: Runtime, plan: Plan, honey, addon: Addon, tea
):
    pool(rt, plan, tea, honey)
    restock(rt, honey, 3)
    ada, ben = make.make_subscription(rt, plan=plan), make.make_subscription(rt, plan=plan)
    cycle = next_cycle(rt)
    assert add(rt, ada, wish(addon, Reach.REST)) == "added"

    assert choose(rt, ben, cycle, honey) is GONE
    restock(rt, honey, 4)
    assert choose(rt, ben, cycle, honey) is None


def test_add_ons_of_an_order_hold_pieces_for_boxes_that_leave_no_later(
    rt: Runtime, demo_gateway: DemoGateway, plan: Plan, honey, addon: Addon, tea
):
    pool(rt, plan, tea, honey)
    ben = make.make_subscription(rt, plan=plan)
    key = begin(rt, plan)
    picked = [{"addon": addon.public_id, "quantity": 1, "cadence": Cadence.EVERY.value}]
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, picked))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    cycle = next_cycle(rt)

    assert choose(rt, ben, cycle, honey) is GONE
    # Of the three that were ordered, two leave later: they are bought in time.
    restock(rt, honey, 2)
    assert choose(rt, ben, cycle, honey) is None


def test_at_the_same_instant_the_last_piece_is_chosen_or_bought_never_both(
    app: Flask, rt: Runtime, plan: Plan, honey, addon: Addon, tea
):
    pool(rt, plan, tea, honey)
    subs = [make.make_subscription(rt, plan=plan) for _number in range(6)]
    cycle, what = next_cycle(rt), wish(addon)
    seen = [quote_now(rt, one.customer_id or 0, one.public_id, what).quote_hash for one in subs]
    who = [(one.customer_id or 0, one.public_id) for one in subs]
    rt.session.rollback()

    def go(shop: Runtime, number: int) -> str:
        if number % 2:
            # So that some come before and some after a purchase that is under way.
            sleep(0.03 * number)
            return "chosen" if choose(shop, subs[number], cycle, honey) is None else "refused"
        try:
            once = f"once-{number}"
            return add_to_boxes(shop, *who[number], what, seen[number], once).outcome
        except (NothingToAddTo, QuoteChanged):
            return "refused"

    said = in_parallel(app, len(subs), go)

    assert sorted(said) in (["chosen", *["refused"] * 5], ["added", *["refused"] * 5])
