"""What is special about Razorpay: notices, late debits, caps, payments that are held first."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.adapters.http import ServiceHttp
from storefront.charges import look_up, look_up_open, send_planned
from storefront.domain.lifecycle import SubscriptionState
from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    ChargeOrder,
    DeclineKind,
    EventAbout,
    Money,
    WebhookError,
    decline_kind,
)
from storefront.mails import compose
from storefront.models import (
    Box,
    ChargeAttempt,
    DunningCase,
    Invoice,
    PaymentMethod,
    Subscription,
)
from storefront.paying import Paid, pay_now
from storefront.plugins import load_plugins
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import webhooks
from storefront.services.checkout import Agreement, place_order
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.outbox import deliver_due
from storefront.services.renewals import run_renewals
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.gateway_orders import order, refund_of, setup_order
from storefront_razorpay.api import Silent
from storefront_razorpay.codes import DECLINE_MEANINGS, MOST_WITHOUT_CUSTOMER
from storefront_razorpay.gateway import RazorpayGateway
from storefront_razorpay.webhooks import sign
from tests.emulators.razorpay import ACCOUNT, HARD, KEY_ID, SECRET, SOFT, WEBHOOK, Razorpay
from tests.emulators.serving import served
from tests.support.orders import begin, count, only, quote_hash

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
_S = AnswerStatus


class Account:
    """The gateway with its emulator behind it, on a clock that stands still."""

    def __init__(self, address: str, far: Razorpay) -> None:
        self.address, self.far, self.clock = address, far, FrozenClock(NOW)
        far.now = self.clock.now
        self.http = ServiceHttp(address)
        self.gateway = RazorpayGateway(
            self.http,
            account=ACCOUNT,
            key_id=KEY_ID,
            secret=SECRET,
            webhook_secret=WEBHOOK,
            now=self.clock.now,
        )

    def order(self, token: str = "", minor: int = 2340, **over: object) -> ChargeOrder:
        told = self.clock.now() - timedelta(hours=25)
        given: dict[str, object] = {"notified_at": told, **over}
        return order(token or self.far.store(), minor, "INR", **given)

    def set_up(self, due: Money | None, method: str = "card") -> ChargeOrder:
        """Agree to a mandate while ``due`` is held; return the first charge's order."""
        asked = setup_order(due)
        start = self.gateway.begin_setup(asked)
        self.far.pay(start.gateway_reference, method=method)
        found = self.gateway.finish_setup(asked.reference, {}, start.gateway_reference).method
        assert found is not None
        return self.order(found.token, 2340, on_session=True, return_url="http://shop.test/back")


@pytest.fixture
def account() -> Iterator[Account]:
    far = Razorpay()
    with served(far.app) as address:
        account = Account(address, far)
        yield account
        account.http.close()


# --------------------------------------------------------------------------- notices and debits


def test_a_debit_is_made_a_day_after_it_was_asked_for_and_waits_until_then(
    account: Account,
) -> None:
    asked = account.order()
    assert account.gateway.charge(asked).status is _S.PENDING
    account.clock.advance(hours=24)
    found = account.gateway.lookup(asked.reference)
    assert found is not None
    assert (found.status, account.far.taken(asked.reference)) == (_S.PENDING, 0)
    account.clock.advance(hours=2)
    found = account.gateway.lookup(asked.reference)
    assert found is not None
    assert (found.status, found.amount) == (_S.SUCCEEDED, asked.amount)


def test_a_debit_that_waits_is_neither_asked_for_twice_nor_cancelled(account: Account) -> None:
    asked = account.order()
    first = account.gateway.charge(asked)
    assert account.gateway.charge(asked) == first
    assert account.gateway.cancel(asked.reference) is CancelAnswer.UNKNOWN
    assert len([each for each in account.far.payments.values() if each["notes"]]) == 1


@pytest.mark.parametrize("told", [None, timedelta(hours=23, minutes=59)])
def test_without_a_notice_of_a_day_nothing_is_asked(
    account: Account, told: timedelta | None
) -> None:
    asked = account.order(notified_at=told and NOW - told)
    answer = account.gateway.charge(asked)
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "notice_missing")
    assert account.gateway.lookup(asked.reference) is None
    assert not [path for _, path, _ in account.far.calls if "recurring" in path]


