"""Subscribers who pay by Stripe, from the shop's pages to renewals, refunds and disputes."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.charges import look_up_open, send_planned
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.refunds import Afterwards, Way
from storefront.models import (
    ChargeAttempt,
    Dispute,
    Invoice,
    PaymentMethod,
    Refund,
    Subscription,
)
from storefront.paying import Paid, check_now, pay_now
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.emulators.stripe import ACCOUNT, WEBHOOK_SECRET, running
from tests.support.admin import make_staff
from tests.support.databases import Database
from tests.support.shopper import Shopper, place
from tests.support.stripe import Side

HOOK = "/hooks/stripe"


@pytest.fixture
def side(clock: FrozenClock) -> Iterator[Side]:
    with running(clock.now) as emulator:
        yield Side(emulator)


@pytest.fixture
def page() -> str:
    return "element"


@pytest.fixture
def settings(database: Database, tmp_path: Path, side: Side, page: str) -> Settings:
    return Settings(
        environment="test",
        secret_key="a secret of the tests, long enough for all",
        database_url=database.url,
        data_dir=tmp_path / "instance",
        base_url="http://localhost",
        plugins_off=("demo-gateway",),
        plugins={
            "stripe": {
                "secret_key": side.key,
                "publishable_key": "pk_test_kettles",
                "account": ACCOUNT,
                "webhook_secrets": WEBHOOK_SECRET,
                "url": side.address,
                "page": page,
            }
        },
    )


@pytest.fixture(autouse=True)
def invariants(rt: Runtime, side: Side) -> Iterator[None]:
    """After each story nobody paid twice and everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}
    assert side.twice_paid() == []


class Guest(Shopper):
    """A shopper whose card is typed into Stripe's fields."""

    side: Side
    setup: str = ""
    state: str = ""

    def buy(self, card: str = "visa") -> TestResponse:
        return super().buy(card)

    def choose(self, response: TestResponse, card: str = "visa") -> None:
        shown = self.get(response.location)
        assert shown.status_code == 200, shown.text
        found = re.search(r'data-secret="((?:seti)_\w+?)_secret_|/pay/(cs_\w+)', shown.text)
        assert found, shown.text
        self.setup = found[1] or found[2]
        self.state = self.side.type_card(self.setup, f"pm_card_{card}")
        if self.state == "requires_action":
            self.side.authenticate(self.setup)


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, side: Side) -> Guest:
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


def deliver(
    client: FlaskClient, messages: list[tuple[dict[str, str], bytes]], expected: int = 200
) -> None:
    for headers, raw in messages:
        sent = client.post(HOOK, data=raw, headers={**headers, "Content-Type": "application/json"})
        assert sent.status_code == expected, sent.text


# ------------------------------------------------------------------------------------- sign-up


@pytest.mark.parametrize("card", ["visa", "authenticationRequiredOnSetup"])
def test_a_card_is_stored_on_our_page_and_charged_once(
    rt: Runtime, ada: Guest, side: Side, card: str
):
    assert place(ada.buy(card)) == "confirmation"

    (method,), (attempt,) = rows(rt, PaymentMethod), rows(rt, ChargeAttempt)
    assert side.taken() == [attempt.amount_minor] == [2600]
    assert (method.gateway, method.account) == ("stripe", f"{ACCOUNT}:test")
    assert method.gateway_customer.startswith("cus_")
    assert method.exp_year
    assert attempt.gateway_reference.startswith("pi_")


@pytest.mark.parametrize("page", ["checkout"])
def test_a_card_is_stored_on_the_hosted_page(rt: Runtime, ada: Guest, side: Side, page: str):
    ada.begin()
    ada.deliver()
    hosted = ada.get(ada.order().location)

    assert "https://checkout.stripe.com/c/pay/" in hosted.headers["Refresh"]
    assert hosted.headers["Cache-Control"] == "no-store"
    [found] = re.findall(r"/c/pay/(cs_test_\w+)", hosted.headers["Refresh"])
    side.type_card(found, "pm_card_visa")

    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert side.taken() == [2600]


