"""What pages promise is what happens: terms agreed to, new prices, dates, and what is open."""

from __future__ import annotations

import re
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Consent, Customer, Invoice, PaymentMethod, Subscription
from storefront.runtime import Runtime
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
