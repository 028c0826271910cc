"""Renewals of subscribers who live where nothing is sent any more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.models import BoxCycle, Invoice, OutboxMessage, SubscriptionPeriod
from storefront.operations.audit import Who
from storefront.queries.worklists import counts, listed
from storefront.runtime import Runtime
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.box_addresses import send_box
from storefront.services.cycles import plan_ahead
from storefront.services.renewals import run_renewals
from storefront.services.shipping import remove_zone
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff

pytestmark = pytest.mark.usefixtures("demo_gateway")

#: The renewal of ``make_subscription`` falls due on 12 April; its cycle is locked on the 16th.
DUE = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def charged(rt: Runtime) -> int:
    count = rt.session.scalar(sa.select(sa.func.count()).select_from(Invoice))
    rt.session.rollback()
    return int(count or 0)


def told(rt: Runtime) -> int:
    which = OutboxMessage.topic == "not_delivered_there"
    count = rt.session.scalar(sa.select(sa.func.count()).where(which))
    rt.session.rollback()
    return int(count or 0)


def test_nobody_is_charged_for_a_box_to_a_blocked_place_and_is_told_once(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    make.make_subscription(rt)
    make.make_zone(rt, "DE 07", None)
    clock.set(DUE)
    before = charged(rt)
    for _ in range(4):
        report = run_renewals(rt)
        assert (report.waiting, report.billed) == (1, 0)
        clock.advance(hours=2)
    assert charged(rt) == before
    assert told(rt) == 1


def test_it_goes_on_by_itself_once_the_place_is_open_again(
    rt: Runtime, who: Who, clock: FrozenClock
) -> None:
    make.make_subscription(rt)
    zone = make.make_zone(rt, "DE 07", None)
    clock.set(DUE)
    run_renewals(rt)
    remove_zone(rt, who, zone.public_id)
    clock.advance(days=2)
    assert run_renewals(rt).billed == 1


def test_it_goes_on_with_another_address(rt: Runtime, clock: FrozenClock) -> None:
    sub = make.make_subscription(rt)
    make.make_zone(rt, "DE 07", None)
    clock.set(DUE)
    run_renewals(rt)
    other = PostalAddress("Ada", "Am Markt 2", "10115", "Berlin", "DE")
    change_address(rt, sub.customer_id, sub.public_id, other)
    clock.advance(hours=1)
    assert run_renewals(rt).billed == 1


@pytest.mark.parametrize("catch_up", ["skip", "bill"])
def test_a_turn_that_is_over_meanwhile_is_never_charged(
    rt: Runtime, who: Who, clock: FrozenClock, catch_up: str
) -> None:
    make.make_subscription(rt)
    zone = make.make_zone(rt, "DE 07", None)
    rt.session.execute(sa.text("UPDATE shop_settings SET catch_up = :how"), {"how": catch_up})
    rt.session.commit()
    rt.forget_shop()
    clock.set(DUE)
    before = charged(rt)
    for _ in range(30):
        run_renewals(rt)
        clock.advance(days=1)
    assert charged(rt) == before
    assert told(rt) == 1
    remove_zone(rt, who, zone.public_id)
    run_renewals(rt)
    clock.advance(days=2)
    run_renewals(rt)
    kinds = list(rt.session.scalars(sa.select(SubscriptionPeriod.reason)))
    rt.session.rollback()
    assert "missed" in kinds
    assert charged(rt) == before + 1


def test_a_plan_that_ships_nothing_is_charged_wherever_its_reader_lives(
    rt: Runtime, clock: FrozenClock
) -> None:
    make.make_subscription(rt, plan=make.make_plan(rt, ships=False))
    make.make_zone(rt, "DE 07", None)
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    assert run_renewals(rt).billed == 1


@pytest.mark.parametrize(("blocked", "billed"), [("DE 07", 1), ("DE 10", 0)])
def test_the_address_given_to_the_next_box_alone_counts_first(
    rt: Runtime, clock: FrozenClock, blocked: str, billed: int
) -> None:
    sub = make.make_subscription(rt)
    plan_ahead(rt)
    which = sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-04")
    cycle = rt.session.scalars(which).one()
    rt.session.rollback()
    office = PostalAddress("Ada", "Am Markt 2", "10115", "Berlin", "DE")
    assert send_box(rt, sub.customer_id, sub.public_id, cycle, office)
    make.make_zone(rt, blocked, None)
    clock.set(DUE)
    assert run_renewals(rt).billed == billed


def unserved(rt: Runtime) -> int:
    found = counts(rt.session, rt.moment(), "EUR")["unserved"].count
    assert len(listed(rt.session, "unserved", rt.moment())) == found
    rt.session.rollback()
    return found


def test_staff_have_a_list_of_renewals_that_wait_for_their_place(
    rt: Runtime, who: Who, clock: FrozenClock
) -> None:
    make.make_subscription(rt)
    make.make_subscription(rt, plan=make.make_plan(rt, code="paper", ships=False))
    zone = make.make_zone(rt, "DE 07", None)
    assert unserved(rt) == 0
    clock.set(DUE)
    run_renewals(rt)
    assert unserved(rt) == 1
    remove_zone(rt, who, zone.public_id)
    clock.advance(hours=2)
    run_renewals(rt)
    assert unserved(rt) == 0
