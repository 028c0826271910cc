"""A new address: which box is the first, and what keeps the old one."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.models import Address, Box, Invoice, Subscription, SubscriptionEvent
from storefront.runtime import Runtime
from storefront.services.addresses import (
    NotFound,
    NotServed,
    PostalAddress,
    change_address,
    first_box_after,
)
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_customer, make_subscription

NEW = PostalAddress("Ada Weber", "Am Markt 1", "07745", "Jena", "DE", extra="2nd floor")


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Its March box is paid, its cut-off is 11 March, the lock 15 March, it ships on the 18th."""
    return make_subscription(rt)


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
