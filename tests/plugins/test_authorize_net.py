"""What is special about Authorize.net: no keys, voids, 20 characters, its own card page."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.adapters.http import ServiceHttp
from storefront.hooks import (
    AnswerStatus,
    ChargeOrder,
    DeclineKind,
    EventAbout,
    Money,
    WebhookError,
    decline_kind,
)
from storefront.plugins import load_plugins
from storefront.settings import Settings
from storefront.testing.clock import FrozenClock
from storefront.testing.gateway_orders import order, refund_of, setup_order
from storefront_authorize_net import api
from storefront_authorize_net.codes import DECLINE_MEANINGS
from storefront_authorize_net.gateway import AuthorizeNetGateway
from storefront_authorize_net.references import LENGTH, short
from storefront_authorize_net.refunds import void
from storefront_authorize_net.webhooks import sign
from tests.emulators.authorize_net import GOOD, HARD, HELD, KEY, LOGIN, SOFT, AuthorizeNet
from tests.emulators.serving import served

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
SIGNATURE_KEY = "0F" * 64
_S = AnswerStatus


class Account:
    """The gateway with its emulator behind it, on a clock that stands still."""

    def __init__(self, address: str, far: AuthorizeNet) -> None:
        self.address, self.far, self.clock = address, far, FrozenClock(NOW)
        far.now = self.clock.now
        self.http = ServiceHttp(address)
        self.gateway = self.make()

    def make(self, **over: object) -> AuthorizeNetGateway:
        given: dict[str, object] = {"login": LOGIN, "key": KEY, "signature_key": SIGNATURE_KEY}
        return AuthorizeNetGateway(self.http, now=self.clock.now, **{**given, **over})  # type: ignore[arg-type]

    def order(self, card: str = GOOD, minor: int = 2340, **over: object) -> ChargeOrder:
        return order(self.far.store(card), minor, "USD", **over)


@pytest.fixture
def account() -> Iterator[Account]:
    far = AuthorizeNet()
    with served(far.app) as address:
        account = Account(address, far)
        yield account
        account.http.close()


# ------------------------------------------------------------------------- no idempotency keys


def test_three_retries_after_a_lost_answer_take_nothing_more(account: Account) -> None:
    # G-23: inside the duplicate window, just after it, and beyond the longest there is.
    gateway, asked = account.make(duplicate_window=120), account.order()
    account.far.faults[asked.token] = "lost"
    assert gateway.charge(asked).status is _S.UNKNOWN
    for later in (timedelta(seconds=119), timedelta(seconds=121), timedelta(hours=9)):
        account.clock.set(NOW + later)
        assert gateway.charge(asked).status is _S.SUCCEEDED
    account.far.settle()
    account.clock.set(NOW + timedelta(days=2))
    assert gateway.charge(asked).status is _S.SUCCEEDED
    assert account.far.taken(asked.reference) == 1


def test_without_the_look_up_the_second_send_would_have_taken_money(account: Account) -> None:
    gateway, asked = account.make(duplicate_window=120), account.order()
    profile, card = asked.token.split("/")
    gateway._send(asked, profile, card)
    account.clock.advance(seconds=121)
    gateway._send(asked, profile, card)
    assert account.far.taken(asked.reference) == 2


def test_a_retry_inside_the_window_is_refused_there_and_looked_up(account: Account) -> None:
    asked = account.order()
    profile, card = asked.token.split("/")
    first, _ = account.gateway._send(asked, profile, card)
    second, _ = account.gateway._send(asked, profile, card)
    assert second == first
    assert account.far.taken(asked.reference) == 1


def test_two_attempts_for_the_same_amount_are_no_duplicates(account: Account) -> None:
    first = account.order()
    second = replace(first, reference=f"{first.reference}_again")
    assert account.gateway.charge(first).status is _S.SUCCEEDED
    assert account.gateway.charge(second).status is _S.SUCCEEDED


def test_it_declares_that_every_replay_is_looked_up_first(account: Account) -> None:
    can = account.gateway.capabilities
    assert (can.key_window_seconds, can.duplicate_window_seconds) == (0, 28_800)
    assert can.lookup_settle_seconds == 600


def test_a_charge_is_found_by_our_reference_after_the_settlement_and_pages_away(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    asked = account.order()
    account.far.faults[asked.token] = "lost"
    account.gateway.charge(asked)
    for _ in range(5):
        account.gateway.charge(account.order())
    assert account.gateway.lookup(asked.reference).status is _S.SUCCEEDED  # type: ignore[union-attr]
    account.far.settle()
    account.clock.advance(days=20)
    found = account.gateway.lookup(asked.reference)
    assert found is not None
    assert found.amount == asked.amount


def test_an_attempts_number_fits_and_leads_back_to_it(account: Account) -> None:
    asked = account.order(invoice="inv_1")
    asked = replace(asked, reference=f"att_{'x' * 26}")
    account.gateway.charge(asked)
    [kept] = account.far.transactions
    assert (kept.invoice, len(kept.invoice)) == (short(asked.reference), LENGTH)
    [listed] = account.gateway.list_charges(NOW)
    assert listed.reference == asked.reference


def test_charges_of_other_programs_are_not_listed(account: Account) -> None:
    account.gateway.charge(account.order())
    account.far.transactions[0].invoice = "20270302-1"
    assert list(account.gateway.list_charges(NOW)) == []


# --------------------------------------------------------------------------- refund and void


def test_the_whole_of_an_unsettled_charge_is_voided_once(account: Account) -> None:
    asked = account.order(minor=1000)
    back = refund_of(asked, account.gateway.charge(asked), 1000)
    first = account.gateway.refund(back)
    assert first.status is _S.SUCCEEDED
    assert account.gateway.refund(back) == first
    named = (back.reference, first.gateway_reference, back.gateway_reference)
    assert account.gateway.lookup_refund(*named) == first
    assert [each.status for each in account.far.transactions] == ["voided"]
    [listed] = account.gateway.list_charges(NOW)
    assert (listed.status, listed.refunded) == (_S.SUCCEEDED, Money(1000, "USD"))


def test_a_void_of_the_charge_is_no_word_about_a_refund_of_a_part(account: Account) -> None:
    asked = account.order(minor=1000)
    answer = account.gateway.charge(asked)
    part, whole = refund_of(asked, answer, 400), refund_of(asked, answer, 1000)
    # As somebody does by hand on Authorize.net's own pages.
    assert void(account.gateway._api, answer.gateway_reference)

    for back, status in ((part, _S.DECLINED), (whole, _S.SUCCEEDED)):
        named = (back.reference, "", back.gateway_reference)
        assert account.gateway.lookup_refund(*named) is None
        assert account.gateway.refund(back).status is status


def test_a_part_of_an_unsettled_charge_waits_for_the_settlement(account: Account) -> None:
    asked = account.order(minor=1000)
    back = refund_of(asked, account.gateway.charge(asked), 400)
    waiting = account.gateway.refund(back)
    assert (waiting.status, waiting.reason) == (_S.UNKNOWN, "not_settled")
    assert account.gateway.lookup_refund(back.reference, "", back.gateway_reference) is None
    account.clock.advance(days=1)
    account.far.settle()
    assert account.gateway.refund(back).status is _S.SUCCEEDED
    [listed] = account.gateway.list_charges(NOW)
    assert listed.refunded == Money(400, "USD")


def test_nothing_is_given_back_of_a_voided_charge(account: Account) -> None:
    asked = account.order(minor=1000)
    answer = account.gateway.charge(asked)
    account.gateway.refund(refund_of(asked, answer, 1000))
    again = account.gateway.refund(refund_of(asked, answer, 400))
    assert (again.status, again.reason) == (_S.DECLINED, "voided")


def test_after_180_days_a_charge_cannot_be_given_back(account: Account) -> None:
    asked = account.order(minor=1000)
    answer = account.gateway.charge(asked)
    account.far.settle()
    account.clock.advance(days=181)
    refused = account.gateway.refund(refund_of(asked, answer, 400))
    assert (refused.status, refused.reason) == (_S.DECLINED, "not_refundable")


# ------------------------------------------------------------------- what codes and flags mean


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("2", DeclineKind.SOFT),
        ("8", DeclineKind.HARD),
        ("41", DeclineKind.ASK),
        ("9999", DeclineKind.ASK),
    ],
)
def test_a_code_means_what_the_table_says_and_ask_if_it_says_nothing(
    code: str, kind: DeclineKind
) -> None:
    assert decline_kind(DECLINE_MEANINGS, "visa", code) is kind


def test_a_decline_tells_network_and_code(account: Account) -> None:
    answer = account.gateway.charge(account.order(HARD))
    assert (answer.network, answer.code, answer.reason) == ("visa", "8", "expired_card")


def test_later_charges_are_made_under_the_first_ones_agreement(account: Account) -> None:
    first = account.order(on_session=True, return_url="http://shop.test/back")
    answer = account.gateway.charge(first)
    assert answer.method is not None
    assert answer.method.agreement == f"N{answer.gateway_reference}"
    renewal = replace(first, reference="att_renewal", on_session=False)
    account.gateway.charge(replace(renewal, agreement=answer.method.agreement))
    sent = [body["transactionRequest"] for name, body in account.far.calls if "create" in name]
    assert sent[0]["processingOptions"] == {
        "isFirstSubsequentAuth": True,
        "isStoredCredentials": True,
    }
    assert sent[1]["processingOptions"] == {"isSubsequentAuth": True}
    agreed = {"originalNetworkTransId": answer.method.agreement}
    assert sent[1]["subsequentAuthInformation"] == agreed


def test_a_refused_key_takes_nothing_and_says_so(account: Account) -> None:
    asked, other = account.order(), account.make(key="another")
    answer = other.charge(asked)
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "unauthorized")
    looked_up = other.lookup(asked.reference)
    assert looked_up is not None
    assert looked_up.reason == "unauthorized"
    assert account.far.taken(asked.reference) == 0


def test_a_charge_held_for_review_is_pending_and_declined_when_cancelled(account: Account) -> None:
    asked = account.order(HELD)
    assert account.gateway.charge(asked).status is _S.PENDING
    account.gateway.cancel(asked.reference)
    found = account.gateway.lookup(asked.reference)
    assert found is not None
    assert (found.status, found.decline, found.reason) == (
        _S.DECLINED,
        DeclineKind.ASK,
        "failedReview",
    )
    assert list(account.gateway.list_charges(NOW)) == []


# --------------------------------------------------------------------------- set-up and card page


def begin(account: Account, card: str) -> str:
    asked = setup_order()
    start = account.gateway.begin_setup(asked)
    assert start.redirect_url is not None
    known = account.gateway.vault.read_key(start.redirect_url.rpartition("/")[2])
    assert known is not None
    account.far.type_card(account.gateway.vault.page_token(*known[:2], "Back"), card)
    return asked.reference


def test_the_bank_is_asked_once_per_card_however_often_the_customer_comes_back(
    account: Account,
) -> None:
    reference = begin(account, GOOD)
    for _ in range(3):
        assert account.gateway.finish_setup(reference, {}).status is _S.SUCCEEDED
    assert account.far.validations == 1


def test_a_refused_card_is_deleted_and_another_can_be_typed(account: Account) -> None:
    reference = begin(account, HARD)
    refused = account.gateway.finish_setup(reference, {})
    assert (refused.decline, refused.reason) == (DeclineKind.HARD, "expired_card")
    assert [each["cards"] for each in account.far.profiles.values()] == [{}]
    assert account.gateway.finish_setup(reference, {}).status is _S.ACTION_REQUIRED


def test_a_card_that_declines_later_can_be_stored(account: Account) -> None:
    assert account.gateway.finish_setup(begin(account, SOFT), {}).status is _S.SUCCEEDED


def test_without_its_keys_the_plugin_is_off_and_names_them(
    tmp_path: Path, clock: FrozenClock
) -> None:
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, {})
    assert "STOREFRONT_AUTHORIZE_NET_SIGNATURE_KEY" in hooks.off["authorize-net"]
    assert "authorize_net" not in hooks.gateways


@pytest.mark.parametrize(
    ("address", "is_real"),
    [("https://apitest.authorize.net", False), ("https://api.authorize.net", True)],
)
def test_only_the_sandbox_is_play_money(
    tmp_path: Path, clock: FrozenClock, address: str, is_real: bool
) -> None:
    given = {"login_id": "x", "transaction_key": "x", "signature_key": "x", "api_url": address}
    environ = {f"STOREFRONT_AUTHORIZE_NET_{name.upper()}": value for name, value in given.items()}
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, environ)
    assert hooks.gateways["authorize_net"].capabilities.moves_money is is_real


@pytest.mark.parametrize(("seconds", "is_on"), [(0, False), (1, True), (28_800, True)])
def test_the_duplicate_window_is_never_switched_off(
    tmp_path: Path, clock: FrozenClock, seconds: int, is_on: bool
) -> None:
    given = {"login_id": "x", "transaction_key": "x", "signature_key": "x"}
    given["duplicate_window"] = str(seconds)
    environ = {f"STOREFRONT_AUTHORIZE_NET_{name.upper()}": value for name, value in given.items()}
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, environ)
    assert ("authorize_net" in hooks.gateways) is is_on
    assert is_on or "duplicate_window: 1 to" in hooks.failed["authorize-net"]


class TestTheCardPage:
    @pytest.fixture
    def settings(self, settings: Settings, account: Account) -> Settings:
        given = {
            "login_id": LOGIN,
            "transaction_key": KEY,
            "signature_key": SIGNATURE_KEY,
            "api_url": account.address,
        }
        return replace(settings, plugins={"authorize-net": given})

    def test_it_leads_to_the_hosted_form_without_a_script_of_theirs(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        gateway = app.extensions["storefront"].gateways["authorize_net"]
        start = gateway.begin_setup(setup_order())
        page = client.get(urlsplit(start.redirect_url).path)
        assert page.status_code == 200
        [token] = re.findall(r'name="token" value="(\w+)"', page.text)
        assert account.far.tokens[token]["hostedProfileReturnUrl"] == "http://shop.test/back"
        assert 'action="https://accept.authorize.net/customer/addPayment"' in page.text
        policy = page.headers["Content-Security-Policy"]
        assert "form-action 'self' https://accept.authorize.net" in policy
        assert policy.count("authorize.net") == 1

    def test_an_address_that_is_an_hour_old_leads_nowhere(
        self, app: Flask, client: FlaskClient, clock: FrozenClock
    ) -> None:
        gateway = app.extensions["storefront"].gateways["authorize_net"]
        path = urlsplit(gateway.begin_setup(setup_order()).redirect_url).path
        clock.advance(minutes=59)
        assert client.get(path).status_code == 200
        clock.advance(minutes=1)
        assert client.get(path).status_code == 404

    def test_a_forged_address_leads_nowhere(self, client: FlaskClient) -> None:
        assert client.get("/x/authorize-net/card/forged").status_code == 404

    def test_when_authorize_net_is_silent_the_page_says_so_and_offers_the_way_out(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        gateway = app.extensions["storefront"].gateways["authorize_net"]
        start = gateway.begin_setup(setup_order())
        account.far.is_down = True
        page = client.get(urlsplit(start.redirect_url).path)
        assert page.status_code == 503
        assert 'href="http://shop.test/cancel"' in page.text


# -------------------------------------------------------------------------------- messages in


def message(event: str, payload: dict[str, object], at: datetime = NOW) -> bytes:
    return json.dumps(
        {
            "notificationId": "d0e8e7fe",
            "eventType": event,
            "eventDate": at.isoformat(),
            "payload": payload,
        }
    ).encode()


@pytest.mark.parametrize(
    ("event", "payload", "about", "named"),
    [
        ("net.authorize.payment.refund.created", {"id": "7"}, EventAbout.REFUND, "7"),
        ("net.authorize.payment.void.created", {"id": "7"}, EventAbout.CHARGE, "7"),
        (
            "net.authorize.customer.paymentProfile.updated",
            {"id": "7", "customerProfileId": 5},
            EventAbout.METHOD,
            "5/7",
        ),
        ("net.authorize.customer.subscription.created", {"id": "7"}, EventAbout.OTHER, "7"),
    ],
)
def test_a_message_names_what_changed(
    account: Account, event: str, payload: dict[str, object], about: EventAbout, named: str
) -> None:
    raw = message(event, payload)
    found = account.gateway.parse_webhook(sign(SIGNATURE_KEY, raw), raw)
    assert (found.about, found.gateway_reference, found.account) == (about, named, LOGIN)


def test_a_message_may_be_days_late_and_not_weeks(account: Account) -> None:
    name = "net.authorize.payment.authcapture.created"
    late = message(name, {"id": "7"}, NOW - timedelta(days=7))
    assert account.gateway.parse_webhook(sign(SIGNATURE_KEY, late), late).id == "d0e8e7fe"
    old = message(name, {"id": "7"}, NOW - timedelta(days=11))
    with pytest.raises(WebhookError, match="too_old"):
        account.gateway.parse_webhook(sign(SIGNATURE_KEY, old), old)


def test_without_a_signature_key_no_message_gets_in(account: Account) -> None:
    raw = message("net.authorize.payment.authcapture.created", {"id": "7"})
    with pytest.raises(WebhookError, match="bad_signature"):
        account.make(signature_key="").parse_webhook(sign(SIGNATURE_KEY, raw), raw)
