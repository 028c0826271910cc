"""An address that changes what is paid says so, from which payment on, before it is saved."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from storefront.domain.changes import Wish
from storefront.models import (
    Address,
    Customer,
    CycleGroup,
    Invoice,
    Plan,
    ShippingBand,
    Subscription,
)
from storefront.operations.consents import Given
from storefront.runtime import Runtime
from storefront.services.changes import change, quote_change
from storefront.services.renewals import run_renewals
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
CHANGES = "This address changes what you pay"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Its March box is paid with 4.90 of delivery; the next payment is on 12 April."""
    make.make_zone(rt, "DE", 490)
    make.make_zone(rt, "DE 18565", 1290)
    return make.make_subscription(rt)


@pytest.fixture
def ada(rt: Runtime, sub: Subscription) -> Customer:
    found = rt.session.get_one(Customer, sub.customer_id)
    rt.session.expunge(found)
    rt.session.rollback()
    change_password(rt, found.id, "", PASSWORD)
    return found


@pytest.fixture
def visitor(app: Flask, ada: Customer) -> Visitor:
    return Visitor.of(app).sign_in(ada.email)


def path(sub: Subscription) -> str:
    return f"/account/subscriptions/{sub.public_id}/address"


def hidden(answer: TestResponse) -> str:
    found = re.search(r'name="shown" value="([0-9a-f]+)"', answer.text)
    return found[1] if found else ""


def cities(rt: Runtime) -> list[str]:
    found = rt.session.scalars(
        sa.select(Address.city)
        .join(Subscription, Subscription.address_id == Address.id)
        .order_by(Subscription.id)
    ).all()
    rt.session.rollback()
    return list(found)


def totals(rt: Runtime) -> list[int]:
    found = rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)).all()
    rt.session.rollback()
    return list(found)


def test_a_dearer_address_is_shown_with_its_payment_and_charged_so(
    rt: Runtime, sub: Subscription, visitor: Visitor, clock: FrozenClock
) -> None:
    asked = visitor.post(path(sub), **ISLAND)
    assert asked.status_code == 200
    for words in (CHANGES, "from the payment on Mon 12 April on", "€4.90", "€12.90", "€38.90"):
        assert words in asked.text
    assert "Boxes that are paid for go to the new address for what was paid." in asked.text
    assert 'value="Am Hafen 1"' in asked.text
    assert cities(rt) == ["Jena"]

    assert visitor.post(path(sub), **ISLAND, shown=hidden(asked)).status_code == 303
    assert cities(rt) == ["Hiddensee"]
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert totals(rt) == [3090, 3890]


def test_what_rose_meanwhile_is_shown_again(
    rt: Runtime, sub: Subscription, visitor: Visitor
) -> None:
    asked = visitor.post(path(sub), **ISLAND)
    rt.session.execute(
        sa.update(ShippingBand).where(ShippingBand.amount_minor == 1290).values(amount_minor=1500)
    )
    rt.session.commit()
    again = visitor.post(path(sub), **ISLAND, shown=hidden(asked))
    assert again.status_code == 200
    assert "€15.00" in again.text
    assert hidden(again) not in ("", hidden(asked))
    assert cities(rt) == ["Jena"]


def test_an_address_at_the_same_price_is_saved_at_once(
    rt: Runtime, sub: Subscription, visitor: Visitor
) -> None:
    near = ISLAND | {"postcode": "10115", "city": "Berlin"}
    assert visitor.post(path(sub), **near).status_code == 303
    assert cities(rt) == ["Berlin"]


def test_another_country_shows_its_tax(rt: Runtime, sub: Subscription, visitor: Visitor) -> None:
    make.make_zone(rt, "AT", 490)
    abroad = ISLAND | {"postcode": "8010", "city": "Graz", "country": "AT"}
    asked = visitor.post(path(sub), **abroad)
    assert CHANGES in asked.text
    assert "Tax in the payment" in asked.text
    assert cities(rt) == ["Jena"]
    assert visitor.post(path(sub), **abroad, shown=hidden(asked)).status_code == 303
    assert cities(rt) == ["Graz"]


def test_with_a_change_of_plan_booked_it_is_the_coming_plan_that_is_compared(
    rt: Runtime, sub: Subscription, ada: Customer, visitor: Visitor, clock: FrozenClock
) -> None:
    yearly = make.make_price(
        rt, rt.session.get_one(Plan, sub.plan_id), amount_minor=28080, unit="year"
    )
    wish = Wish(yearly.public_id, None, None, "boundary")
    quote = quote_change(rt, ada.id, sub.public_id, wish)
    agreed = Given("I agree to it.", "change-1", "192.0.2.7", "A browser")
    change(rt, ada.id, sub.public_id, wish, quote.quote_hash, agreed)

    asked = visitor.post(path(sub), **ISLAND)
    assert asked.status_code == 200
    for words in (CHANGES, "from the payment on Mon 12 April on", "€339.60", "€435.60"):
        assert words in asked.text
    assert visitor.post(path(sub), **ISLAND, shown=hidden(asked)).status_code == 303
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert totals(rt) == [3090, 43560]


