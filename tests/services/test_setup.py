"""A new shop of one's own, from an empty database to the first page."""

import pytest
import sqlalchemy as sa

from storefront.extensions import db
from storefront.models import NumberSeries, ShopSettings
from storefront.services.setup import AlreadySetUp, BadSetting, set_up

VALUES = {
    "name": "Margin & Moss",
    "support_email": "hello@moss.example",
    "seller_name": "Moss Ltd",
    "seller_address": "1 Path\nEdge",
    "seller_country": "de",
    "zone": "Europe/Berlin",
    "currency": "eur",
    "locale": "en",
}


@pytest.fixture
def empty(rt):
    rt.session.execute(sa.delete(ShopSettings))
    rt.session.execute(sa.delete(NumberSeries))
    rt.session.commit()
    rt.forget_shop()
    return rt


def test_a_new_shop_answers_and_says_that_nothing_is_on_sale_yet(empty, client):
    set_up(empty, VALUES)
    db.session.remove()
    page = client.get("/")
    assert page.status_code == 200
    assert "Margin &amp; Moss" in page.text


def test_setting_up_twice_is_refused(empty):
    set_up(empty, VALUES)
    with pytest.raises(AlreadySetUp):
        set_up(empty, VALUES)


@pytest.mark.parametrize(
    ("name", "value"),
    [("zone", "Mars/Olympus"), ("currency", "XQQ"), ("seller_country", "D1"), ("locale", "tlh")],
)
def test_what_cannot_be_meant_is_named(empty, name, value):
    with pytest.raises(BadSetting) as refused:
        set_up(empty, VALUES | {name: value})
    assert refused.value.params["name"] == name
