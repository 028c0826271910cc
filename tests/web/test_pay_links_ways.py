"""The page of a pay link where several gateways take new methods, and methods without a number."""

from collections.abc import Iterator

import pytest
from flask import Flask

from storefront.models import Customer, GatewaySetup, PaymentMethod
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gateways import offer, second_gateway
from tests.support.paying import lead, mailed, only, renewed
from tests.support.visitor import Visitor


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def anybody(app: Flask) -> Visitor:
    return Visitor.of(app)


@pytest.fixture
def path(rt: Runtime, clock: FrozenClock) -> str:
    renewed(rt, clock, "0341")
    return mailed(rt)


@pytest.fixture
def wallets(app: Flask, rt: Runtime) -> Iterator[DemoGateway]:
    with second_gateway(rt) as gateway:
        yield gateway


def test_with_one_gateway_nobody_is_asked(anybody: Visitor, path: str) -> None:
    page = anybody.get(path).text
    assert 'name="gateway"' not in page
    assert "Use another card" in page


def test_the_customer_chooses_and_pays_there(
    rt: Runtime, anybody: Visitor, path: str, wallets: DemoGateway
) -> None:
    page = anybody.get(path).text
    assert page.index('value="demo"') < page.index('value="wallets"')
    assert "PayPal" in page

    away = anybody.post(f"{path}/card", gateway="wallets")
    wallets.bank.choose(away.location.rpartition("/")[2], "4242")
    back = wallets.bank.setup_of(only(rt, GatewaySetup).public_id).return_url
    anybody.post(back.removeprefix("http://localhost"))

    assert lead(anybody.get(path).text) == "This is paid"
    assert (only(rt, GatewaySetup).gateway, wallets.bank.executed_count()) == ("wallets", 1)


def test_a_gateway_that_takes_no_new_methods_is_neither_offered_nor_used(
    rt: Runtime, anybody: Visitor, path: str, wallets: DemoGateway
) -> None:
    offer(rt, "demo")
    assert 'name="gateway"' not in anybody.get(path).text

    assert anybody.post(f"{path}/card", gateway="wallets").location == path

    offer(rt, "demo", "wallets")
    assert anybody.post(f"{path}/card", gateway="nobody").location == path
    away = anybody.post(f"{path}/card")
    assert away.location.startswith("/x/demo-gateway/")
    assert only(rt, GatewaySetup).gateway == "demo"


@pytest.mark.parametrize(
    ("label", "name"), [("m…@example.org", "PayPal (m…@example.org)"), ("", "PayPal")]
)
def test_a_method_without_a_number_is_called_by_its_kind(
    rt: Runtime, anybody: Visitor, path: str, label: str, name: str
) -> None:
    owner = rt.session.get_one(Customer, only(rt, PaymentMethod).customer_id)
    make.make_method(rt, owner, is_default=False, kind="paypal", brand="", last4="", label=label)
    rt.session.rollback()

    assert f"<span>{name}</span>" in anybody.get(path).text
