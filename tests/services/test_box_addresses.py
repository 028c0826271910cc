"""One box alone goes elsewhere: until its cut-off, in its country, for what was paid."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.events import Actor
from storefront.models import Box, Invoice, Plan, Subscription, SubscriptionEvent
from storefront.runtime import Runtime
from storefront.services.addresses import change_address, first_box_after
from storefront.services.box_addresses import (
    NotFound,
    NotServed,
    OtherCountry,
    PostalAddress,
    TooLate,
    change_box_address,
)
from storefront.services.cycles import close_cycles
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock

HOLIDAY = PostalAddress("Ada Weber", "Am Hafen 1", "18565", "Hiddensee", "DE")
MOVED = PostalAddress("Ada Weber", "Am Markt 1", "07745", "Jena", "DE")


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Its March box is paid; it may be changed until 11 March and is locked on the 15th."""
    make.make_zone(rt, "DE", 490)
    made = make.make_subscription(rt)
    plan = rt.session.scalars(sa.select(Plan.public_id).where(Plan.id == made.plan_id)).one()
    rt.session.rollback()
    save_recipe(rt, plan, None, "", [Ingredient(make.make_variant(rt).public_id, 1)])
    return made


def box_of(rt: Runtime) -> str:
    found = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).first()
    rt.session.rollback()
    assert found is not None
    return found


def cities(rt: Runtime) -> list[str]:
    found = rt.session.scalars(sa.select(Box.ship_to).order_by(Box.id)).all()
    rt.session.rollback()
    return [one["city"] if one else "" for one in found]


def send(rt: Runtime, sub: Subscription, typed: PostalAddress = HOLIDAY) -> bool:
    assert sub.customer_id is not None
    return change_box_address(rt, sub.customer_id, box_of(rt), typed)


def test_one_box_goes_elsewhere_and_the_next_where_it_always_went(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    make.make_zone(rt, "DE 18565", 1290)
    assert send(rt, sub)
    assert not send(rt, sub), "it goes there already"
    for day in ("2027-03-16", "2027-04-12", "2027-04-16"):
        clock.set(datetime.fromisoformat(f"{day}T09:00").replace(tzinfo=UTC))
        run_renewals(rt)
        close_cycles(rt)
    assert cities(rt) == ["Hiddensee", "Jena"]
    totals = rt.session.scalars(sa.select(Invoice.total_minor)).all()
    rt.session.rollback()
    assert totals == [3090, 3090]


def test_a_later_change_of_the_subscription_leaves_it_alone_and_says_so(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    assert sub.customer_id is not None
    send(rt, sub)
    effect = first_box_after(rt, sub.customer_id, sub.public_id)
    assert ([*map(str, effect.own_days)], str(effect.first_box_on)) == (
        ["2027-03-18"],
        "2027-04-19",
    )
    change_address(rt, sub.customer_id, sub.public_id, MOVED)
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)
    assert cities(rt) == ["Hiddensee"]


def test_the_address_of_the_subscription_ends_it(rt: Runtime, sub: Subscription) -> None:
    assert sub.customer_id is not None
    change_address(rt, sub.customer_id, sub.public_id, MOVED)
    send(rt, sub)
    assert send(rt, sub, MOVED)
    kept = rt.session.scalars(sa.select(Box.address_id)).one()
    rt.session.rollback()
    assert kept is None
    assert first_box_after(rt, sub.customer_id, sub.public_id).own_days == ()


def test_it_is_noted_who_did_it(rt: Runtime, sub: Subscription) -> None:
    send(rt, sub)
    row = rt.session.execute(
        sa.select(SubscriptionEvent.actor, SubscriptionEvent.data).where(
            SubscriptionEvent.kind == "box.address_changed"
        )
    ).one()
    rt.session.rollback()
    assert (row.actor, row.data["city"]) == (Actor.CUSTOMER, "Hiddensee")


def test_after_the_last_second_of_the_cut_off_it_is_too_late(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    assert send(rt, sub)
    clock.set(datetime(2027, 3, 11, 23, 0, 0, tzinfo=UTC))
    with pytest.raises(TooLate):
        send(rt, sub, MOVED)
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)
    with pytest.raises(TooLate):
        send(rt, sub, MOVED)
    assert cities(rt) == ["Hiddensee"]


def test_where_it_cannot_go(rt: Runtime, sub: Subscription) -> None:
    abroad = PostalAddress("Ada", "Hauptplatz 1", "8010", "Graz", "AT")
    with pytest.raises(OtherCountry):
        send(rt, sub, abroad)
    make.make_zone(rt, "DE 18565", None)
    with pytest.raises(NotServed):
        send(rt, sub)
    with pytest.raises(NotServed):
        send(rt, sub, PostalAddress("Ada", "Calle 1", "28001", "Madrid", "ES"))
    stranger = make.make_customer(rt)
    with pytest.raises(NotFound):
        change_box_address(rt, stranger.id, box_of(rt), MOVED)
    kept = rt.session.scalars(sa.select(Box.address_id)).one()
    rt.session.rollback()
    assert kept is None
