"""One coming box is sent elsewhere from the list of next boxes, by its owner or by staff."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import BoxCycle, Customer, Subscription
from storefront.runtime import Runtime
from storefront.services.signin import change_password
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.visitor import PASSWORD, Visitor

ISLAND = {
    "name": "Ada Weber",
    "street": "Am Hafen 1",
    "postcode": "18565",
    "city": "Hiddensee",
    "country": "DE",
}


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Its March box is paid; that of April ships on the 19th and is not."""
    return make.make_subscription(rt)


@pytest.fixture
def april(rt: Runtime, sub: Subscription) -> str:
    assert sub.id
    found = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-04")).one()
    rt.session.rollback()
    return found


def owner(rt: Runtime, sub: Subscription) -> Customer:
    found = rt.session.get_one(Customer, sub.customer_id)
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", page).split())


def test_the_account_sends_a_coming_box_elsewhere_and_takes_that_back(
    app: Flask, rt: Runtime, sub: Subscription, april: str
) -> None:
    ada = owner(rt, sub)
    change_password(rt, ada.id, "", PASSWORD)
    visitor = Visitor.of(app).sign_in(ada.email)
    home, url = f"/account/subscriptions/{sub.public_id}", "/address"
    form = f"{home}{url}?for={april}"
    assert form in visitor.get(home).text
    page = visitor.get(form).text
    assert f'value="{april}"' in page
    assert "Only the box that ships on Mon 19 April" in page
    assert "One box alone costs nothing more, and stays in its country." in page

    abroad = ISLAND | {"postcode": "8010", "city": "Graz", "country": "AT", "for": april}
    assert "One box alone stays in its country." in visitor.post(home + url, **abroad).text
    assert visitor.post(home + url, **ISLAND, **{"for": april}).status_code == 303
    shown = text_of(visitor.get(home).text)
    assert "To Am Hafen 1, Hiddensee" in shown
    assert "The box of Mon 19 April goes to Hiddensee." in shown
    again = visitor.get(form).text
    assert 'value="Am Hafen 1"' in again
    assert "The box of Mon 19 April keeps the address it was given alone." in again
    assert "a box that is not paid for yet goes with them" in again

    back = f"{home}/boxes/{april}/address/usual"
    assert back in visitor.get("/account/").text
    assert visitor.post(back, **{"from": "home"}).location == "/account/"
    assert "That box goes where the others go." in visitor.get("/account/").text
    assert "Hiddensee" not in visitor.get("/account/").text
    # The box that is shown large has the same ways.
    march = visitor.get("/account/").text.split("/boxes/cyc_")[1].split("/")[0]
    visitor.post(home + url, **ISLAND, **{"for": f"cyc_{march}"})
    large = visitor.get("/account/").text
    assert f"{home}/boxes/cyc_{march}/address/usual" in large
    assert f"{home}/address?for=cyc_{march}" in large
    visitor.post(back)
    assert "It goes where the others go already." in visitor.get(home).text
    stranger = make.make_subscription(rt)
    other = f"/account/subscriptions/{stranger.public_id}/boxes/{april}/address/usual"
    assert visitor.post(other).status_code == 404


def test_staff_do_it_by_the_same_rule(
    app: Flask, rt: Runtime, sub: Subscription, april: str
) -> None:
    mia, ref = desk(app, rt), owner(rt, sub).public_id
    person, url = f"/admin/subscribers/{ref}", f"/admin/subscribers/{ref}/{sub.public_id}/address"
    assert f"{url}?for={april}" in mia.get(person).text
    mia.get(f"{url}?for={april}")
    assert mia.post(url, ISLAND | {"for": april}).status_code == 303
    assert "To Am Hafen 1, Hiddensee" in text_of(mia.get(person).text)
    assert mia.post(f"{url}/{april}/usual", {}).status_code == 303
    assert "Am Hafen 1, Hiddensee" not in text_of(mia.get(person).text)
    assert "Address of one box changed" in mia.get("/admin/log").text


def test_a_box_that_can_no_longer_go_elsewhere_leaves_the_choice_to_its_owner(
    app: Flask, rt: Runtime, sub: Subscription, april: str, clock: FrozenClock
) -> None:
    ada = owner(rt, sub)
    change_password(rt, ada.id, "", PASSWORD)
    url = f"/account/subscriptions/{sub.public_id}/address"
    clock.set(datetime(2027, 4, 12, 9, tzinfo=UTC))
    visitor = Visitor.of(app).sign_in(ada.email)
    late = visitor.post(url, **ISLAND, **{"for": april})
    assert late.status_code == 422
    assert "That box cannot be changed any more." in late.text
    assert 'name="choose"' in late.text
    # Nothing is ticked, so saving once more does not move the whole subscription unasked.
    assert visitor.post(url, **ISLAND, choose=april).status_code == 422
    assert visitor.post(url, **ISLAND, choose=april, **{"for": "one"}).status_code == 303
