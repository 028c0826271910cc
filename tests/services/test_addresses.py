"""A new address: which box is the first, and what keeps the old one."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.events import Actor
from storefront.models import (
    Address,
    Box,
    Invoice,
    PaymentMethod,
    Plan,
    Staff,
    Subscription,
    SubscriptionEvent,
)
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.addresses import (
    NotFound,
    NotServed,
    PostalAddress,
    change_address,
    first_box_after,
)
from storefront.services.cycles import close_cycles
from storefront.services.dunning import chase_due
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.renewals import run_renewals
from storefront.services.staff import add_staff
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import (
    make_customer,
    make_plan,
    make_subscription,
    make_variant,
    price_of,
)
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.visitor import PASSWORD

NEW = PostalAddress("Ada Weber", "Am Markt 1", "07745", "Jena", "DE", extra="2nd floor")


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Its March box is paid, its cut-off is 11 March, the lock 15 March, it ships on the 18th."""
    return make_subscription(rt)


@pytest.fixture
def packable(rt: Runtime, sub: Subscription) -> Subscription:
    """The same with a recipe, so that the lock packs its box."""
    return pack(rt, sub)


def pack(rt: Runtime, sub: Subscription) -> Subscription:
    plan = rt.session.scalars(sa.select(Plan.public_id).where(Plan.id == sub.plan_id)).one()
    rt.session.rollback()
    save_recipe(rt, plan, None, "", [Ingredient(make_variant(rt).public_id, 1)])
    return sub


def street_of_locked(rt: Runtime, clock: FrozenClock) -> str:
    """Let the lock pass and return where the box goes."""
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    assert close_cycles(rt).boxes.locked == 1
    ship_to = rt.session.scalars(sa.select(Box.ship_to)).one()
    rt.session.rollback()
    assert ship_to is not None
    return str(ship_to["street"])


def present(rt: Runtime, sub: Subscription) -> Address:
    """Return the address the subscription ships to now."""
    row = rt.session.scalars(
        sa.select(Address)
        .join(Subscription, Subscription.address_id == Address.id)
        .where(Subscription.id == sub.id)
    ).one()
    rt.session.expunge(row)
    rt.session.rollback()
    return row


def test_the_first_box_with_the_new_address_is_named(rt: Runtime, sub: Subscription) -> None:
    before = first_box_after(rt, sub.customer_id or 0, sub.public_id)
    after = change_address(rt, sub.customer_id or 0, sub.public_id, NEW)
    assert before == after
    assert after.first_box_on == date(2027, 3, 18)
    assert present(rt, sub).street == "Am Markt 1"


