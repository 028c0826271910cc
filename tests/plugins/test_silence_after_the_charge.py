"""A gateway that took the money and then falls silent never counts as one that did nothing.

Adapters ask several calls for one charge. Only what was said before the call that moves money
may say "not done" (``NOT_DONE``), and only "nothing is listed" may say "it knows nothing".
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.domain.gateways import NOT_DONE
from storefront.hooks import AnswerStatus, ChargeOrder, Http, HttpAnswer, HttpError
from storefront.testing.clock import FrozenClock
from storefront.testing.gateway_orders import order, setup_order
from storefront_authorize_net.gateway import AuthorizeNetGateway
from storefront_paypal.api import Silent
from storefront_razorpay.gateway import RazorpayGateway
from tests.emulators import authorize_net as anet
from tests.emulators import razorpay
from tests.emulators.paypal import CONFIRM, SLOW, PayPal
from tests.emulators.paypal_account import Account, opened
from tests.emulators.serving import served

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
_S = AnswerStatus


class Falters:
    """A client over which nothing more goes well once a call to ``after`` went through."""

    def __init__(self, http: Http, after: str, how: int | None) -> None:
        self._http, self._after, self._how = http, after, how
        self._is_silent = False

    def request(self, method: str, path: str, **parts: Any) -> HttpAnswer:
        if self._is_silent:
            if self._how is None:
                raise HttpError("nobody listens", is_sent=False)
            return HttpAnswer(self._how, {}, b"{}")
        try:
            return self._http.request(method, path, **parts)
        finally:
            self._is_silent = method == "POST" and path.endswith(self._after)


@pytest.fixture
def far() -> razorpay.Razorpay:
    return razorpay.Razorpay(now=lambda: NOW, debits_at_once=True)


@pytest.fixture
def http(far: razorpay.Razorpay) -> Iterator[ServiceHttp]:
    with served(far.app) as address:
        http = ServiceHttp(address)
        yield http
        http.close()


def over(http: Http) -> RazorpayGateway:
    return RazorpayGateway(
        http,
        account=razorpay.ACCOUNT,
        key_id=razorpay.KEY_ID,
        secret=razorpay.SECRET,
        webhook_secret=razorpay.WEBHOOK,
        now=lambda: NOW,
    )


@pytest.mark.parametrize("how", [429, 401, None])
def test_a_debit_that_was_asked_for_is_not_undone_by_a_look_that_fails(
    far: razorpay.Razorpay, http: ServiceHttp, how: int | None
) -> None:
    asked = order(far.store(), 2340, "INR", notified_at=NOW - timedelta(hours=25))
    answer = over(Falters(http, "/create/recurring", how)).charge(asked)
    assert far.taken(asked.reference) == 1
    assert answer.status is _S.UNKNOWN
    assert answer.reason not in NOT_DONE


@pytest.mark.parametrize("how", [429, 401, None])
def test_a_payment_that_was_captured_is_not_undone_by_a_look_that_fails(
    far: razorpay.Razorpay, http: ServiceHttp, how: int | None
) -> None:
    due = order("", 2340, "INR").amount
    wish = setup_order(due)
    start = over(http).begin_setup(wish)
    far.pay(start.gateway_reference)
    method = over(http).finish_setup(wish.reference, {}, start.gateway_reference).method
    assert method is not None
    asked = order(method.token, 2340, "INR", on_session=True, return_url="http://shop.test/")
    answer = over(Falters(http, "/capture", how)).charge(asked)
    assert far.taken(asked.reference) == 1
    assert answer.status is _S.UNKNOWN
    assert answer.reason not in NOT_DONE
    found = over(http).lookup(asked.reference)
    assert found is not None
    assert found.status is _S.SUCCEEDED


def test_a_debit_in_a_state_nobody_told_us_of_is_no_debit_that_never_was(
    far: razorpay.Razorpay, http: ServiceHttp
) -> None:
    asked = order(far.store(), 2340, "INR", notified_at=NOW - timedelta(hours=25))
    over(http).charge(asked)
    made = next(each for each in far.payments.values() if each["order_id"] == far_order(far, asked))
    made["status"] = "on_its_way"
    found = over(http).lookup(asked.reference)
    assert found is not None
    assert found.status is _S.PENDING


def far_order(far: razorpay.Razorpay, asked: ChargeOrder) -> str:
    return next(key for key, one in far.orders.items() if one["receipt"] == asked.reference)


def test_before_anything_was_asked_a_refusal_of_our_key_still_says_so(
    far: razorpay.Razorpay, http: ServiceHttp
) -> None:
    far.status = 429
    asked = order("cust_1/token_1/pay_1", 2340, "INR", notified_at=NOW - timedelta(hours=25))
    assert over(http).charge(asked).reason == "rate_limited"


# -------------------------------------------------------------------------------------- PayPal


@pytest.fixture
def paypal() -> Iterator[Account]:
    with opened(PayPal()) as account:
        yield account


def test_an_invoice_id_that_was_taken_is_not_undone_by_a_report_we_may_not_read(
    paypal: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    paypal.far.key_seconds = 0
    asked = paypal.order()
    paypal.far.faults[asked.token] = "lost"
    paypal.gateway.charge(asked)
    monkeypatch.setattr(
        paypal.http, "request", _forbids("/v1/reporting/transactions", paypal.http.request)
    )
    answer = paypal.another().charge(asked)
    assert paypal.far.taken(asked.reference) == 1
    assert answer.status is _S.UNKNOWN
    assert answer.reason not in NOT_DONE


def test_an_app_without_transaction_search_says_so_and_does_not_stop_all_charges(
    paypal: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = paypal.order()
    paypal.far.faults[asked.token] = "ignored"
    paypal.gateway.charge(asked)
    monkeypatch.setattr(
        paypal.http, "request", _forbids("/v1/reporting/transactions", paypal.http.request)
    )
    answer = paypal.another().lookup(asked.reference)
    assert answer is not None
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "no_transaction_search")
    assert answer.reason not in NOT_DONE
    with pytest.raises(Silent, match="no_transaction_search"):
        list(paypal.gateway.list_charges(NOW - timedelta(days=3)))


def _forbids(path: str, ask: Any) -> Any:
    def request(method: str, asked: str, **parts: Any) -> HttpAnswer:
        return HttpAnswer(403, {}, b"{}") if asked == path else ask(method, asked, **parts)

    return request


@pytest.mark.parametrize("event", ["T0200", "T1107"])
def test_another_row_of_the_report_with_our_invoice_id_hides_no_charge(
    paypal: Account, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """A conversion of currencies, or money a merchant gave back by hand at PayPal's."""
    paypal.far.key_seconds = 0
    asked = paypal.order()
    paypal.far.faults[asked.token] = "lost"
    paypal.gateway.charge(asked)
    ask = paypal.far._report

    def with_more(*given: Any, **named: Any) -> tuple[int, Any]:
        status, body = ask(*given, **named)
        for each in list(body["transaction_details"]):
            info = each["transaction_info"]
            if info.get("invoice_id") == asked.reference:
                other = {**info, "transaction_id": "8XX1", "transaction_event_code": event}
                body["transaction_details"].insert(0, {"transaction_info": other})
        return status, body

    monkeypatch.setattr(paypal.far, "_report", with_more)
    paypal.clock.advance(hours=4)
    found = paypal.another().lookup(asked.reference)
    assert found is not None
    assert found.status is _S.SUCCEEDED


