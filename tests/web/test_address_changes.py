"""A new address in account and admin: one rule, and both pages say from which box it holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Address, AuditEntry, Customer, Subscription, SubscriptionEvent
from storefront.runtime import Runtime
from storefront.services.signin import change_password
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.visitor import PASSWORD, Visitor

NEW = {
    "name": "Ada Weber",
    "street": "Am Markt 1",
    "postcode": "07745",
    "city": "Jena",
    "country": "DE",
}
KEPT = "The box of Thu 18 March goes to the old one: it could be changed until Thu 11 March."
FIRST = "First box with this address: the one that ships on Mon 19 April."


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Its March box is paid, its cut-off is 11 March, the lock 15 March, it ships on the 18th."""
    return make.make_subscription(rt)


@pytest.fixture
def after_the_cut_off(sub: Subscription, clock: FrozenClock) -> None:
    assert sub.id
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))


def customer(rt: Runtime, sub: Subscription) -> sa.Row:  # type: ignore[type-arg]
    table = Customer.__table__
    row = rt.session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.email).where(table.c.id == sub.customer_id)
    ).one()
    rt.session.rollback()
    return row


def street(rt: Runtime) -> str | None:
    found = rt.session.scalar(
        sa.select(Address.street).join(Subscription, Subscription.address_id == Address.id)
    )
    rt.session.rollback()
    return found


@pytest.mark.usefixtures("after_the_cut_off")
def test_the_account_says_which_box_keeps_the_old_address(
    app: Flask, rt: Runtime, sub: Subscription
) -> None:
    ada = customer(rt, sub)
    change_password(rt, ada.id, "", PASSWORD)
    visitor = Visitor.of(app).sign_in(ada.email)
    path = f"/account/subscriptions/{sub.public_id}/address"
    page = visitor.get(path).text
    assert FIRST in page
    assert KEPT in page
    assert visitor.post(path, **NEW).status_code == 303
    shown = visitor.get(f"/account/subscriptions/{sub.public_id}").text
    assert "The first box with this address ships on Mon 19 April." in shown
    assert street(rt) == "Am Markt 1"


@pytest.mark.usefixtures("after_the_cut_off")
def test_staff_change_it_by_the_same_rule_and_it_is_logged(
    app: Flask, rt: Runtime, sub: Subscription
) -> None:
    mia = desk(app, rt)
    ref = customer(rt, sub).public_id
    path = f"/admin/subscribers/{ref}/{sub.public_id}/address"
    assert path in mia.get(f"/admin/subscribers/{ref}").text
    page = mia.get(path).text
    assert FIRST in page
    assert KEPT in page
    assert mia.post(path, NEW).status_code == 303
    assert street(rt) == "Am Markt 1"
    told = rt.session.scalars(sa.select(SubscriptionEvent.actor)).all()
    assert "staff" in told
    action = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()[-1]
    rt.session.rollback()
    assert action == "address.changed"
    assert "Address of a subscription changed" in mia.get("/admin/log").text


def test_before_the_cut_off_the_next_box_is_named(
    app: Flask, rt: Runtime, sub: Subscription
) -> None:
    ref = customer(rt, sub).public_id
    page = desk(app, rt).get(f"/admin/subscribers/{ref}/{sub.public_id}/address").text
    assert "First box with this address: the one that ships on Thu 18 March." in page
    assert "goes to the old one" not in page


def test_a_wrong_entry_keeps_what_was_typed(app: Flask, rt: Runtime, sub: Subscription) -> None:
    mia = desk(app, rt)
    path = f"/admin/subscribers/{customer(rt, sub).public_id}/{sub.public_id}/address"
    mia.get(path)
    answer = mia.post(path, {**NEW, "postcode": "1"}, partial=True)
    assert answer.status_code == 422
    assert "Postcodes there look like 07743. Check yours" in answer.text
    assert 'value="Am Markt 1"' in answer.text
    assert street(rt) == "Lindenweg 4"


def test_it_is_for_who_may_manage_subscriptions(app: Flask, rt: Runtime, sub: Subscription) -> None:
    ref = customer(rt, sub).public_id
    packer = desk(app, rt, "fulfilment")
    assert packer.get(f"/admin/subscribers/{ref}/{sub.public_id}/address").status_code == 403
    nobody = make.make_customer(rt, email="grace@example.org").public_id
    other = desk(app, rt).get(f"/admin/subscribers/{nobody}/{sub.public_id}/address")
    assert other.status_code == 404
