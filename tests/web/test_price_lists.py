"""What a visitor of another country sees, and is asked to pay."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from storefront.models import Plan, ShopSettings
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.runtime import Runtime
from storefront.services.checkout import change_delivery, start_checkout
from storefront.testing import factories as make
from tests.support.orders import ADA

POLISH = {**ADA, "postcode": "00-950", "city": "Warszawa", "country": "PL"}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    rt.session.query(ShopSettings).update({"countries": ["DE", "PL"]})
    rt.session.commit()
    rt.forget_shop()
    plan = make.make_plan(rt, code="pot", name="Pot", trial_days=14)
    make.make_price(rt, plan, amount_minor=28080, unit="year")
    return plan


@pytest.fixture
def polish(rt: Runtime, plan: Plan) -> None:
    make.make_price(rt, plan, currency="PLN", country="PL", amount_minor=12900)


def seen(client: FlaskClient, country: str) -> str:
    client.set_cookie("country", country)
    return client.get("/", headers={"Accept-Language": "en"}).text


def test_a_country_sees_its_own_currency_and_no_other(client: FlaskClient, polish: None) -> None:
    assert "€26.00" in seen(client, "DE")
    page = seen(client, "PL")
    assert "PLN" in page
    assert "129.00" in page
    assert "€2" not in page


def test_without_prices_of_its_own_a_country_pays_as_everywhere(
    client: FlaskClient, plan: Plan
) -> None:
    assert "€" in seen(client, "PL")


def test_an_address_elsewhere_is_priced_there_before_anything_is_paid(
    rt: Runtime, plan: Plan, polish: None
) -> None:
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id))

    def due() -> tuple[int, str]:
        row = find_checkout(rt.session, key)
        order = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
        rt.session.rollback()
        assert order.first.quote is not None
        amount = order.first.quote.full.quote.total
        return amount.minor, amount.currency

    change_delivery(rt, key, "ada@example.org", ADA)
    assert due() == (2600, "EUR")
    change_delivery(rt, key, "ada@example.org", POLISH)
    assert due() == (12900, "PLN")


def test_a_trial_and_an_introductory_price_stand_on_the_card(
    rt: Runtime, client: FlaskClient, plan: Plan
) -> None:
    assert "14 days free for new subscribers" in seen(client, "DE")
    tea = make.make_plan(rt, code="tea", name="Tea", amount_minor=None)
    make.make_price(rt, tea, phases=[{"boxes": 3, "amount_minor": 900}])
    rt.session.query(ShopSettings).update({"catalogue_version": 99})
    rt.session.commit()
    rt.forget_shop()
    assert "€9.00 at first, up to box 3" in seen(client, "DE")
