"""Messages of Stripe and the settings of its plugin: who is let in, and what is refused."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ChargeAnswer, EventAbout, PluginContext, PluginOff, WebhookError
from storefront.testing.gateway_orders import refund_of
from storefront_stripe.gateway import StripeGateway
from storefront_stripe.keys import PageKeys
from storefront_stripe.plugin import StripePlugin, StripeSettings
from tests.emulators.stripe import ACCOUNT, SECRET_KEY, WEBHOOK_SECRET, sign
from tests.support.stripe import StripeRig, gateway_over, rig


@pytest.fixture
def stripe() -> Iterator[StripeRig]:
    with rig() as made:
        yield made


def charged(stripe: StripeRig) -> tuple[ChargeAnswer, dict[str, object]]:
    answer = stripe.gateway.charge(stripe.order(stripe.method("good")))
    return answer, stripe.emulator.books.get("payment_intent", answer.gateway_reference)


@pytest.mark.parametrize(
    ("kind", "about", "reference", "own"),
    [
        ("payment_intent", EventAbout.CHARGE, "att", "payment_intent"),
        ("charge", EventAbout.CHARGE, "att", "payment_intent"),
        ("refund", EventAbout.REFUND, "ref", "refund"),
        ("setup_intent", EventAbout.SETUP, "set", "setup_intent"),
        ("payment_method", EventAbout.METHOD, "", "payment_method"),
        ("dispute", EventAbout.DISPUTE, "", "payment_intent"),
        ("customer", EventAbout.OTHER, "", "customer"),
    ],
)
def test_a_message_is_read_by_the_object_it_is_about(
    stripe: StripeRig, kind: str, about: EventAbout, reference: str, own: str
):
    books = stripe.emulator.books
    asked = stripe.order(stripe.method("good"))
    answer = stripe.gateway.charge(asked)
    back = refund_of(asked, answer, 100)
    stripe.gateway.refund(back)
    books.dispute(answer.gateway_reference)
    [found] = books.all(kind)

    event = stripe.gateway.parse_webhook(*stripe.emulator.message(f"{kind}.changed", found))

    names = {"att": asked.reference, "ref": back.reference, "": ""}
    if reference == "set":
        assert event.reference.startswith("set_")
    else:
        assert event.reference == names[reference]
    assert event.about is about
    assert event.gateway_reference == books.all(own)[0]["id"]
    assert event.account == stripe.gateway.account


def test_two_secrets_hold_while_one_is_exchanged(stripe: StripeRig):
    _, found = charged(stripe)
    _, raw = stripe.emulator.message("payment_intent.succeeded", found)
    with gateway_over(stripe.emulator, webhook_secrets=("whsec_new", WEBHOOK_SECRET)) as exchanging:
        for secrets in (("whsec_new",), (WEBHOOK_SECRET,), ("whsec_other", "whsec_new")):
            assert exchanging.parse_webhook(sign(raw, stripe.emulator.now(), *secrets), raw).id


def refusal(gateway: StripeGateway, headers: dict[str, str], raw: bytes) -> str:
    with pytest.raises(WebhookError) as caught:
        gateway.parse_webhook(headers, raw)
    return str(caught.value.args[0])


@pytest.mark.parametrize("seconds", [-301, 301])
def test_five_minutes_either_way_are_let_in_and_no_more(stripe: StripeRig, seconds: int):
    _, found = charged(stripe)
    _, raw = stripe.emulator.message("payment_intent.succeeded", found)
    at = stripe.emulator.now() + timedelta(seconds=seconds)
    assert refusal(stripe.gateway, sign(raw, at), raw) == "too_old"
    near = at - timedelta(seconds=5 if seconds > 0 else -5)
    assert stripe.gateway.parse_webhook(sign(raw, near), raw).id


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"livemode": True}, "wrong_mode"),
        ({"account": "acct_2Other"}, "other_account"),
        ({"created": None}, "unreadable"),
        ({"data": []}, "unreadable"),
    ],
)
def test_a_signed_message_for_somebody_else_or_without_sense_is_refused(
    stripe: StripeRig, over: dict[str, object], reason: str
):
    _, found = charged(stripe)
    headers, raw = stripe.emulator.message("payment_intent.succeeded", found, **over)
    assert refusal(stripe.gateway, headers, raw) == reason


@pytest.mark.parametrize("raw", [b"[]", b"null", b"7", b'"x"', b"{", b"\xff", b"[" * 100_000])
def test_a_signed_body_that_is_no_message_is_unreadable(stripe: StripeRig, raw: bytes):
    assert refusal(stripe.gateway, sign(raw, stripe.emulator.now()), raw) == "unreadable"


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=00", "t=1;v1=00", "=", "t=1,t=2,v1=é"]
)
def test_a_header_that_is_none_lets_nobody_in(stripe: StripeRig, header: str):
    assert refusal(stripe.gateway, {"Stripe-Signature": header}, b"{}") in (
        "no_signature",
        "bad_signature",
    )


def test_nobody_is_let_in_while_no_secret_is_set(stripe: StripeRig):
    _, found = charged(stripe)
    headers, raw = stripe.emulator.message("payment_intent.succeeded", found)
    with gateway_over(stripe.emulator, webhook_secrets=()) as without:
        assert refusal(without, headers, raw) == "bad_signature"


# ----------------------------------------------------------------------------------- settings


KEYS = {
    "secret_key": SECRET_KEY,
    "publishable_key": "pk_test_kettles",
    "account": ACCOUNT,
    "webhook_secrets": (WEBHOOK_SECRET,),
}


def set_up(tmp_path: Path, **over: object) -> StripePlugin:
    plugin = StripePlugin()
    context = PluginContext(
        name="stripe",
        settings=StripeSettings(**{**KEYS, **over}),  # type: ignore[arg-type]
        log=logging.getLogger("storefront.plugin.stripe"),
        now=lambda: datetime(2027, 3, 2, tzinfo=UTC),
        folder=tmp_path,
        environment="test",
        pages_url="https://shop.test/x/stripe",
        add_gateway=[].append,
        http=ServiceHttp,
    )
    plugin.setup(context)
    return plugin


@pytest.mark.parametrize("name", ["secret_key", "publishable_key", "account"])
def test_without_its_keys_it_is_off_and_says_which_is_missing(tmp_path: Path, name: str):
    with pytest.raises(PluginOff, match=f"STOREFRONT_STRIPE_{name.upper()} is not set"):
        set_up(tmp_path, **{name: ""})


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"secret_key": "pk_test_x"}, "SECRET_KEY"),
        ({"publishable_key": "sk_test_x"}, "PUBLISHABLE_KEY"),
        ({"publishable_key": "pk_live_x"}, "one of the keys"),
        ({"account": "kettles"}, "acct_"),
        ({"page": "popup"}, "element, checkout"),
        ({"three_d_secure": "never"}, "automatic"),
    ],
)
def test_settings_that_cannot_be_meant_are_named_without_their_value(
    tmp_path: Path, over: dict[str, str], words: str
):
    with pytest.raises(ValueError, match=words) as caught:
        set_up(tmp_path, **over)
    assert "_test_x" not in str(caught.value)


def test_live_keys_move_money_and_test_keys_have_an_account_of_their_own(tmp_path: Path):
    trying = set_up(tmp_path).gateway
    live = set_up(tmp_path, secret_key="rk_live_x", publishable_key="pk_live_x").gateway
    assert (trying.account, trying.capabilities.moves_money) == (f"{ACCOUNT}:test", False)
    assert (live.account, live.capabilities.moves_money) == (ACCOUNT, True)


def test_secrets_are_in_no_representation():
    shown = repr(StripeSettings(**KEYS))  # type: ignore[arg-type]
    assert SECRET_KEY not in shown
    assert WEBHOOK_SECRET not in shown


def test_a_key_of_a_page_opens_that_page_of_that_object_only():
    keys = PageKeys(SECRET_KEY)
    key = keys.seal("pay", "seti_1")
    assert keys.open("pay", key) == "seti_1"
    assert keys.open("confirm", key) is None
    assert keys.open("pay", key.replace("seti_1", "seti_2")) is None
    assert keys.open("pay", "seti_1.ü") is None
    assert PageKeys("sk_test_other").open("pay", key) is None