def test_without_javascript_the_hosted_page_stores_the_card_of_the_same_order(
    ada: Guest, side: Side
):
    ada.begin()
    ada.deliver()
    page = ada.order().location
    assert "Use Stripe’s own page instead" in ada.get(page).text

    onward = ada.post(page)
    again = ada.post(page)

    assert onward.headers["Refresh"] == again.headers["Refresh"]
    [found] = re.findall(r"/c/pay/(cs_test_\w+)", onward.headers["Refresh"])
    side.type_card(found, "pm_card_authenticationRequiredOnSetup")
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert side.taken() == [2600]


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("chargeDeclined", "Your bank declined the card. Nothing was charged."),
        (
            "chargeDeclinedInsufficientFunds",
            "The card does not have enough money for €26.00. Nothing was charged.",
        ),
        ("chargeDeclinedExpiredCard", "The card has expired. Nothing was charged."),
        ("visa_chargeDeclinedLostCard", "Nothing was charged."),
        ("chargeCustomerFail", "Your bank declined the card. Nothing was charged."),
    ],
)
def test_a_declined_card_is_said_and_another_one_pays(
    ada: Guest, side: Side, card: str, words: str
):
    assert place(ada.buy(card)) == "pay"
    assert words in ada.get(ada.at("pay")).text
    assert side.taken() == []

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert side.taken() == [2600]


def test_a_bank_that_asks_at_the_charge_too_is_answered_on_its_own_page(ada: Guest, side: Side):
    assert place(ada.buy("authenticationRequired")) == "waiting"
    waiting = ada.get(ada.at("waiting")).text
    confirm = re.search(r'href="([^"]*/x/stripe/confirm/(pi_\w+)[^"]*)"', waiting)
    assert confirm, waiting
    assert "https://hooks.stripe.com/" in ada.get(confirm[1]).headers["Refresh"]
    assert side.taken() == []

    side.authenticate(confirm[2])

    assert place(ada.get(confirm[1])) == "finish"
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert side.taken() == [2600]


def test_a_start_that_costs_nothing_is_authenticated_all_the_same(
    rt: Runtime, client: FlaskClient, side: Side, clock: FrozenClock
):
    make.make_plan(rt, code="pot", name="Pot", trial_days=14)
    ada = Guest(client, None)  # type: ignore[arg-type]
    ada.side = side
    ada.begin()
    ada.deliver()
    page = ada.order()
    assert "Nothing is charged on this page, and nothing today." in ada.get(page.location).text

    ada.choose(page, "authenticationRequiredOnSetup")
    assert ada.state == "requires_action"
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert side.taken() == []

    attempt = renew(rt, clock)
    assert attempt.state == AttemptState.SUCCEEDED
    assert side.taken() == [2600]


# --------------------------------------------------------------------------------- the pages


def test_the_page_of_the_fields_lets_in_stripe_and_says_what_is_stored(ada: Guest):
    ada.begin()
    ada.deliver()
    shown = ada.get(ada.order().location)

    policy = shown.headers["Content-Security-Policy"]
    assert "script-src 'self' 'nonce-" in policy
    assert "https://js.stripe.com" in policy
    assert "frame-src https://js.stripe.com" in policy
    assert 'payment=(self "https://js.stripe.com" ' in shown.headers["Permissions-Policy"]
    assert "connect-src 'self' https://api.stripe.com" in policy
    assert shown.headers["Cache-Control"] == "no-store"
    assert "Once you are back, Nine Kettles charges €26.00." in shown.text
    assert "Stripe keeps the number of your card." in shown.text
    assert "no real money moves" in shown.text
    assert 'role="alert"' in shown.text
    script = re.search(r'src="(/x/stripe/static/element.js)"', shown.text)
    assert script
    with ada.client.get(script[1]) as file:
        assert "confirmSetup" in file.text
    assert "js.stripe.com" not in ada.get("/").headers["Content-Security-Policy"]
    assert "payment=()" in ada.get("/").headers["Permissions-Policy"]


def test_a_page_is_for_its_set_up_only_and_is_over_when_that_is(ada: Guest, side: Side):
    ada.begin()
    ada.deliver()
    page = ada.order().location
    assert ada.get(page + "x").status_code == 404
    assert ada.get(page.replace("/pay/", "/confirm/")).status_code == 404
    assert ada.get(page.replace("/pay/", "/hosted/")).status_code == 404

    side.emulator.is_down = True
    assert ada.get(page).status_code == 503
    side.emulator.is_down = False

    ada.choose(ada.order())
    assert place(ada.get(page)) == "finish"
    assert place(ada.post(page)) == "finish"


# ------------------------------------------------------------------------------------ renewals


def test_a_renewal_is_charged_while_nobody_is_there(
    rt: Runtime, ada: Guest, side: Side, clock: FrozenClock
):
    ada.buy("authenticationRequiredOnSetup")

    attempt = renew(rt, clock)

    assert (attempt.state, attempt.on_session) == (AttemptState.SUCCEEDED, False)
    assert side.taken() == [2600, 2600]


