"""Two who act in the same moment: prices, pauses and skips, an address and the lock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import Box, BoxSkip, Plan, Subscription
from storefront.queries.account import subscription as account_view
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import pauses, plans, skips
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import begin, choose, count, in_parallel, order

NEW = PostalAddress("Ada Weber", "Am Markt 1", "07745", "Jena", "DE", extra="2nd floor")
ROUNDS = range(4)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.mark.parametrize("_round", ROUNDS)
def test_c12_a_price_set_while_somebody_pays_is_not_charged_unless_it_was_shown(
    app: Flask, rt: Runtime, demo_gateway: DemoGateway, _round: int
) -> None:
    plan, who = make.make_plan(rt), make_staff(rt)
    rt.session.expunge_all()
    public = str(rt.session.scalars(sa.select(Plan.public_id)).one())
    rt.session.rollback()
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))

    def act(own: Runtime, number: int) -> Outcome | None:
        if number == 0:
            plans.set_price(own, who, public, Money(3100, "EUR"), Interval("month", 1))
            return None
        return finish_checkout(own, key).outcome

    said = set(in_parallel(app, 4, act)) - {None}

    # What was shown, 26 euros, is what is paid; or nothing is, and the new one is shown.
    amounts = [charge.amount_minor for charge in demo_gateway.bank.charges_since("")]
    assert amounts == ([2600] if Outcome.DONE in said else [])
    assert count(rt, Subscription) == len(amounts)
    if not amounts:
        assert Outcome.CHANGED in said


@pytest.mark.parametrize("_round", ROUNDS)
def test_c13_pause_skip_and_back_in_quick_clicks_end_in_one_state(
    app: Flask, rt: Runtime, _round: int
) -> None:
    sub = make.make_subscription(rt)
    customer, public = sub.customer_id or 0, sub.public_id
    before = account_view(rt.session, customer, public, rt.moment(), rt.shop.taxes)
    coming = [box.cycle for box in before.boxes][:2]
    rt.session.rollback()
    clicks: list[Callable[[Runtime], object]] = [
        lambda own: pauses.pause(own, customer, public, date(2027, 6, 12)),
        lambda own: pauses.drop_pause(own, customer, public),
        *[partial(_skip, customer, public, key) for key in coming],
        *[partial(_undo, customer, public, key) for key in coming],
    ]

    def click(own: Runtime, number: int) -> None:
        with suppress(DomainError):
            clicks[number](own)

    in_parallel(app, len(clicks), click)
    pauses.drop_pause(rt, customer, public)
    for key in coming:
        with suppress(DomainError):
            skips.undo_skip(rt, customer, public, key)

    after = account_view(rt.session, customer, public, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    assert (after.boxes, after.next_charge_on) == (before.boxes, before.next_charge_on)
    assert count(rt, BoxSkip) == 0


@pytest.mark.parametrize("_round", ROUNDS)
def test_c15_an_address_changed_as_the_cycle_locks_is_the_old_or_the_new_one_whole(
    app: Flask, rt: Runtime, clock: FrozenClock, _round: int
) -> None:
    group = make.make_group(rt, cutoff_days=0, lock_days=0, ship_days=3)
    sub = make.make_subscription(rt, plan=make.make_plan(rt, group=group))
    plan = rt.session.scalars(sa.select(Plan.public_id)).one()
    rt.session.rollback()
    save_recipe(rt, plan, None, "", [Ingredient(make.make_variant(rt).public_id, 1)])
    clock.set(datetime(2027, 3, 12, 22, 59, 59, tzinfo=UTC))

    def act(own: Runtime, number: int) -> date | None:
        if number == 0:
            clock.set(datetime(2027, 3, 12, 23, 0, tzinfo=UTC))
            close_cycles(own)
            return None
        return change_address(own, sub.customer_id or 0, sub.public_id, NEW).first_box_on

    _, told = in_parallel(app, 2, act)

    box = rt.session.execute(sa.select(Box.ship_to, Box.state)).one()
    rt.session.rollback()
    assert box.state == "locked"
    old = ("Ada Lovelace", "Lindenweg 4", "07743", "")
    new = ("Ada Weber", "Am Markt 1", "07745", "2nd floor")
    packed = tuple(box.ship_to.get(part) or "" for part in ("name", "street", "postcode", "extra"))
    # What the page says is what is packed.
    assert packed == (new if told == date(2027, 3, 15) else old)


def _skip(customer: int, public: str, key: str, own: Runtime) -> None:
    skips.skip_box(own, customer, public, key)


def _undo(customer: int, public: str, key: str, own: Runtime) -> None:
    skips.undo_skip(own, customer, public, key)
