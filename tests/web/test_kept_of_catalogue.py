"""What a process keeps of the catalogue: read once, and never older than the catalogue is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.app import create_app
from storefront.blueprints.catalogue import _KEEP_SECONDS, delivery_of
from storefront.database import reading
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.shipping import Area, Band, Tariff
from storefront.extensions import db
from storefront.models import Customer, Plan, ProductVariant, ShippingBand
from storefront.operations.audit import Who
from storefront.operations.sold_prices import all_sold, sold_from, sold_to_subscribers
from storefront.runtime import Runtime
from storefront.services import plans, shipping
from storefront.services.addon_catalogue import AddonDraft, save_addon
from storefront.services.content import QuestionDraft, save_question
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.statements import counting
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


@pytest.fixture
def ada(rt: Runtime, app: Flask, plan: Plan) -> Visitor:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    make.make_subscription(rt, plan=plan, customer=customer)
    return Visitor.of(app).sign_in(ADA)


@pytest.fixture
def elsewhere(app: Flask, settings: Settings, clock: FrozenClock) -> Iterator[Flask]:
    """Another process of the same shop."""
    other = create_app(settings, clock=clock)
    yield other
    with other.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def deliver_for(elsewhere: Flask, who: Who, minor: int, zone: str = "") -> str:
    """Have delivery cost so much everywhere, from another process."""
    with elsewhere.app_context():
        rt: Runtime = elsewhere.extensions["storefront"]
        tariff = Tariff((Band(0, Money(minor, "EUR")),))
        draft = shipping.ZoneDraft((Area("", ""),), tariff, "Everywhere")
        return shipping.save_zone(rt, who, draft, zone)


def test_what_delivery_costs_is_read_once_and_is_new_when_another_process_changes_it(
    rt: Runtime, client: FlaskClient, plan: Plan, who: Who, elsewhere: Flask
) -> None:
    zone = deliver_for(elsewhere, who, 490)
    assert "€4.90" in client.get("/").text
    with counting() as seen:
        assert "€4.90" in client.get("/plans/pot").text
    assert not [one for one in seen if "shipping_zone" in one]
    deliver_for(elsewhere, who, 690, zone)
    page = client.get("/").text
    assert "€6.90" in page
    assert "€4.90" not in page


def test_the_account_charges_for_delivery_what_another_process_has_it_cost(
    rt: Runtime, ada: Visitor, who: Who, elsewhere: Flask
) -> None:
    assert "€26.00" in ada.get("/account/").text
    zone = deliver_for(elsewhere, who, 490)
    assert "€30.90" in ada.get("/account/").text
    with counting() as seen:
        ada.get("/account/")
    assert not [one for one in seen if "shipping_zone" in one]
    deliver_for(elsewhere, who, 690, zone)
    assert "€32.90" in ada.get("/account/").text


def test_a_price_that_another_process_sets_is_suggested_at_the_next_request(
    rt: Runtime, plan: Plan, ada: Visitor, who: Who, elsewhere: Flask
) -> None:
    assert "Save €" not in ada.get("/account/").text
    with elsewhere.app_context():
        own: Runtime = elsewhere.extensions["storefront"]
        plans.set_price(own, who, plan.public_id, Money(28080, "EUR"), Interval("year"))
    assert "Save €31.20" in ada.get("/account/").text
    with elsewhere.app_context():
        plans.set_price(own, who, plan.public_id, Money(30000, "EUR"), Interval("year"))
    assert "Save €12.00" in ada.get("/account/").text


def test_an_add_on_is_suggested_as_soon_as_another_process_sells_it_and_while_there_is_any(
    rt: Runtime, ada: Visitor, who: Who, elsewhere: Flask
) -> None:
    assert 'id="suggestion"' not in ada.get("/account/").text
    tin = make.make_variant(rt, is_counted=True, on_hand=1)
    with elsewhere.app_context():
        own: Runtime = elsewhere.extensions["storefront"]
        draft = AddonDraft("Tin", "", {"EUR": Money(900, "EUR")}, "standard", tin.sku, ())
        save_addon(own, who, draft)
    assert "€9.00" in ada.get("/account/").text
    rt.session.execute(sa.update(ProductVariant).values(on_hand=0))
    rt.session.commit()
    assert 'id="suggestion"' not in ada.get("/account/").text


def test_prices_are_picked_out_of_what_is_kept_as_the_database_would(
    rt: Runtime, plan: Plan
) -> None:
    make.make_price(rt, plan, amount_minor=2900, country="AT")
    make.make_price(rt, plan, amount_minor=3100, currency="CHF", country="FR")
    make.make_price(rt, plan, amount_minor=28080, unit="year")
    hidden = make.make_plan(rt, name="Hidden", is_public=False)
    make.make_plan(rt, name="Ends", ends_on=rt.today())
    make.make_plan(rt, name="Gone", archived_at=rt.now())
    kept = all_sold(rt.session)
    for currency in ("EUR", "CHF"):
        for country in ("", "DE", "AT", "FR"):
            for unlisted in ([], [hidden.id]):
                asked = (currency, country, rt.today(), unlisted)
                of_database = [one.id for one in sold_to_subscribers(rt.session, *asked)]
                assert [one.id for one in sold_from(kept, *asked)] == of_database
    rt.session.rollback()


def test_a_question_that_another_process_writes_is_there_at_the_next_request(
    rt: Runtime, client: FlaskClient, plan: Plan, who: Who, elsewhere: Flask
) -> None:
    assert "How hot?" not in client.get("/").text
    with elsewhere.app_context():
        own: Runtime = elsewhere.extensions["storefront"]
        for asked in ("How hot?", "How long?"):
            draft = QuestionDraft({"en": {"question": asked, "answer": "A bit."}}, True)
            save_question(own, who, draft)
            assert asked in client.get("/").text
    with counting() as seen:
        assert "How long?" in client.get("/?interval=3m").text
    assert not [one for one in seen if "faq_entry" in one]


def test_a_change_that_is_taken_back_is_never_kept(rt: Runtime, app: Flask, plan: Plan) -> None:
    make.make_zone(rt, "*", 490)
    rt.session.execute(sa.update(ShippingBand).values(amount_minor=690))
    assert cost(rt) == 690
    rt.session.rollback()
    with reading():
        assert cost(rt) == 490
        rt.session.rollback()


def test_what_was_written_by_hand_is_seen_after_a_minute(
    rt: Runtime, clock: FrozenClock, plan: Plan
) -> None:
    make.make_zone(rt, "*", 490)
    with reading():
        assert cost(rt) == 490
        rt.session.rollback()
    rt.session.execute(sa.update(ShippingBand).values(amount_minor=690))
    rt.session.commit()
    with reading():
        assert cost(rt) == 490
        clock.advance(seconds=_KEEP_SECONDS)
        assert cost(rt) == 690
        rt.session.rollback()


def cost(rt: Runtime) -> int:
    """Return what delivery costs, as a request of now is told."""
    (tariff,) = delivery_of(rt).zones[0].tariffs
    return tariff.bands[0].amount.minor