def test_a_debit_that_falls_into_the_next_cycle_fails_softly(account: Account) -> None:
    """As Razorpay says of mandates with cycles; ours have none."""
    asked = account.order(account.far.store(frequency="monthly"))
    account.clock.set(datetime(2027, 3, 31, 9, 0, tzinfo=UTC))
    account.gateway.charge(asked)
    account.clock.advance(hours=26)
    answer = account.gateway.lookup(asked.reference)
    assert answer is not None
    assert (answer.status, answer.decline) == (_S.DECLINED, DeclineKind.SOFT)


def test_our_mandates_have_no_cycles_and_end_in_ten_years(account: Account) -> None:
    account.gateway.begin_setup(setup_order())
    [mandate] = [each["token"] for each in account.far.orders.values()]
    assert mandate["frequency"] == "as_presented"
    assert datetime.fromtimestamp(mandate["expire_at"], UTC).year == 2037


# ---------------------------------------------------------------------------------- customers


@pytest.mark.parametrize("who", ["", "cus_another"], ids=["no account yet", "another account"])
def test_a_typed_address_never_leads_to_somebody_elses_stored_methods(
    account: Account, who: str
) -> None:
    """Whoever orders may type any address; the window shows what its customer has stored."""
    theirs = account.far.store().split("/")[0]
    assert account.far.customers[theirs]["email"] == "ada@example.org"
    asked = replace(setup_order(), email="ada@example.org", name="Mallory", customer=who)
    start = account.gateway.begin_setup(asked)
    given = account.far.orders[start.gateway_reference]["customer_id"]
    assert given != theirs
    account.far.pay(start.gateway_reference)
    method = account.gateway.finish_setup(asked.reference, {}).method
    assert method is not None
    assert method.gateway_customer == given


def test_a_customer_that_razorpay_gave_before_is_used_again(account: Account) -> None:
    theirs = account.far.store().split("/")[0]
    asked = replace(setup_order(), email="ada@example.org", gateway_customer=theirs)
    start = account.gateway.begin_setup(asked)
    assert account.far.orders[start.gateway_reference]["customer_id"] == theirs


