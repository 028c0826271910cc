"""The demo's subscribers choose what is in their next box, or swap something, some of them."""

from __future__ import annotations

from random import Random

import sqlalchemy as sa

from storefront.demo import catalogue, opening
from storefront.demo.cast import next_changeable
from storefront.domain.choices import Rule
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Customer, Plan, ProductVariant, Subscription
from storefront.models.base import table_of
from storefront.queries.answers import answers_page
from storefront.queries.choices import choice_page
from storefront.queries.swaps import swap_page
from storefront.runtime import Runtime
from storefront.services.answers import change_answers
from storefront.services.choices import answer_allergies, choose_contents
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import offer_swaps, take_instead

#: Whose boxes are chosen, and how many teas are in one.
PLAN, TEAS = "pot", 4
#: Every so many of those who choose say what they do not tolerate, first.
_ALLERGIC = 5
#: Whose recipe is fixed, with what may come instead.
SWAPS = "cup"


def open_pools(rt: Runtime) -> None:
    """Let subscribers of Pot choose their teas, from the next box on that may still change."""
    _write_pools(rt, next_changeable(rt))
    _write_pools(rt, None)


def _write_pools(rt: Runtime, cycle_ref: str | None) -> None:
    plans = opening.refs_of(rt, Plan, "code")
    variants = opening.refs_of(rt, ProductVariant, "sku")
    rule = Rule(TEAS, avoids_allergens=True)
    for key, shelf in catalogue.POOLS.items():
        pool = [Ingredient(variants[one.sku], 1, is_choice=True) for one in shelf]
        bake = Ingredient(variants[catalogue.POOL_BAKE], 1)
        save_recipe(rt, plans[PLAN], cycle_ref, key, [*pool, bake], rule=rule)


def choose_for_some(rt: Runtime, rng: Random, count: int) -> None:
    """Let ``count`` subscribers of Pot choose; the others leave it to the shop."""
    rows = rt.session.execute(_pots()).all()
    rt.session.rollback()
    for number, row in enumerate(rng.sample(rows, min(count, len(rows)))):
        if number % _ALLERGIC == _ALLERGIC - 1:
            answer_allergies(rt, row.customer_id, row.public_id, ["gluten"])
        choose_for(rt, rng, row.customer_id, row.public_id)


def choose_for_member(rt: Runtime, rng: Random, email: str) -> None:
    """Let a named customer with a Pot choose."""
    row = rt.session.execute(_pots().where(table_of(Customer).c.email == email)).first()
    rt.session.rollback()
    if row is not None:
        choose_for(rt, rng, row.customer_id, row.public_id)


def open_swaps(rt: Runtime) -> None:
    """Let subscribers of Cup take any tea or herb instead of another."""
    variants = opening.refs_of(rt, ProductVariant, "sku")
    offered = [variants[one.sku] for one in (*catalogue.TEAS, *catalogue.HERBS)]
    offer_swaps(rt, opening.refs_of(rt, Plan, "code")[SWAPS], offered)


def swap_for_some(rt: Runtime, count: int) -> None:
    """Let the first ``count`` subscribers of Cup take the first thing that may come instead."""
    rows = rt.session.execute(_subscribers(SWAPS).limit(count)).all()
    cycle = next_changeable(rt)
    rt.session.rollback()
    for number, row in enumerate(rows):
        page = swap_page(rt.session, row.customer_id, row.public_id, cycle, rt.moment())
        rt.session.rollback()
        for line in page.lines[:1] if page else ():
            free = [one.item.public_id for one in line.offered if not one.bar]
            where = (rt, row.customer_id, row.public_id, cycle, line.own.public_id)
            if free:
                take_instead(*where, free[0], is_standing=number % 2 == 0)


def change_minds(rt: Runtime, count: int) -> None:
    """Let the first ``count`` subscribers of Table want their tea the other way."""
    rows = rt.session.execute(_subscribers("table").limit(count)).all()
    rt.session.rollback()
    for row in rows:
        page = answers_page(rt.session, row.customer_id, row.public_id, rt.moment())
        rt.session.rollback()
        for asked in page.questions if page else ():
            other = [one.code for one in asked.answers if one.code != asked.chosen]
            if other:
                change_answers(rt, row.customer_id, row.public_id, {asked.code: other[0]})


def choose_for(rt: Runtime, rng: Random, customer_id: int, subscription: str) -> None:
    """Choose four teas that are there; nothing where no box is open to it."""
    cycle = next_changeable(rt)
    page = choice_page(rt.session, customer_id, subscription, cycle, rt.moment())
    rt.session.rollback()
    if page is None or not page.is_open:
        return
    free = [row.public_id for row in page.rows if not row.bar]
    picks = dict.fromkeys(rng.sample(free, TEAS), 1)
    choose_contents(rt, customer_id, subscription, cycle, picks)


def _pots() -> sa.Select[tuple[int, str]]:
    return _subscribers(PLAN)


def _subscribers(code: str) -> sa.Select[tuple[int, str]]:
    subscription, plan, customer = table_of(Subscription), table_of(Plan), table_of(Customer)
    return (
        sa.select(subscription.c.customer_id, subscription.c.public_id)
        .join(plan, plan.c.id == subscription.c.plan_id)
        .join(customer, customer.c.id == subscription.c.customer_id)
        .where(plan.c.code == code, subscription.c.state == SubscriptionState.ACTIVE)
        .order_by(subscription.c.id)
    )
