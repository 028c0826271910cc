"""A least number of boxes where the law binds for a shorter time: shown, sold and left so."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from storefront.models import Address, ShopSettings, Subscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel, quote_cancellation
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.changing import go, one


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def move(rt: Runtime, sub: Subscription, country: str) -> None:
    """Let them live in another country, to which the shop delivers."""
    shop = rt.session.scalars(sa.select(ShopSettings)).one()
    shop.countries = [*shop.countries, country]
    rt.session.execute(
        sa.update(Address).where(Address.id == sub.address_id).values(country=country)
    )
    rt.session.commit()
    rt.forget_shop()


def test_an_order_binds_to_what_the_law_of_its_country_allows(rt: Runtime) -> None:
    plan = make.make_plan(rt, min_boxes=30)

    home = make.make_subscription(rt, plan=plan)
    abroad = make.make_subscription(
        rt, plan=plan, address={"country": "AT", "postcode": "1010", "city": "Wien"}
    )

    assert (one(rt, Subscription, home.id).min_boxes, abroad.min_boxes) == (24, 12)


def test_who_moved_leaves_after_the_boxes_that_bind_there(rt: Runtime, clock: FrozenClock) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30), min_boxes=9)
    sub = make.make_subscription(rt, plan=plan)
    assert quote_cancellation(rt, sub.customer_id, sub.public_id).boxes_owed == 8

    move(rt, sub, "DK")

    shown = quote_cancellation(rt, sub.customer_id, sub.public_id)
    assert (shown.min_boxes, shown.boxes_owed) == (6, 5)
    done = cancel(rt, sub.customer_id, sub.public_id)
    assert (done.ends_on, done.boxes_owed) == (shown.ends_on, 5)
    row = one(rt, Subscription, sub.id)
    assert (row.min_boxes, row.cancel_on) == (6, shown.ends_on)
    while rt.today() <= shown.ends_on:
        clock.advance(days=1)
        run_renewals(rt)
    row = one(rt, Subscription, sub.id)
    assert (row.state, row.boxes_billed) == ("canceled", 6)


def test_a_change_binds_to_no_more_than_the_law_allows(rt: Runtime) -> None:
    group = make.make_group(rt, cycles=30)
    sub = make.make_subscription(rt, plan=make.make_plan(rt, group=group))
    longer = make.make_plan(rt, group=group, amount_minor=3000, min_boxes=12)
    move(rt, sub, "DK")

    quote, done = go(rt, sub, longer)

    assert (done.outcome, quote.ends.least) == ("applied", 6)
    assert one(rt, Subscription, sub.id).min_boxes == 6


def test_a_change_at_the_boundary_binds_to_no_more_either(rt: Runtime, clock: FrozenClock) -> None:
    group = make.make_group(rt, cycles=30)
    sub = make.make_subscription(rt, plan=make.make_plan(rt, group=group))
    longer = make.make_plan(rt, group=group, amount_minor=3000, min_boxes=12)
    move(rt, sub, "DK")

    quote, _ = go(rt, sub, longer, when="boundary")
    for _day in range(45):
        clock.advance(days=1)
        run_renewals(rt)

    assert quote.ends.least == one(rt, Subscription, sub.id).min_boxes == 7