def test_a_customer_that_is_found_all_the_same_is_not_taken(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = account.far.customers[account.far.store().split("/")[0]]
    monkeypatch.setattr(account.far, "_customer", lambda _body: theirs)
    with pytest.raises(Silent):
        account.gateway.begin_setup(replace(setup_order(), email="ada@example.org"))


# ------------------------------------------------------------------------------ caps and limits


@pytest.mark.parametrize(
    ("limit", "most", "alone"),
    [(None, 1_500_000, 1_500_000), (900_000, 1_500_000, 1_500_000), (4_000_000, 4_000_000, None)],
)
def test_a_mandate_may_be_for_more_than_goes_without_its_customer(
    account: Account, limit: int | None, most: int, alone: int | None
) -> None:
    asked = replace(setup_order(), limit=Money(limit, "INR") if limit else None)
    start = account.gateway.begin_setup(asked)
    account.far.pay(start.gateway_reference)
    method = account.gateway.finish_setup(asked.reference, {}).method
    assert account.far.orders[start.gateway_reference]["token"]["max_amount"] == most
    assert method is not None
    assert method.limit == Money(alone or MOST_WITHOUT_CUSTOMER, "INR")


def test_more_than_goes_without_its_customer_waits_for_them_and_takes_nothing(
    account: Account,
) -> None:
    """G-26."""
    asked = account.order(minor=MOST_WITHOUT_CUSTOMER + 1)
    answer = account.gateway.charge(asked)
    assert (answer.status, answer.action_url) == (_S.ACTION_REQUIRED, None)
    assert not [path for _, path, _ in account.far.calls if "recurring" in path]


@pytest.mark.parametrize(
    ("state", "kind"),
    [("cancelled", DeclineKind.HARD), ("paused", DeclineKind.ASK), ("expired", DeclineKind.HARD)],
)
def test_a_mandate_that_was_taken_back_at_the_bank_is_not_tried(
    account: Account, state: str, kind: DeclineKind
) -> None:
    token = account.far.store(recurring_details={"status": state})
    answer = account.gateway.charge(account.order(token))
    assert (answer.status, answer.decline) == (_S.DECLINED, kind)
    assert not [path for _, path, _ in account.far.calls if "recurring" in path]


# ------------------------------------------------------------------------------ the first charge


def test_the_first_charge_takes_what_was_held_when_the_mandate_was_agreed_to(
    account: Account,
) -> None:
    asked = account.set_up(Money(2340, "INR"))
    assert account.far.taken(asked.reference) == 0
    answer = account.gateway.charge(asked)
    assert (answer.status, answer.amount) == (_S.SUCCEEDED, asked.amount)
    assert account.gateway.charge(asked) == answer
    assert account.gateway.lookup(asked.reference) == answer
    assert account.far.taken(asked.reference) == 1


def test_what_is_held_is_taken_once_and_a_second_charge_is_paid_anew(account: Account) -> None:
    asked = account.set_up(Money(2340, "INR"))
    account.gateway.charge(asked)
    second = account.gateway.charge(replace(asked, reference="att_second"))
    assert second.status is _S.ACTION_REQUIRED
    assert second.action_url


def test_of_two_charges_over_one_held_payment_only_one_counts_it(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw it held; the second takes it before the first does."""
    asked = account.set_up(Money(2340, "INR"))
    other, beside = replace(asked, reference="att_second"), Account(account.address, account.far)
    real, answers = account.gateway.orders.open, []

    def overtaken(*arguments: Any, **named: Any) -> dict[str, Any]:
        made = real(*arguments, **named)
        answers.append(beside.gateway.charge(other))
        return made

    monkeypatch.setattr(account.gateway.orders, "open", overtaken)
    answers.append(account.gateway.charge(asked))
    beside.http.close()
    assert [each.status for each in answers] == [_S.SUCCEEDED, _S.DECLINED]
    assert answers[1].reason == "held_payment_taken"
    assert account.gateway.lookup(asked.reference) == answers[1]
    assert (account.far.taken(asked.reference), account.far.taken(other.reference)) == (0, 1)


def test_a_held_payment_taken_between_our_look_and_our_note_is_not_counted_again(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = account.set_up(Money(2340, "INR"))
    other, beside = replace(asked, reference="att_second"), Account(account.address, account.far)
    real, answers = account.gateway.api.note, []

    def overtaken(path: str, notes: Any) -> Any:
        if not answers and path.startswith("/payments/"):
            answers.append(beside.gateway.charge(other))
        return real(path, notes)

    monkeypatch.setattr(account.gateway.api, "note", overtaken)
    answers.append(account.gateway.charge(asked))
    beside.http.close()
    assert [each.status for each in answers] == [_S.SUCCEEDED, _S.DECLINED]
    assert answers[1].reason == "held_payment_taken"


def test_a_card_stored_without_a_payment_costs_nothing(account: Account) -> None:
    asked = account.set_up(None)
    [held] = account.far.payments.values()
    assert (held["amount"], held["captured"]) == (100, False)
    account.clock.advance(days=6)
    assert account.gateway.charge(asked).status is _S.ACTION_REQUIRED
    assert (held["status"], held["amount_refunded"]) == ("refunded", 100)


def test_two_looks_at_once_at_what_was_approved_both_see_it_taken(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer comes back in the moment in which the message about it comes."""
    asked = replace(account.set_up(None), reference="att_looked_at_twice")
    account.far.pay(account.gateway.charge(asked).gateway_reference)
    real, answers = account.gateway.api.note, []

    def overtaken(path: str, notes: Any) -> Any:
        if not answers and path.startswith("/payments/"):
            answers.append(None)
            answers[0] = account.gateway.lookup(asked.reference)
        return real(path, notes)

    monkeypatch.setattr(account.gateway.api, "note", overtaken)
    answers.append(account.gateway.lookup(asked.reference))
    assert [each.status for each in answers] == [_S.SUCCEEDED, _S.SUCCEEDED]
    assert account.far.taken(asked.reference) == 1


def test_what_a_customer_pays_after_they_gave_up_goes_back(account: Account) -> None:
    asked = replace(account.set_up(None), reference="att_given_up")
    waits = account.gateway.charge(asked)
    assert account.gateway.cancel(asked.reference) is CancelAnswer.CANCELLED
    account.far.pay(waits.gateway_reference)
    found = account.gateway.lookup(asked.reference)
    assert found is not None
    assert found.status is _S.DECLINED
    account.clock.advance(days=6)
    account.gateway.lookup(asked.reference)
    assert account.far.taken(asked.reference) == 0


@pytest.mark.parametrize(
    ("method", "kind", "label"), [("upi", "upi", "a…@okbank"), ("emandate", "bank", "HDFC ••4711")]
)
def test_upi_and_bank_mandates_have_a_label_and_no_number(
    account: Account, method: str, kind: str, label: str
) -> None:
    found = account.gateway.read_method(account.far.store(method=method))
    assert found is not None
    assert (found.kind, found.label, found.last4, found.exp_year) == (kind, label, "", None)


def test_a_bank_that_has_not_confirmed_yet_is_waited_for(account: Account) -> None:
    asked = setup_order()
    start = account.gateway.begin_setup(asked)
    account.far.pay(start.gateway_reference, method="emandate")
    [token] = account.far.tokens.values()
    token["recurring_details"] = {"status": "initiated"}
    assert account.gateway.finish_setup(asked.reference, {}).status is _S.PENDING
    token["recurring_details"] = {"status": "confirmed"}
    assert account.gateway.finish_setup(asked.reference, {}).status is _S.SUCCEEDED


# -------------------------------------------------------------------------- failures on the way


def test_our_own_fault_is_never_a_decline(account: Account) -> None:
    asked = account.order()
    account.far.status = 429
    slow = account.gateway.charge(asked)
    assert (slow.status, slow.reason, slow.retry_after) == (_S.UNKNOWN, "rate_limited", 7.0)
    for status, reason in ((401, "unauthorized"), (403, "unauthorized"), (502, "http_502")):
        account.far.status = status
        assert account.gateway.charge(asked).reason == reason


def test_of_two_orders_with_one_receipt_the_oldest_counts(account: Account) -> None:
    asked = account.order()
    account.gateway.charge(asked)
    name = next(each["id"] for each in account.far.orders.values() if each["receipt"] != "")
    again = {**account.far.orders[name], "id": "order_99999", "amount": 1}
    account.far.orders["order_99999"] = again
    assert account.gateway.charge(asked).status is _S.PENDING


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("insufficient_funds", DeclineKind.SOFT),
        ("mandate_revoked", DeclineKind.HARD),
        ("something_new", DeclineKind.ASK),
    ],
)
def test_reasons_mean_what_the_table_says_and_nothing_else_is_guessed(
    reason: str, kind: DeclineKind
) -> None:
    assert decline_kind(DECLINE_MEANINGS, "visa", reason) is kind


