"""A mistyped e-mail on the way to an order: pointed out where it can be changed, never refused."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import Shopper, place


@pytest.fixture
def shopper(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    make.make_price(rt, make.make_plan(rt, code="pot"))
    return Shopper(client, demo_gateway)


def test_the_review_asks_whether_another_address_was_meant(shopper: Shopper) -> None:
    shopper.begin()
    assert place(shopper.deliver(email="ada@gmial.com")) == "pay"
    review = shopper.get(shopper.at("pay")).text
    assert "Did you mean ada@gmail.com?" in review
    form = shopper.get(shopper.at("delivery")).text
    assert 'id="email-meant">Did you mean ada@gmail.com?' in form
    field = re.search(r'<input[^>]*id="email"[^>]*>', form)
    assert field is not None
    assert "email-meant" in field[0]


def test_it_can_be_ordered_with_the_address_as_typed(shopper: Shopper) -> None:
    shopper.begin()
    shopper.deliver(email="ada@gmial.com")
    assert place(shopper.order()) != "pay"


def test_an_address_that_looks_right_is_left_in_peace(shopper: Shopper) -> None:
    shopper.begin()
    shopper.deliver()
    assert "Did you mean" not in shopper.get(shopper.at("pay")).text
    assert "Did you mean" not in shopper.get(shopper.at("delivery")).text