def test_the_invoice_of_a_change_names_the_delivery_it_takes_back_and_charges(
    rt: Runtime, sub: Subscription, ada: Customer, visitor: Visitor
) -> None:
    own = rt.session.get_one(Plan, sub.plan_id)
    group = rt.session.get_one(CycleGroup, own.cycle_group_id)
    dearer = make.make_price(rt, make.make_plan(rt, group=group, name="Table"), amount_minor=4200)
    wish = Wish(dearer.public_id, None, None, "now")
    quote = quote_change(rt, ada.id, sub.public_id, wish)
    agreed = Given("I agree to it.", "change-1", "192.0.2.7", "A browser")
    change(rt, ada.id, sub.public_id, wish, quote.quote_hash, agreed)
    newest = rt.session.scalar(sa.select(Invoice.public_id).order_by(Invoice.id.desc()))
    rt.session.rollback()

    page = visitor.get(f"/account/invoices/{newest}").text
    lines = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', page, re.DOTALL) or re.findall(
        r"<tr>\s*<td[^>]*>(.*?)</td>", page, re.DOTALL
    )
    said = [re.sub(r"<[^>]+>", " ", line).split("\n")[0].strip() for line in lines]
    assert "Not used: Delivery" in " ".join(said)
    assert [line for line in said if not line or line.endswith(":")] == []


def test_all_subscriptions_of_a_customer_move_together_or_none(
    app: Flask, rt: Runtime, sub: Subscription, ada: Customer, visitor: Visitor
) -> None:
    assert "All of this subscription and" not in visitor.get(path(sub)).text
    make.make_subscription(rt, customer=ada)
    stranger = make.make_subscription(rt)
    assert "All of this subscription and 1 other" in visitor.get(path(sub)).text

    asked = visitor.post(path(sub), **ISLAND, **{"for": "all"})
    assert asked.text.count("from the payment on") == 2
    one = visitor.post(path(sub), **ISLAND, shown=hidden(asked))
    assert one.status_code == 200, "what was shown was for both"
    assert (
        visitor.post(path(sub), **ISLAND, **{"for": "all"}, shown=hidden(asked)).status_code == 303
    )
    assert cities(rt) == ["Hiddensee", "Hiddensee", "Jena"]
    assert stranger.customer_id != ada.id

    make.make_zone(rt, "DE 1011", None)
    blocked = ISLAND | {"postcode": "10115", "city": "Berlin", "for": "all"}
    assert visitor.post(path(sub), **blocked).status_code == 422
    assert cities(rt) == ["Hiddensee", "Hiddensee", "Jena"]


def test_staff_are_shown_the_same(
    app: Flask, rt: Runtime, sub: Subscription, ada: Customer
) -> None:
    mia = desk(app, rt)
    url = f"/admin/subscribers/{ada.public_id}/{sub.public_id}/address"
    mia.get(url)
    asked = mia.post(url, ISLAND, partial=True)
    assert asked.status_code == 200
    assert "<html" not in asked.text
    assert CHANGES in asked.text
    assert cities(rt) == ["Jena"]
    assert mia.post(url, ISLAND | {"shown": hidden(asked)}).status_code == 303
    assert cities(rt) == ["Hiddensee"]


def test_one_box_alone_costs_nothing_on_top_and_is_shown_in_the_account(
    rt: Runtime, sub: Subscription, visitor: Visitor
) -> None:
    page = visitor.get(path(sub)).text
    assert "Only the box that ships on Thu 18 March" in page
    found = re.search(r'value="(cyc_[^"]+)"', page)
    assert found is not None
    abroad = ISLAND | {"postcode": "8010", "city": "Graz", "country": "AT", "for": found[1]}
    refused = visitor.post(path(sub), **abroad)
    assert refused.status_code == 422
    assert "One box alone stays in its country." in refused.text

    assert visitor.post(path(sub), **ISLAND, **{"for": found[1]}).status_code == 303
    assert cities(rt) == ["Jena"]
    assert "Am Hafen 1, Hiddensee" in visitor.get("/account/").text
    told = visitor.get(f"/account/subscriptions/{sub.public_id}").text
    assert "The box of Thu 18 March goes to Hiddensee." in told
    assert "The box of Thu 18 March keeps the address" in visitor.get(path(sub)).text


def test_the_subscription_says_which_part_of_its_next_payment_is_for_delivery(
    rt: Runtime, visitor: Visitor, sub: Subscription
) -> None:
    page = visitor.get(f"/account/subscriptions/{sub.public_id}").text

    assert "€26.00 a month, plus delivery" in page
    assert "€30.90 on Mon 12 April, €4.90 of it for delivery" in page


def test_what_a_code_takes_off_the_delivery_is_not_said_to_be_paid_for_it(
    app: Flask, rt: Runtime
) -> None:
    make.make_zone(rt, "DE", 490)
    make.make_code(rt, "PORTO", kind="free_shipping", percent_bp=0, duration="forever")
    sub = make.make_subscription(rt, code="PORTO")
    owner = rt.session.get_one(Customer, sub.customer_id)
    key, email = owner.id, owner.email
    rt.session.rollback()
    change_password(rt, key, "", PASSWORD)

    page = Visitor.of(app).sign_in(email).get(f"/account/subscriptions/{sub.public_id}").text

    assert "€26.00 on Mon 12 April" in page
    assert "of it for delivery" not in page
    assert "plus delivery" not in page