def test_a_refund_is_found_by_its_reference_and_its_charge(account: Account) -> None:
    account.far.debits_at_once = True
    asked = account.order()
    answer = account.gateway.charge(asked)
    back = refund_of(asked, answer, 100)
    given = account.gateway.refund(back)
    charge = answer.gateway_reference
    assert account.gateway.lookup_refund(back.reference, "", charge) == given
    assert account.gateway.lookup_refund(back.reference, given.gateway_reference) == given


def test_a_bank_that_only_asks_has_taken_nothing(account: Account) -> None:
    account.far.debits_at_once = True
    asked = account.order()
    answer = account.gateway.charge(asked)
    account.far.dispute(answer.gateway_reference, phase="retrieval")
    [found] = account.gateway.disputes(asked.reference, answer.gateway_reference)
    assert found.amount == Money(0, "INR")
    assert found.answer_by == NOW + timedelta(days=10)


# --------------------------------------------------------------------------------- messages in


def test_a_message_of_another_account_or_of_last_week_is_refused(account: Account) -> None:
    body = {"account_id": "acc_other", "event": "payment.captured", "payload": {}}
    raw = json.dumps({**body, "created_at": int(NOW.timestamp())}).encode()
    with pytest.raises(WebhookError, match="other_account"):
        account.gateway.parse_webhook(sign(WEBHOOK, raw, "evt_1"), raw)
    headers, raw = account.far.message("payment.captured", "payment", {"id": "pay_1"})
    account.clock.advance(days=4)
    with pytest.raises(WebhookError, match="too_old"):
        account.gateway.parse_webhook(headers, raw)


@pytest.mark.parametrize(
    ("event", "kind", "entity", "about", "named"),
    [
        ("refund.processed", "refund", {"id": "rfnd_1"}, EventAbout.REFUND, "rfnd_1"),
        (
            "payment.dispute.created",
            "dispute",
            {"id": "disp_1", "payment_id": "pay_1"},
            EventAbout.DISPUTE,
            "pay_1",
        ),
        ("token.cancelled", "token", {"id": "token_1"}, EventAbout.METHOD, "token_1"),
        ("settlement.processed", "settlement", {"id": "setl_1"}, EventAbout.OTHER, ""),
    ],
)
def test_a_message_names_what_changed(
    account: Account, event: str, kind: str, entity: dict[str, str], about: EventAbout, named: str
) -> None:
    headers, raw = account.far.message(event, kind, entity)
    found = account.gateway.parse_webhook(headers, raw)
    assert (found.about, found.gateway_reference, found.type) == (about, named, event)
    assert found.id == headers["x-razorpay-event-id"]


