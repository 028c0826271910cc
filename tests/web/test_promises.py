"""What pages promise is what happens: terms agreed to, new prices, dates, and what is open."""

from __future__ import annotations

import re
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale

from storefront.domain.periods import Interval
from storefront.formats import interval_inside
from storefront.models import Consent, Customer, Invoice, PaymentMethod, Subscription
from storefront.queries.invoices import invoices
from storefront.queries.mails import payment_facts
from storefront.queries.subscriber import subscriber
from storefront.runtime import Runtime
from storefront.services.finishing import expire_checkouts
from storefront.services.price_changes import MigrationDraft, draft_migration, schedule
from storefront.services.price_notices import tell_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.shopper import Shopper, place
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def known(rt: Runtime) -> Customer:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return customer


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"min_boxes": 2, "max_boxes": 3},
            (
                "first on 12 April 2027. It ends by itself after box 3. I agree to at least 2 "
                "boxes: if I cancel before, it ends after them. I can cancel online at any time."
            ),
        ),
        (
            {"ends_on": date(2027, 7, 1)},
            (
                "first on 12 April 2027. It ends by itself on 1 July 2027. "
                "I can cancel online at any time before."
            ),
        ),
    ],
)
def test_who_orders_agrees_to_the_least_number_and_the_end(
    rt: Runtime,
    client: FlaskClient,
    demo_gateway: DemoGateway,
    values: dict[str, object],
    said: str,
):
    make.make_plan(rt, code="pot", **values)
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    page = text_of(ada.get(ada.at("pay")).text)
    assert said in page
    assert "until I cancel" not in page
    assert "It ends by itself" in page.partition("Renews")[2].partition("To cancel")[0]

    ada.choose(ada.order())
    ada.post(ada.at("finish"))
    kept = rt.session.scalars(sa.select(Consent.text)).one()
    assert kept.endswith(said)


def test_a_ninth_box_is_refused_before_anything_is_priced(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
):
    make.make_plan(rt, code="pot")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    for _ in range(7):
        form = ada.get(f"{ada.at('add')}?plan=pot").text
        seen = re.search(r'name="version" value="(\d+)"', form)
        assert seen is not None
        ada.post(ada.at("add"), plan="pot", step="box", version=seen[1])

    assert place(ada.get(f"{ada.at('add')}?plan=pot")) == "pay"
    assert place(ada.post(ada.at("add"), plan="pot", version="1")) == "pay"
    assert "One order takes 8 boxes at most" in ada.get(ada.at("pay")).text


@pytest.fixture
def dearer(rt: Runtime, clock: FrozenClock) -> Subscription:
    """A subscription whose customer was told of a new price from 12 May on."""
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    sub = make.make_subscription(rt, plan=plan, customer=known(rt))
    price = make.make_price(rt, plan, amount_minor=2900)
    who = make_staff(rt)
    ref = draft_migration(rt, who, MigrationDraft("Spring", price.public_id, date(2027, 5, 1)))
    assert schedule(rt, who, ref)
    while rt.today() < date(2027, 4, 20):
        clock.advance(days=1)
        tell_due(rt)
        run_renewals(rt)
    return sub


@pytest.mark.parametrize("then", ["", "plan"])
def test_a_new_price_is_refused_where_the_mail_says(
    app: Flask, rt: Runtime, dearer: Subscription, then: str
):
    ada, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{dearer.public_id}"
    page = text_of(ada.get(url).text)
    assert "From Wed 12 May you pay €29.00 a month instead of €26.00 a month." in page
    assert "Keep €26.00 a month" in page
    assert "Refuse it and choose another plan" in page
    assert "Keep €26.00 a month" in text_of(ada.get(f"{url}/plan").text)

    answer = ada.post(f"{url}/plan/keep", then=then)
    assert answer.location == (f"{url}/plan" if then else url)
    assert "instead of €26.00" not in text_of(ada.get(url).text)
    assert "Show what changes" in ada.get(f"{url}/plan").text


@pytest.fixture
def rolling(rt: Runtime) -> Subscription:
    """Packed every Thursday; ordered on 2 March, so it renews on the 2nd."""
    group = make.make_group(
        rt,
        unit="week",
        charge_day=None,
        anchor_on=date(2027, 2, 25),
        cycles=60,
        cutoff_days=1,
        lock_days=0,
        ship_days=1,
    )
    return make.make_subscription(rt, plan=make.make_plan(rt, group=group), customer=known(rt))


@pytest.mark.parametrize("day", ["0001-01-01", "2020-01-01", "2027-06-30", "9999-12-31"])
def test_no_price_is_shown_for_a_day_that_cannot_be_chosen(
    app: Flask, rolling: Subscription, day: str
):
    ada = Visitor.of(app).sign_in(ADA)
    looked = ada.post(f"/account/subscriptions/{rolling.public_id}/date", day=day)
    assert looked.status_code == 422
    assert "Choose a day between the two that are named." in looked.text
    assert "You pay" not in text_of(looked.text).partition("Another day")[2]


def test_a_day_whose_box_is_taken_is_refused_before_it_is_shown(app: Flask, rolling: Subscription):
    ada = Visitor.of(app).sign_in(ADA)
    looked = ada.post(f"/account/subscriptions/{rolling.public_id}/date", day="2027-03-04")
    assert looked.status_code == 422
    assert "Move to" not in looked.text


