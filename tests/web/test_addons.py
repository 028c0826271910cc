"""Add-ons as merchant, shopper and subscriber meet them, with and without script."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Addon, Consent, Customer, Invoice, Plan, Subscription
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import Desk, desk
from tests.support.shopper import HTMX, Shopper, place
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


def newest(rt: Runtime) -> list[int]:
    found = list(rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)))
    rt.session.rollback()
    return found


# The merchant.

TIN = {
    "name": "Tin of tea",
    "hint": "Keeps 100 g dry",
    "amount_EUR": "9.00",
    "tax_class": "standard",
    "sku": "",
    "position": "",
}


@pytest.fixture
def owner(app: Flask, rt: Runtime, plan: Plan) -> Desk:
    return desk(app, rt)


def test_a_merchant_puts_an_add_on_on_sale_and_takes_it_off(rt: Runtime, owner: Desk):
    make.make_variant(rt, sku="TIN-100", on_hand=40)
    assert "No add-ons yet" in owner.get("/admin/addons").text
    owner.get("/admin/addons/new")

    done = owner.post("/admin/addons/new", {**TIN, "sku": "TIN-100", "plans": "pot"})

    assert done.status_code == 303
    shown = owner.get("/admin/addons").text
    assert "Tin of tea" in shown
    assert "€9.00" in shown
    assert "40 in stock" in shown
    row = rt.session.execute(sa.select(table_of(Addon))).one()
    rt.session.rollback()
    assert (row.amounts, row.plans, row.variant_id is not None) == ({"EUR": 900}, ["pot"], True)
    owner.post(f"/admin/addons/{row.public_id}/archive", {"restore": "no"})
    assert "Off sale" in owner.get("/admin/addons").text
    owner.post(f"/admin/addons/{row.public_id}/archive", {"restore": "yes"})
    assert "Off sale" not in owner.get("/admin/addons").text


def test_what_is_wrong_stands_at_its_field(rt: Runtime, owner: Desk):
    owner.get("/admin/addons/new")

    answer = owner.post(
        "/admin/addons/new", {**TIN, "name": "", "amount_EUR": "0", "position": "x"}
    )
    assert answer.status_code == 422
    assert "Enter a name" in answer.text
    assert "Enter what one costs" in answer.text
    answer = owner.post("/admin/addons/new", {**TIN, "sku": "NOPE"})
    assert answer.status_code == 422
    assert "No product has this SKU" in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Addon)) == 0
    rt.session.rollback()


def test_a_new_price_is_saved_and_in_the_log(rt: Runtime, owner: Desk):
    addon = make.make_addon(rt, 900)
    shown = owner.get(f"/admin/addons/{addon.public_id}").text
    assert 'value="9.00"' in shown

    owner.post(f"/admin/addons/{addon.public_id}", {**TIN, "amount_EUR": "9,50"})

    assert rt.session.scalar(sa.select(table_of(Addon).c.amounts)) == {"EUR": 950}
    action = rt.session.execute(
        sa.text("SELECT action FROM audit_entry ORDER BY id DESC LIMIT 1")
    ).scalar_one()
    rt.session.rollback()
    assert action == "addon.saved"
    assert owner.get("/admin/addons/adn_unknown").status_code == 404


# The shopper.


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_shopper_ticks_what_comes_in_the_parcel(
    rt: Runtime, ada: Shopper, headers: dict[str, str]
):
    tin, honey = make.make_addon(rt, 900), make.make_addon(rt, 500, name="Honey")
    assert "Add to your box" in ada.get("/checkout?plan=pot").text
    ada.begin()
    ada.headers = headers

    answer = ada.post(
        ada.at("box"),
        step="box",
        **{
            f"addon-{tin.public_id}": "y",
            f"often-{tin.public_id}": "every",
            f"number-{tin.public_id}": "1",
            f"addon-{honey.public_id}": "y",
            f"often-{honey.public_id}": "once",
            f"number-{honey.public_id}": "2",
        },
    )
    assert answer.status_code in (200, 303)
    ada.headers = {}
    ada.deliver()

    page = ada.get(ada.at("pay")).text
    assert "2 × Honey" in page
    assert "€45.00" in page  # 26 + 9 + 2 × 5, due today
    assert "renews every month for €35.00" in page
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert newest(rt) == [4500]


def test_from_the_price_page_a_shopper_sees_what_can_be_added(rt: Runtime, ada: Shopper):
    assert place(ada.begin()) == "delivery"
    make.make_addon(rt, 900)

    assert place(ada.begin()) == "box"
    assert place(ada.post(ada.at("box"), step="box")) == "delivery"


def test_a_forged_number_is_refused(rt: Runtime, ada: Shopper):
    tin = make.make_addon(rt, 900)
    ada.begin()
    values = {f"addon-{tin.public_id}": "y", f"often-{tin.public_id}": "daily"}

    answer = ada.post(ada.at("box"), step="box", **values)

    assert answer.status_code == 422


# The subscriber.


@pytest.fixture
def sub(rt: Runtime, plan: Plan) -> Subscription:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return make.make_subscription(rt, plan=plan, customer=customer)


def visitor(app: Flask) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def shown_hash(text: str) -> str:
    found = re.search(r'name="shown" value="([0-9a-f]+)"', text)
    assert found, text
    return found[1]


@pytest.mark.parametrize("htmx", [False, True])
def test_a_subscriber_sees_box_and_payment_before_saving(
    app: Flask, rt: Runtime, sub: Subscription, clock: FrozenClock, htmx: bool
):
    tin = make.make_addon(rt, 900, name="Tin")
    me, url = visitor(app), f"/account/subscriptions/{sub.public_id}/box"
    assert "In your box" in me.get(f"/account/subscriptions/{sub.public_id}").text

    text = me.get(f"{url}?addon={tin.public_id}&quantity=1&cadence=every").text
    assert "Your next payment, on Mon 12 April, is €35.00 then." in text
    assert "first one leaves on Mon 19 April" in text
    assert "renews every month for €35.00 in total" in text
    answer = me.post(
        url,
        htmx=htmx,
        addon=tin.public_id,
        quantity="1",
        cadence="every",
        shown=shown_hash(text),
    )

    assert answer.status_code == (200 if htmx else 303)
    assert "€35.00" in me.get(f"/account/subscriptions/{sub.public_id}").text
    consent = rt.session.scalars(sa.select(Consent).order_by(Consent.id.desc())).first()
    assert consent is not None
    assert (consent.amount_minor, consent.text_version) == (3500, "add-on-2")
    assert consent.text in text.replace("&#39;", "'")
    rt.session.rollback()
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert newest(rt) == [2600, 3500]


def test_what_is_taken_off_is_not_paid_any_more(app: Flask, rt: Runtime, sub: Subscription):
    tin = make.make_addon(rt, 900, name="Tin")
    me, url = visitor(app), f"/account/subscriptions/{sub.public_id}/box"
    for quantity in ("2", "0"):
        text = me.get(f"{url}?addon={tin.public_id}&quantity={quantity}&cadence=every").text
        me.post(
            url,
            addon=tin.public_id,
            quantity=quantity,
            cadence="every",
            shown=shown_hash(text),
        )
    assert "What you have" not in me.get(url).text
    assert "€26.00 on" in me.get(f"/account/subscriptions/{sub.public_id}").text


def test_another_sum_than_shown_is_shown_again(app: Flask, rt: Runtime, sub: Subscription):
    tin = make.make_addon(rt, 900, name="Tin")
    me, url = visitor(app), f"/account/subscriptions/{sub.public_id}/box"
    text = me.get(f"{url}?addon={tin.public_id}&quantity=1&cadence=once").text
    rt.session.execute(sa.update(table_of(Addon)).values(amounts={"EUR": 1000}))
    rt.session.commit()

    values = {"addon": tin.public_id, "quantity": "1", "cadence": "once"}
    answer = me.post(url, shown=shown_hash(text), **values)

    assert answer.status_code == 422
    assert "€36.00" in answer.text
    assert me.post(url, shown=shown_hash(answer.text), **values).status_code == 303


@pytest.mark.parametrize("quantity", ["-1", "21", "two", ""])
def test_a_number_nobody_can_have_is_refused(
    app: Flask, rt: Runtime, sub: Subscription, quantity: str
):
    tin = make.make_addon(rt, 900, name="Tin")
    me, url = visitor(app), f"/account/subscriptions/{sub.public_id}/box"

    answer = me.get(f"{url}?addon={tin.public_id}&quantity={quantity}&cadence=once")

    assert answer.status_code == 422
    assert "Enter a whole number from 0 to 20" in answer.text


def test_who_leaves_or_is_somebody_else_adds_nothing(
    app: Flask, rt: Runtime, sub: Subscription, clock: FrozenClock
):
    make.make_addon(rt, 900, name="Tin")
    me, url = visitor(app), f"/account/subscriptions/{sub.public_id}/box"
    other = make.make_subscription(rt)
    assert me.get(f"/account/subscriptions/{other.public_id}/box").status_code == 404
    cancel(rt, sub.customer_id or 0, sub.public_id)

    # Only to the box that is paid for, and up to its cut-off.
    assert "Add from your next payment on" not in me.get(url).text
    assert "Add to a box that is paid for" in me.get(url).text
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    assert "nothing more can be added" in me.get(url).text
