"""Subscribers who pay by PayPal or Authorize.net: gateways whose answers cannot be asked for again.

From the shop's pages to renewals, lost answers and refunds; the witness is the gateway's book.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.charges import look_up_open, send_planned
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.models import ChargeAttempt, Invoice, PaymentMethod, Refund
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.installation import confirm
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.emulators import authorize_net, paypal
from tests.emulators.paypal_certificate import sign
from tests.emulators.serving import served
from tests.support.admin import make_staff
from tests.support.databases import Database
from tests.support.shopper import Shopper, place


class Side(ABC):
    """The gateway's own side of the shop's charges."""

    name: str
    plugin: str
    settings: dict[str, str]

    @abstractmethod
    def choose(self, client: FlaskClient, page: str) -> None:
        """Play the customer on the page that the shop sends them to."""

    @abstractmethod
    def fault(self, token: str, kind: str) -> None:
        """Lose the next answer, or the next charge itself."""

    @abstractmethod
    def taken(self) -> list[int]:
        """Return what was taken in minor units, charge by charge."""


class PayPalSide(Side):
    name, plugin = "paypal", "paypal"

    def __init__(self, address: str, clock: FrozenClock, far: paypal.PayPal) -> None:
        self.far = far
        far.now, far.lag, far.key_seconds = clock.now, timedelta(hours=2), 0
        self.settings = {
            "client_id": paypal.CLIENT,
            "client_secret": paypal.SECRET,
            "webhook_id": paypal.WEBHOOK,
            "api_url": address,
            "certificates_url": address,
        }

    def choose(self, client: FlaskClient, page: str) -> None:
        assert page.startswith("https://www.paypal.com/")
        self.far.approve(page.rpartition("=")[2], paypal.GOOD)

    def fault(self, token: str, kind: str) -> None:
        self.far.faults[token] = kind

    def taken(self) -> list[int]:
        amounts = [each["amount"]["value"] for each in self.far.captures.values()]
        return [int(amount.replace(".", "")) for amount in amounts]


class AuthorizeNetSide(Side):
    name, plugin = "authorize_net", "authorize-net"

    def __init__(self, address: str, clock: FrozenClock, far: authorize_net.AuthorizeNet) -> None:
        self.far = far
        far.now = clock.now
        self.settings = {
            "login_id": authorize_net.LOGIN,
            "transaction_key": authorize_net.KEY,
            "signature_key": "0F" * 64,
            "currency": "EUR",
            "api_url": address,
        }

    def choose(self, client: FlaskClient, page: str) -> None:
        assert client.get(urlsplit(page).path).status_code == 200
        self.far.type_card(list(self.far.tokens)[-1], authorize_net.GOOD)

    def fault(self, token: str, kind: str) -> None:
        self.far.faults[token] = kind

    def taken(self) -> list[int]:
        charges = (each for each in self.far.transactions if each.type.startswith("authCapture"))
        return [int(each.amount * 100) for each in charges]


@contextmanager
def opened(name: str, clock: FrozenClock) -> Iterator[Side]:
    if name == "paypal":
        wallet = paypal.PayPal()
        with served(wallet.app) as address:
            yield PayPalSide(address, clock, wallet)
    else:
        card = authorize_net.AuthorizeNet()
        with served(card.app) as address:
            yield AuthorizeNetSide(address, clock, card)


@pytest.fixture(params=["paypal", "authorize_net"])
def side(request: pytest.FixtureRequest, clock: FrozenClock) -> Iterator[Side]:
    with opened(request.param, clock) as side:
        yield side


@pytest.fixture
def settings(database: Database, tmp_path: Path, side: Side) -> Settings:
    return Settings(
        environment="test",
        secret_key="a secret of the tests, long enough for all",
        database_url=database.url,
        data_dir=tmp_path / "instance",
        base_url="http://localhost",
        plugins_off=("demo-gateway",),
        plugins={side.plugin: side.settings},
    )


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    """After each story everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


class Guest(Shopper):
    side: Side

    def choose(self, response: TestResponse, card: str = "") -> None:
        self.side.choose(self.client, response.location)


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, side: Side) -> Guest:
    # Both move real money as far as the shop knows, so an owner has to say that this is it.
    confirm(rt)
    plan = make.make_plan(rt, code="pot", name="Pot", group=make.make_group(rt, cycles=30))
    make.make_recipe(rt, plan)
    guest = Guest(client, None)  # type: ignore[arg-type]
    guest.side = side
    return guest