def test_every_open_invoice_is_named_and_can_be_paid(
    app: Flask, rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    customer = known(rt)
    groups = make.make_group(rt), make.make_group(rt, charge_day=20)
    plans = [make.make_plan(rt, group=one) for one in groups]
    subs = [make.make_subscription(rt, plan=one, customer=customer) for one in plans]
    for method in rt.session.scalars(sa.select(PaymentMethod)):
        method.token = demo_gateway.bank.token_for("9995")
    rt.session.commit()
    while rt.today() < date(2027, 4, 22):
        clock.advance(days=1)
        run_renewals(rt)
    owed = rt.session.scalars(sa.select(Invoice.public_id).where(Invoice.state == "open")).all()
    rt.session.rollback()
    assert len(owed) >= 2

    ada = Visitor.of(app).sign_in(ADA)
    page = ada.get("/account/payment").text
    for invoice in owed:
        assert f"/account/payment/pay/{invoice}" in page
    for sub in subs:
        assert "We could not charge" in ada.get(f"/account/subscriptions/{sub.public_id}").text


def test_a_total_too_small_for_a_card_is_said_to_come_with_the_next_payment(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
):
    make.make_plan(rt, code="pot", amount_minor=29)
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    page = ada.get(ada.at("pay")).text
    assert "You are charged" not in page
    assert "Nothing is charged now: €0.29 is too little to be charged alone" in page

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    done = ada.get(ada.at("confirmation")).text
    assert "Paid." not in done
    assert "Nothing was charged today: €0.29 is too little" in done
    mail = payment_facts(rt.session, {"invoice": rt.session.scalar(sa.select(Invoice.public_id))})
    assert mail is not None
    assert mail.is_carried


def test_a_trial_without_a_card_says_that_none_is_stored(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
):
    make.make_plan(rt, code="pot", ships=False, trial_days=14, trial_needs_card=False)
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    assert place(ada.order()) == "confirmation"
    done = ada.get(ada.at("confirmation")).text
    assert "No card is stored: add one in your account before the trial ends" in done
    assert "Your card" not in done


def test_a_preview_with_a_discount_adds_up(app: Flask, rt: Runtime):
    group = make.make_group(rt, cycles=30)
    make.make_subscription(
        rt, plan=make.make_plan(rt, group=group, amount_minor=2600), customer=known(rt)
    )
    sub = rt.session.scalars(sa.select(Subscription.public_id)).one()
    table = make.make_plan(rt, group=group, name="Table", code="table", amount_minor=4200)
    price = make.price_of(rt, table).public_id
    ada = Visitor.of(app).sign_in(ADA)
    page = text_of(ada.get(f"/account/subscriptions/{sub}/plan?price={price}").text)
    sums = re.search(
        r"Table, the rest of the period €([\d.]+).*taken off −€([\d.]+).*Due today €([\d.]+)", page
    )
    assert sums is not None, page
    charged, off, due = (round(float(one) * 100) for one in sums.groups())
    assert charged - off == due


def test_an_order_of_several_boxes_that_expired_comes_back(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, clock: FrozenClock
):
    make.make_plan(rt, code="pot")
    make.make_plan(rt, code="tea", name="Leaf club")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    form = ada.get(f"{ada.at('add')}?plan=tea").text
    seen = re.search(r'name="version" value="(\d+)"', form)
    assert seen is not None
    ada.post(ada.at("add"), plan="tea", step="box", version=seen[1])
    clock.advance(days=1)
    expire_checkouts(rt)

    gone = ada.get(ada.at("pay"))
    assert "/checkout?plan=pot" in gone.location
    page = text_of(ada.get(gone.location).text)
    assert "Your boxes are still here: start again." in page
    assert "Leaf club, monthly" in page


def test_another_total_for_another_country_is_said(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
):
    plan = make.make_plan(rt, code="pot")
    make.make_price(rt, plan, amount_minor=3100, country="AT")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    moved = ada.deliver(country="AT", postcode="1010")
    assert moved.status_code == 303, text_of(moved.text)
    page = ada.get(ada.at("pay")).text
    told = page.partition('<div class="toast problem" role="alert">')[2].partition("</div>")[0]
    assert "With this address the total is €31.00 instead of €26.00." in told


def test_staff_read_sums_of_a_subscription_in_its_own_currency(app: Flask, rt: Runtime):
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=2900, currency="JPY", country="DE")
    sub = make.make_subscription(rt, plan=plan, customer=known(rt))
    ref = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == sub.customer_id))
    rt.session.rollback()
    found = subscriber(rt.session, str(ref), rt.moment(), "EUR", rt.shop.taxes)
    assert found is not None
    assert {one.currency for one in found.events} == {"JPY"}


def test_an_invoice_of_a_change_is_listed_under_the_new_plan(
    app: Flask, rt: Runtime, demo_gateway: DemoGateway
):
    group = make.make_group(rt, cycles=30)
    sub = make.make_subscription(rt, plan=make.make_plan(rt, group=group), customer=known(rt))
    table = make.make_plan(rt, group=group, name="Table", code="table", amount_minor=4200)
    price = make.price_of(rt, table).public_id
    ada, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{sub.public_id}/plan"
    shown = re.search(r'name="quote_hash" value="(\w+)"', ada.get(f"{url}?price={price}").text)
    assert shown is not None
    assert ada.post(url, price=price, quote_hash=shown[1]).status_code == 303
    listed = invoices(rt.session, sub.customer_id, rt.today()).rows
    assert [one.text for one in listed] == ["Table", "Pot"]


def test_inside_a_line_an_interval_keeps_the_capitals_of_german_nouns(app: Flask):
    with app.test_request_context(), force_locale("de"):
        said = [interval_inside(Interval("month", count)) for count in (1, 3)]
    assert said == ["monatlich", "alle 3 Monate"]