@pytest.mark.parametrize("fault", ["lost", "ignored", "500", "409", "429"])
def test_an_answer_that_is_lost_before_or_after_the_work_is_one_charge(
    rt: Runtime, ada: Guest, side: Side, clock: FrozenClock, fault: str
):
    ada.buy()
    side.lose_answers(fault)

    attempt = renew(rt, clock)
    assert attempt.state in (AttemptState.UNKNOWN, AttemptState.PLANNED)
    for _look in range(6):
        clock.advance(hours=1)
        look_up_open(rt)
        send_planned(rt)

    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.SUCCEEDED
    assert side.taken() == [2600, 2600]


def test_a_lost_answer_after_the_key_is_forgotten_is_found_by_our_reference(
    rt: Runtime, ada: Guest, side: Side, clock: FrozenClock
):
    ada.buy()
    side.lose_answers("lost")
    renew(rt, clock)

    clock.advance(days=2)
    side.prune()
    look_up_open(rt)

    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.SUCCEEDED
    assert side.taken() == [2600, 2600]


def test_a_bank_that_wants_the_customer_is_no_decline(
    rt: Runtime, ada: Guest, side: Side, clock: FrozenClock
):
    ada.buy("authenticationRequired")
    waiting = ada.get(ada.at("waiting")).text
    [own] = set(re.findall(r"/confirm/(pi_\w+?)\.", waiting))
    side.authenticate(own)
    ada.post(ada.at("finish"))

    attempt = renew(rt, clock)

    assert (attempt.state, attempt.decline_kind) == (AttemptState.ACTION_REQUIRED, None)
    assert side.taken() == [2600]
    owed = rows(rt, Invoice)[-1]

    assert pay_now(rt, owed.payer_id, owed.public_id) is Paid.ACTION
    again = rows(rt, ChargeAttempt)[-1]
    assert again.action_url.startswith("http://localhost/x/stripe/confirm/pi_")
    side.authenticate(again.gateway_reference)
    side.authenticate(attempt.gateway_reference)

    assert check_now(rt, owed.payer_id, owed.public_id)
    assert side.taken() == [2600, 2600]


# ---------------------------------------------------------------- refunds, disputes, messages


def give_back(rt: Runtime, amount: int) -> None:
    invoice = rows(rt, Invoice)[-1].public_id
    line = offer(rt, invoice).lines[0]
    wish = Wish({line.head.id: amount}, Way.CARD, CreditReason.REFUND, Afterwards.KEEP)
    refund(rt, make_staff(rt), invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


def test_a_refund_goes_out_once(rt: Runtime, ada: Guest, side: Side):
    ada.buy()
    give_back(rt, 1000)

    assert send_refunds(rt).done == 1
    send_refunds(rt)

    (given,) = rows(rt, Refund)
    assert given.state == AttemptState.SUCCEEDED
    assert given.gateway_reference.startswith("re_")


def test_every_message_in_any_order_and_twice_ends_in_the_same_state(
    rt: Runtime, ada: Guest, client: FlaskClient, side: Side, clock: FrozenClock
):
    ada.buy("createDispute")
    give_back(rt, 500)
    send_refunds(rt)
    messages = side.messages()

    random.Random(7).shuffle(messages)
    deliver(client, messages)
    deliver(client, messages)

    (subscription,) = rows(rt, Subscription)
    (invoice,), (attempt,) = rows(rt, Invoice), rows(rt, ChargeAttempt)
    (dispute,) = rows(rt, Dispute)
    assert attempt.state == AttemptState.SUCCEEDED
    assert invoice.state == InvoiceState.PAID
    assert subscription.state == SubscriptionState.ACTIVE
    assert subscription.held_at is not None
    assert (dispute.amount_minor, dispute.fee_minor, dispute.reason) == (2600, 1500, "fraudulent")
    assert len(rows(rt, Refund)) == 1


def test_the_message_settles_a_renewal_whose_answer_was_lost(
    rt: Runtime, ada: Guest, client: FlaskClient, side: Side, clock: FrozenClock
):
    ada.buy()
    side.lose_answers("lost")
    renew(rt, clock)

    deliver(client, side.messages())

    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.SUCCEEDED
    assert side.taken() == [2600, 2600]


def test_a_card_that_its_network_renewed_shows_its_new_year(
    rt: Runtime, ada: Guest, client: FlaskClient, side: Side
):
    ada.buy()
    side.messages()
    [method] = side.emulator.books.all("payment_method")
    method["card"]["exp_year"] += 4
    side.emulator.books.note("payment_method.automatically_updated", method)

    deliver(client, side.messages())

    (kept,) = rows(rt, PaymentMethod)
    assert kept.exp_year == method["card"]["exp_year"]


def test_a_forged_message_changes_nothing(ada: Guest, client: FlaskClient, side: Side):
    ada.buy()

    deliver(client, [(headers, raw + b" ") for headers, raw in side.messages()[:1]], expected=400)