# ------------------------------------------------------------------------------ settings, page


def test_without_its_keys_the_plugin_is_off_and_names_them(
    tmp_path: Path, clock: FrozenClock
) -> None:
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, {})
    assert "STOREFRONT_RAZORPAY_KEY_SECRET" in hooks.off["razorpay"]
    assert "razorpay" not in hooks.gateways


@pytest.mark.parametrize(("mode", "is_real"), [("test", False), ("live", True)])
def test_keys_of_the_test_mode_are_another_account_and_play_money(
    tmp_path: Path, clock: FrozenClock, mode: str, is_real: bool
) -> None:
    environ = {
        f"STOREFRONT_RAZORPAY_{name}": "acc_x"
        for name in ("ACCOUNT", "KEY_SECRET", "WEBHOOK_SECRET")
    }
    environ["STOREFRONT_RAZORPAY_KEY_ID"] = f"rzp_{mode}_1"
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, environ)
    found = hooks.gateways["razorpay"]
    assert found.capabilities.moves_money is is_real
    assert (found.account == "acc_x") is is_real


@pytest.fixture
def settings(settings: Settings, account: Account) -> Settings:
    given = {
        "account": ACCOUNT,
        "key_id": KEY_ID,
        "key_secret": SECRET,
        "webhook_secret": WEBHOOK,
        "api_url": account.address,
    }
    return replace(settings, plugins={"razorpay": given})


def test_the_page_opens_razorpay_s_window_and_lets_its_hosts_in_there_alone(
    app: Flask, client: FlaskClient
) -> None:
    gateway = app.extensions["storefront"].gateways["razorpay"]
    start = gateway.begin_setup(setup_order(Money(2340, "INR")))
    page = client.get(start.redirect_url)
    assert page.status_code == 200
    assert f'data-order="{start.gateway_reference}"' in page.text
    assert 'data-back="http://shop.test/back"' in page.text
    assert 'href="http://shop.test/cancel"' in page.text
    assert "https://checkout.razorpay.com" in page.headers["Content-Security-Policy"]
    assert "razorpay" not in client.get("/").headers["Content-Security-Policy"]


def test_a_page_that_is_forged_used_up_or_without_an_answer_says_so(
    app: Flask, client: FlaskClient, account: Account
) -> None:
    assert client.get("/x/razorpay/pay/order_1.forged").status_code == 404
    gateway = app.extensions["storefront"].gateways["razorpay"]
    start = gateway.begin_setup(setup_order())
    account.far.is_down = True
    assert client.get(start.redirect_url).status_code == 503
    account.far.is_down = False
    account.far.pay(start.gateway_reference)
    page = client.get(start.redirect_url)
    assert (page.status_code, page.location) == (303, "http://shop.test/back")


# ---------------------------------------------------------------------------- through the engine


@pytest.fixture
def shop(rt: Runtime, account: Account, clock: FrozenClock) -> Account:
    """A shop in rupees whose customers pay over Razorpay; the emulator goes by its clock."""
    account.far.now = clock.now
    make.make_shop(rt, currency="INR")
    return account


def sign_up(rt: Runtime, account: Account, amount_minor: int = 260_000) -> None:
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=amount_minor, currency="INR")
    key = begin(rt, plan)
    agreed = Agreement(quote_hash(rt, key), "I agree.", "renewal-1", "192.0.2.1", "UA")
    back = f"http://localhost/checkout/{key}/finish"
    place_order(rt, key, agreement=agreed, gateway="razorpay", return_url=back, cancel_url=back)
    [name] = [each["id"] for each in account.far.orders.values()]
    account.far.pay(name)
    assert finish_checkout(rt, key).outcome is Outcome.DONE


def renew(rt: Runtime, clock: FrozenClock) -> None:
    due = only(rt, Subscription).anchor_on
    clock.advance(days=(due - rt.today()).days)
    run_renewals(rt)


def latest(rt: Runtime) -> ChargeAttempt:
    table = ChargeAttempt.__table__
    found = rt.session.execute(sa.select(table).order_by(table.c.id.desc()).limit(1)).one()
    rt.session.rollback()
    return found  # type: ignore[return-value]


