"""The server's clock jumps and comes back, or the shop's zone changes (T-03, T-04, T-07)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from storefront.models import Invoice, ShopSettings
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.dunning import chase_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway

DUE = date(2027, 3, 12)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def numbers(rt: Runtime) -> list[int]:
    found = rt.session.scalars(sa.select(Invoice.number).order_by(Invoice.id)).all()
    rt.session.rollback()
    return [number for number in found if number]


def test_what_was_billed_a_day_ahead_is_not_billed_again_when_the_clock_is_right(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 5, DUE)
    populate(rt, plan, make.price_of(rt, plan), 5, DUE + timedelta(days=1))
    clock.advance(days=(DUE - rt.today()).days + 1)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 10

    clock.advance(days=-1)
    for _hour in range(72):
        run_renewals(rt)
        chase_due(rt)
        clock.advance(hours=1)

    assert demo_gateway.bank.executed_count() == 10
    assert demo_gateway.bank.double_charges() == []


def test_an_hour_back_inside_a_batch_doubles_nothing_and_numbers_go_on_rising(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 30, DUE)
    clock.advance(days=(DUE - rt.today()).days)
    # Claims of ten; each batch comes back with the clock an hour behind.
    for _batch in range(6):
        run_renewals(rt, limit=10)
        clock.advance(hours=-1)
    clock.advance(hours=12)
    run_renewals(rt)

    assert demo_gateway.bank.executed_count() == 30
    assert demo_gateway.bank.double_charges() == []
    assert numbers(rt) == list(range(1, 31))


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
def test_in_another_zone_of_the_shop_a_day_is_still_billed_once_and_not_before_it_comes(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, zone: str
) -> None:
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 3, DUE)
    rt.session.execute(sa.update(ShopSettings).values(zone=zone))
    rt.session.commit()
    rt.forget_shop()
    clock.set(datetime(2027, 3, 10, 12, 30, tzinfo=UTC))
    billed: list[date] = []
    for _hour in range(96):
        run_renewals(rt)
        billed += [rt.today()] * (demo_gateway.bank.executed_count() - len(billed))
        clock.advance(hours=1)

    assert billed == [DUE] * 3
    assert demo_gateway.bank.double_charges() == []