def test_a_capture_that_waits_is_in_the_report_though_it_moved_no_money_yet(
    paypal: Account,
) -> None:
    asked = paypal.order(SLOW)
    paypal.far.faults[asked.token] = "lost"
    paypal.gateway.charge(asked)
    paypal.clock.advance(hours=4)
    found = paypal.another().lookup(asked.reference)
    assert found is not None
    assert found.status is _S.PENDING


@pytest.mark.parametrize("states", [("COMPLETED", "DECLINED"), ("DECLINED", "COMPLETED")])
def test_of_several_captures_of_an_order_the_one_that_took_money_counts(
    paypal: Account, states: tuple[str, str]
) -> None:
    asked = paypal.order()
    name = paypal.gateway.charge(asked).gateway_reference
    [number] = paypal.far.orders
    [capture] = paypal.far.orders[number]["purchase_units"][0]["payments"]["captures"]
    both = [{**capture, "status": state} for state in states]
    paypal.far.orders[number]["purchase_units"][0]["payments"]["captures"] = both
    found = paypal.another().lookup(asked.reference, number)
    assert found is not None
    assert (found.status, found.gateway_reference) == (_S.SUCCEEDED, name)


def test_a_wallet_without_money_at_the_taking_is_a_decline_and_is_not_tried_behind_its_owner(
    paypal: Account,
) -> None:
    """Otherwise nobody could pay the invoice another way, and each look would try again."""
    asked = paypal.present(CONFIRM)
    waits = paypal.gateway.charge(asked)
    paypal.far.answer(waits.gateway_reference, is_yes=True)
    paypal.far.refuses_taking = "INSTRUMENT_DECLINED"
    found = paypal.gateway.lookup(asked.reference, waits.gateway_reference)
    assert found is not None
    assert (found.status, found.gateway_reference) == (_S.DECLINED, waits.gateway_reference)
    paypal.far.refuses_taking = ""
    paypal.another().lookup(asked.reference, waits.gateway_reference)
    assert paypal.far.taken(asked.reference) == 0


# ------------------------------------------------------------------------------- Authorize.net


def test_what_is_listed_and_cannot_be_read_yet_is_not_unknown_to_authorize_net() -> None:
    far, clock = anet.AuthorizeNet(), FrozenClock(NOW)
    far.now = clock.now
    with served(far.app) as address:
        http = ServiceHttp(address)
        gateway = AuthorizeNetGateway(
            http, login=anet.LOGIN, key=anet.KEY, signature_key="0F" * 64, now=clock.now
        )
        asked = order(far.store(anet.GOOD), 2340, "USD")
        gateway.charge(asked)
        gateway._api.details = lambda _number: None  # type: ignore[method-assign]
        found = gateway.lookup(asked.reference)
        http.close()
    assert found is not None
    assert found.status is _S.UNKNOWN


def test_no_look_up_says_nothing_of_what_is_older_than_it_can_find(paypal: Account) -> None:
    asked = paypal.order()
    paypal.far.faults[asked.token] = "lost"
    paypal.gateway.charge(asked)
    paypal.clock.advance(seconds=paypal.gateway.capabilities.lookup_reach_seconds)
    found = paypal.another().lookup(asked.reference)
    assert found is not None
    assert found.status is _S.SUCCEEDED
    paypal.clock.advance(days=2)
    assert paypal.another().lookup(asked.reference) is None, "it was taken, and is not found"