def test_a_renewal_is_announced_debited_late_and_brings_its_box_only_then(
    rt: Runtime, shop: Account, clock: FrozenClock
) -> None:
    """G-25 and G-17, from sign-up to the box of the second period."""
    sign_up(rt, shop)
    boxes = count(rt, Box)
    assert (boxes, only(rt, PaymentMethod).limit_minor) == (1, MOST_WITHOUT_CUSTOMER)
    renew(rt, clock)
    assert latest(rt).state == "planned"
    deliver_due(rt, partial(compose, rt))
    clock.advance(hours=24)
    assert send_planned(rt).pending == 0
    clock.advance(hours=1)
    assert send_planned(rt).pending == 1
    clock.advance(hours=24)
    look_up_open(rt)
    assert (latest(rt).state, count(rt, Box)) == ("pending", boxes)
    clock.advance(hours=2)
    look_up_open(rt)
    assert (latest(rt).state, count(rt, Box)) == ("succeeded", boxes + 1)
    assert shop.far.taken(latest(rt).public_id) == 1
    assert broken(rt.session) == {}


@pytest.mark.parametrize(("what", "action"), [(SOFT, "retry"), (HARD, "last_action")])
def test_a_late_debit_that_fails_begins_the_chase(
    rt: Runtime, shop: Account, clock: FrozenClock, what: str, action: str
) -> None:
    """G-18."""
    sign_up(rt, shop)
    for token in shop.far.tokens.values():
        token["what"] = what
    renew(rt, clock)
    deliver_due(rt, partial(compose, rt))
    clock.advance(hours=25)
    send_planned(rt)
    clock.advance(hours=26)
    look_up_open(rt)
    assert only(rt, DunningCase).next_action == action
    assert only(rt, Subscription).state == SubscriptionState.PAST_DUE
    assert broken(rt.session) == {}


def test_more_than_fifteen_thousand_rupees_is_asked_for_and_never_debited(
    rt: Runtime, shop: Account, clock: FrozenClock
) -> None:
    """G-26."""
    sign_up(rt, shop, amount_minor=1_600_000)
    renew(rt, clock)
    deliver_due(rt, partial(compose, rt))
    clock.advance(days=2)
    run_renewals(rt)
    assert (latest(rt).state, latest(rt).reason) == ("abandoned", "over_limit")
    assert only(rt, DunningCase).state == "open"
    assert not [path for _, path, _ in shop.far.calls if "recurring" in path]
    assert broken(rt.session) == {}


def waiting_for_its_customer(rt: Runtime, shop: Account, clock: FrozenClock) -> tuple[str, str]:
    """Return a charge whose customer's first try was refused, and its order at Razorpay."""
    sign_up(rt, shop)
    for token in shop.far.tokens.values():
        token["what"] = SOFT
    renew(rt, clock)
    deliver_due(rt, partial(compose, rt))
    clock.advance(hours=25)
    send_planned(rt)
    clock.advance(hours=26)
    look_up_open(rt)
    owed = rt.session.execute(sa.select(Invoice).where(Invoice.state == "open")).scalar_one()
    assert pay_now(rt, owed.payer_id, owed.public_id) is Paid.ACTION
    [name] = [key for key, one in shop.far.orders.items() if one["receipt"] == reference(rt)]
    shop.far.fail(name)
    look_up(rt, latest(rt).id)
    assert latest(rt).state == "declined"
    return reference(rt), name


def reference(rt: Runtime) -> str:
    return latest(rt).public_id


def test_who_pays_in_a_window_left_open_after_a_refusal_is_not_charged_unseen(
    rt: Runtime, shop: Account, clock: FrozenClock
) -> None:
    charge, order_name = waiting_for_its_customer(rt, shop, clock)
    shop.far.pay(order_name)
    # Back from the window, the page asks what became of it.
    look_up(rt, latest(rt).id)
    assert shop.far.taken(charge) == 0


def test_a_message_about_a_refused_charge_takes_nothing_for_it(
    rt: Runtime, shop: Account, clock: FrozenClock
) -> None:
    charge, order_name = waiting_for_its_customer(rt, shop, clock)
    paid = shop.far.pay(order_name)
    headers, raw = shop.far.message("payment.authorized", "payment", paid)
    received = webhooks.receive(rt, "razorpay", headers, raw, claims=True)
    assert received.event is not None
    webhooks.apply_claimed(rt, received.event)
    assert (shop.far.taken(charge), latest(rt).state) == (0, "declined")
    # Whoever lets it happen later takes nothing either, and the hold lapses.
    shop.gateway.lookup(charge)
    assert shop.far.taken(charge) == 0