def rows(rt: Runtime, model: type) -> list[sa.Row]:
    found = rt.session.execute(sa.select(model.__table__).order_by(model.id)).all()
    rt.session.rollback()
    return list(found)


def renew(rt: Runtime, clock: FrozenClock) -> sa.Row:
    """Let days pass until the next charge; returns its attempt."""
    before = len(rows(rt, ChargeAttempt))
    while len(rows(rt, ChargeAttempt)) == before:
        clock.advance(days=1)
        run_renewals(rt)
        send_planned(rt)
    return rows(rt, ChargeAttempt)[-1]


def test_what_is_stored_at_sign_up_pays_the_renewal_too(
    rt: Runtime, ada: Guest, side: Side, clock: FrozenClock
):
    assert place(ada.buy()) == "confirmation"
    (method,) = rows(rt, PaymentMethod)
    assert (method.gateway, method.kind) == (side.name, "card" if method.last4 else "paypal")
    assert method.last4 or method.label == "g…@example.org"

    attempt = renew(rt, clock)

    assert (attempt.state, attempt.on_session) == (AttemptState.SUCCEEDED, False)
    assert side.taken() == [2600, 2600]
    began = clock.now() - timedelta(days=60)
    clock.advance(days=1)
    listed = [each.reference for each in rt.gateways[side.name].list_charges(began)]
    assert listed == [each.public_id for each in rows(rt, ChargeAttempt)]


@pytest.mark.parametrize("fault", ["lost", "ignored"])
def test_a_renewal_whose_answer_was_lost_is_looked_up_before_anything_is_sent_again(
    rt: Runtime, ada: Guest, side: Side, clock: FrozenClock, fault: str
):
    ada.buy()
    side.fault(rows(rt, PaymentMethod)[0].token, fault)

    assert renew(rt, clock).state == AttemptState.UNKNOWN
    for _hour in range(30):
        clock.advance(hours=1)
        look_up_open(rt)
        send_planned(rt)
        run_renewals(rt)
    if fault == "ignored":
        # Known never to have arrived: the schedule of tries goes on with another attempt.
        assert rows(rt, ChargeAttempt)[1].state == AttemptState.DECLINED
        return

    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.SUCCEEDED
    assert side.taken() == [2600, 2600]


@pytest.mark.parametrize("side", ["paypal"], indirect=True)
def test_a_message_settles_a_renewal_long_before_the_report_shows_it(
    rt: Runtime, ada: Guest, client: FlaskClient, side: PayPalSide, clock: FrozenClock
):
    ada.buy()
    side.fault(rows(rt, PaymentMethod)[0].token, "lost")
    assert renew(rt, clock).state == AttemptState.UNKNOWN

    capture = list(side.far.captures.values())[-1]
    _, raw = side.far.message(
        {
            "id": "WH-1",
            "event_type": "PAYMENT.CAPTURE.COMPLETED",
            "create_time": clock.now().isoformat(),
            "resource": capture,
        }
    )
    address = side.settings["certificates_url"]
    headers = sign("tx", clock.now().isoformat(), paypal.WEBHOOK, raw, address)
    sent = client.post("/hooks/paypal", data=raw, headers=headers, content_type="application/json")

    assert sent.status_code == 200, sent.text
    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.SUCCEEDED
    assert side.taken() == [2600, 2600]


def test_the_page_with_the_button_lets_its_form_end_at_the_gateway(ada: Guest, side: Side):
    ada.begin()
    ada.deliver()
    policy = ada.get(ada.at("pay")).headers["Content-Security-Policy"]
    [targets] = [part for part in policy.split("; ") if part.startswith("form-action")]
    ends = {"paypal": "https://www.paypal.com", "authorize_net": "https://accept.authorize.net"}
    assert targets == f"form-action 'self' {ends[side.name]}"


def test_a_refund_of_the_whole_goes_out_once(rt: Runtime, ada: Guest, side: Side):
    ada.buy()
    invoice = rows(rt, Invoice)[-1].public_id
    line = offer(rt, invoice).lines[0]
    wish = Wish({line.head.id: 2600}, Way.CARD, CreditReason.REFUND, Afterwards.KEEP)
    refund(rt, make_staff(rt), invoice, wish, quote_refund(rt, invoice, wish).quote_hash)

    assert send_refunds(rt).done == 1
    send_refunds(rt)

    (given,) = rows(rt, Refund)
    assert given.state == AttemptState.SUCCEEDED
