"""From the first price that is shown to what is charged, an order never gets dearer."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from storefront.models import Invoice
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import only
from tests.support.shopper import Shopper, place

PLACES = {
    "DE": ("07743", "Jena"),
    "FR": ("75001", "Paris"),
    "AT": ("1010", "Wien"),
    "GB": ("LS1 4AP", "Leeds"),
    "CH": ("4051", "Basel"),
}


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


def due(page: str) -> int:
    """Return what the page says is due today, in minor units."""
    said = re.sub(r"<[^>]+>", " ", page)
    found = re.search(r"Due today\s+\D?([\d.,]+)", said)
    assert found is not None
    return int(re.sub(r"\D", "", found[1]))


def shown(page: str, amount: int) -> bool:
    return f"{amount // 100}.{amount % 100:02d}" in page


@pytest.mark.parametrize("code", [False, True], ids=["plain", "code"])
@pytest.mark.parametrize("months", [1, 3, 12])
@pytest.mark.parametrize("country", PLACES)
def test_what_is_shown_first_is_charged_or_less(
    rt: Runtime,
    client: FlaskClient,
    demo_gateway: DemoGateway,
    country: str,
    months: int,
    code: bool,
) -> None:
    seller = country if country in ("CH", "GB") else "DE"
    make.make_shop(rt, seller_country=seller, countries=[country])
    plan = make.make_plan(rt, code="pot", name="Pot", amount_minor=None)
    make.make_price(rt, plan, amount_minor=2185 * months, count=months, tax_inclusive=False)
    make.make_code(rt)
    postcode, city = PLACES[country]
    ada = Shopper(client, demo_gateway)

    first = due(ada.get("/checkout?plan=pot").text)
    assert shown(ada.get("/").text, first)
    assert shown(ada.get("/plans/pot").text, first)
    ada.begin()
    assert due(ada.get(ada.at("delivery")).text) == first
    assert place(ada.deliver(country=country, postcode=postcode, city=city)) == "pay"
    assert due(ada.get(ada.at("pay")).text) == first
    if code:
        ada.post(ada.at("code"), code="LEMON")
    last = due(ada.get(ada.at("pay")).text)
    assert (last < first) if code else (last == first)
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert only(rt, Invoice).total_minor == last