def test_a_box_being_packed_keeps_the_old_address(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    rt.session.execute(sa.update(Box).values(state="locked"))
    rt.session.commit()
    effect = change_address(rt, sub.customer_id or 0, sub.public_id, NEW)
    assert effect.first_box_on == date(2027, 4, 19)
    assert effect.packed_box_on == date(2027, 3, 18)


def test_until_the_last_second_of_the_cut_off_the_box_follows(
    rt: Runtime, clock: FrozenClock, packable: Subscription
) -> None:
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    effect = change_address(rt, packable.customer_id or 0, packable.public_id, NEW)
    assert (effect.first_box_on, effect.closed_box_on) == (date(2027, 3, 18), None)
    assert street_of_locked(rt, clock) == "Am Markt 1"


def test_after_its_cut_off_a_box_keeps_the_address_it_had(
    rt: Runtime, clock: FrozenClock, packable: Subscription
) -> None:
    clock.set(datetime(2027, 3, 11, 23, 0, tzinfo=UTC))
    effect = change_address(rt, packable.customer_id or 0, packable.public_id, NEW)
    assert effect.first_box_on == date(2027, 4, 19)
    assert (effect.closed_box_on, effect.closed_on) == (date(2027, 3, 18), date(2027, 3, 11))
    again = replace(NEW, street="Am Markt 2")
    change_address(rt, packable.customer_id or 0, packable.public_id, again)
    assert street_of_locked(rt, clock) == "Lindenweg 4"
    assert present(rt, packable).street == "Am Markt 2"


def test_two_changes_around_the_cut_off_leave_the_one_before_it(
    rt: Runtime, clock: FrozenClock, packable: Subscription
) -> None:
    change_address(rt, packable.customer_id or 0, packable.public_id, NEW)
    clock.set(datetime(2027, 3, 13, 9, 0, tzinfo=UTC))
    later = replace(NEW, street="Am Markt 2")
    change_address(rt, packable.customer_id or 0, packable.public_id, later)
    assert street_of_locked(rt, clock) == "Am Markt 1"


def test_staff_change_it_by_the_same_rule(
    rt: Runtime, clock: FrozenClock, packable: Subscription
) -> None:
    clock.set(datetime(2027, 3, 13, 9, 0, tzinfo=UTC))
    add_staff(rt, email="mia@shop.example", name="Mia", password=PASSWORD, role="owner")
    key, ref = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    mia = Who(key, ref, "192.0.2.1")
    change_address(
        rt, packable.customer_id or 0, packable.public_id, NEW, actor=Actor.STAFF, who=mia
    )
    assert street_of_locked(rt, clock) == "Lindenweg 4"
    told = rt.session.execute(
        sa.select(SubscriptionEvent.actor, SubscriptionEvent.actor_ref).where(
            SubscriptionEvent.kind == "address.changed"
        )
    ).one()
    assert tuple(told) == ("staff", ref)


def test_a_box_that_could_go_nowhere_takes_the_first_address_that_works(
    rt: Runtime, clock: FrozenClock, packable: Subscription
) -> None:
    rt.session.execute(sa.update(Address).values(street=""))
    rt.session.commit()
    clock.set(datetime(2027, 3, 13, 9, 0, tzinfo=UTC))
    effect = change_address(rt, packable.customer_id or 0, packable.public_id, NEW)
    assert (effect.first_box_on, effect.closed_box_on) == (date(2027, 3, 18), None)
    assert street_of_locked(rt, clock) == "Am Markt 1"


def test_a_box_paid_after_its_cut_off_goes_where_it_would_have_gone(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    """Its charge is declined on 12 March, the day after the cut-off, and paid on the 15th."""
    plan = make_plan(rt)
    populate(rt, plan, price_of(rt, plan), 1, date(2027, 3, 12), card="0341")
    found = rt.session.scalars(sa.select(Subscription)).one()
    rt.session.expunge(found)
    rt.session.rollback()
    before = present(rt, pack(rt, found)).street
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    change_address(rt, found.customer_id or 0, found.public_id, NEW)
    good = demo_gateway.bank.token_for("4242")
    rt.session.execute(sa.update(PaymentMethod).values(token=good, refused_at=None))
    rt.session.commit()
    clock.set(datetime(2027, 3, 15, 9, 0, tzinfo=UTC))
    chase_due(rt)
    run_renewals(rt)
    assert before != "Am Markt 1"
    assert street_of_locked(rt, clock) == before


def test_a_change_makes_a_new_row_and_documents_keep_theirs(rt: Runtime, sub: Subscription) -> None:
    old = present(rt, sub)
    change_address(rt, sub.customer_id or 0, sub.public_id, NEW)
    assert present(rt, sub).id != old.id
    rows = rt.session.scalars(sa.select(Address.street).order_by(Address.id)).all()
    assert rows == ["Lindenweg 4", "Am Markt 1"]
    snapshot = rt.session.scalars(sa.select(Invoice.snapshot)).one()
    assert snapshot["ship_to"]["street"] == "Lindenweg 4"


def test_the_same_address_again_changes_nothing(rt: Runtime, sub: Subscription) -> None:
    change_address(rt, sub.customer_id or 0, sub.public_id, NEW)
    again = change_address(rt, sub.customer_id or 0, sub.public_id, NEW)
    assert not again.changed
    told = rt.session.scalars(
        sa.select(SubscriptionEvent.kind).where(SubscriptionEvent.kind == "address.changed")
    ).all()
    assert len(told) == 1


def test_a_country_we_do_not_deliver_to_is_refused(rt: Runtime, sub: Subscription) -> None:
    abroad = PostalAddress("Ada Weber", "1 Main St", "10001", "New York", "US")
    with pytest.raises(NotServed):
        change_address(rt, sub.customer_id or 0, sub.public_id, abroad)
    assert present(rt, sub).street == "Lindenweg 4"


def test_another_customers_subscription_is_not_there(rt: Runtime, sub: Subscription) -> None:
    with pytest.raises(NotFound):
        change_address(rt, make_customer(rt).id, sub.public_id, NEW)
