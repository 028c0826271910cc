"""What is special about PayPal: keys of unknown age, a report that lags, a yes at its own page."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    ChargeAnswer,
    DeclineKind,
    DisputeState,
    Money,
)
from storefront.plugins import load_plugins
from storefront.settings import Settings
from storefront.testing.clock import FrozenClock
from storefront.testing.gateway_orders import refund_of, setup_order
from tests.emulators.paypal import (
    CONFIRM,
    GOOD,
    MASTERCARD_02,
    SLOW,
    SOFT,
    VISA_02,
    PayPal,
)
from tests.emulators.paypal_account import NOW, Account, opened

_S = AnswerStatus


@pytest.fixture
def account() -> Iterator[Account]:
    with opened(PayPal()) as account:
        yield account


def found(answer: ChargeAnswer | None) -> ChargeAnswer:
    assert answer is not None
    return answer


# ------------------------------------------------- G-24: how long keys are kept is unknown


def test_it_declares_that_every_replay_is_looked_up_first(account: Account) -> None:
    can = account.gateway.capabilities
    assert (can.key_window_seconds, can.lookup_settle_seconds) == (0, 3 * 3600)


@pytest.mark.parametrize("later", [timedelta(hours=1), timedelta(hours=9), timedelta(days=3)])
def test_a_retry_after_the_key_was_forgotten_takes_nothing_more(
    account: Account, later: timedelta
) -> None:
    account.far.key_seconds = 0
    asked = account.order()
    account.far.faults[asked.token] = "lost"
    assert account.gateway.charge(asked).status is _S.UNKNOWN
    account.clock.set(NOW + later)
    again = account.another().charge(asked)
    assert (again.status, again.amount) == (_S.SUCCEEDED, asked.amount)
    assert account.far.taken(asked.reference) == 1


def test_a_taken_invoice_id_is_evidence_before_the_report_shows_the_charge(
    account: Account,
) -> None:
    account.far.key_seconds, account.far.lag = 0, timedelta(hours=3)
    asked = account.order()
    account.far.faults[asked.token] = "lost"
    account.gateway.charge(asked)
    early = account.another().charge(asked)
    assert (early.status, early.reason) == (_S.UNKNOWN, "duplicate_invoice")
    account.clock.advance(hours=3)
    assert account.another().charge(asked).status is _S.SUCCEEDED
    assert account.far.taken(asked.reference) == 1


def test_another_amount_under_a_taken_invoice_id_is_refused(account: Account) -> None:
    account.far.key_seconds = 0
    asked = account.order()
    account.gateway.charge(asked)
    dearer = replace(asked, amount=asked.amount + asked.amount)
    assert account.another().charge(dearer).reason == "key_reused"
    assert account.far.taken(asked.reference) == 1


def test_where_invoice_ids_may_repeat_only_the_look_up_stops_a_second_charge(
    account: Account,
) -> None:
    # A merchant can switch the check off in PayPal's settings. That is why the window is zero.
    account.far.key_seconds, account.far.blocks_duplicates = 0, False
    asked = account.order()
    account.far.faults[asked.token] = "lost"
    account.gateway.charge(asked)
    account.clock.advance(seconds=account.gateway.capabilities.lookup_settle_seconds)
    assert found(account.another().lookup(asked.reference)).status is _S.SUCCEEDED
    assert account.far.taken(asked.reference) == 1
    account.another().charge(asked)
    assert account.far.taken(asked.reference) == 2, "the emulator can be made to take twice"


def test_the_look_up_by_our_reference_lags_and_the_one_by_theirs_does_not(
    account: Account,
) -> None:
    account.far.lag = timedelta(hours=3)
    asked = account.order()
    answer = account.gateway.charge(asked)
    assert account.another().lookup(asked.reference) is None
    assert account.another().lookup(asked.reference, answer.gateway_reference) == answer
    account.clock.advance(hours=3)
    assert account.another().lookup(asked.reference) == answer


def test_a_report_that_is_later_than_promised_says_nothing(account: Account) -> None:
    account.far.lag = timedelta(hours=5)
    answer = found(account.gateway.lookup("att_nobody"))
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "report_late")


# ----------------------------------------------------------------------------------- the token


def test_eight_threads_fetch_one_token(account: Account) -> None:
    orders = [account.order() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = [each.status for each in pool.map(account.gateway.charge, orders)]
    assert answers == [_S.SUCCEEDED] * 8
    assert account.far.calls.count("POST /v1/oauth2/token") == 1


def test_a_token_is_renewed_before_it_ends(account: Account) -> None:
    account.gateway.lookup("att_nobody")
    account.clock.advance(seconds=32_400 - 59)
    account.gateway.lookup("att_nobody")
    assert account.far.calls.count("POST /v1/oauth2/token") == 2


def test_a_token_that_ended_early_is_renewed_once_and_the_call_repeated(
    account: Account,
) -> None:
    account.gateway.lookup("att_nobody")
    account.far.token = "another"
    asked = account.order()
    assert account.gateway.charge(asked).status is _S.SUCCEEDED
    assert account.far.taken(asked.reference) == 1


def test_a_refused_secret_takes_nothing_and_says_so(account: Account) -> None:
    answer = account.another(secret="wrong").charge(account.order())
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "unauthorized")


def test_an_account_that_may_not_take_money_is_no_decline_of_the_customers(
    account: Account,
) -> None:
    account.far.refuses = "PAYEE_ACCOUNT_RESTRICTED"
    answer = account.gateway.charge(account.order())
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "unauthorized")


# -------------------------------------------------------------------------- declines and waiting


@pytest.mark.parametrize(
    ("payer", "network", "kind"),
    [
        (MASTERCARD_02, "mastercard", DeclineKind.SOFT),
        (VISA_02, "visa", DeclineKind.ASK),
    ],
)
def test_advice_02_means_what_its_network_says(
    account: Account, payer: str, network: str, kind: DeclineKind
) -> None:
    # G-14: Mastercard: again after 72 hours. Visa: this payment must not be tried again.
    answer = account.gateway.charge(account.order(payer))
    assert (answer.status, answer.decline) == (_S.DECLINED, kind)
    assert (answer.network, answer.code) == (network, "advice_02")
    assert answer.reason == "insufficient_funds"


@pytest.mark.parametrize(
    ("issue", "kind", "reason"),
    [
        ("INSTRUMENT_DECLINED", DeclineKind.SOFT, "card_declined"),
        ("PAYER_ACCOUNT_LOCKED_OR_CLOSED", DeclineKind.HARD, "account_closed"),
        ("NEVER_HEARD_OF", DeclineKind.ASK, "never_heard_of"),
    ],
)
def test_a_refused_order_means_what_the_table_says_and_ask_if_it_says_nothing(
    account: Account, issue: str, kind: DeclineKind, reason: str
) -> None:
    account.far.refuses = issue
    answer = account.gateway.charge(account.order())
    assert (answer.status, answer.decline, answer.reason) == (_S.DECLINED, kind, reason)


def test_a_capture_that_waits_is_pending_until_it_is_not(account: Account) -> None:
    asked = account.order(SLOW)
    answer = account.gateway.charge(asked)
    assert (answer.status, answer.reason) == (_S.PENDING, "pending_review")
    account.far.captures[answer.gateway_reference]["status"] = "COMPLETED"
    later = found(account.another().lookup(asked.reference, answer.gateway_reference))
    assert (later.status, later.amount) == (_S.SUCCEEDED, asked.amount)


def test_an_approved_order_is_taken_by_the_look_up_and_once(account: Account) -> None:
    asked = account.present(CONFIRM)
    answer = account.gateway.charge(asked)
    account.far.answer(answer.gateway_reference, is_yes=True)
    assert account.far.taken(asked.reference) == 0
    account.far.key_seconds = 0
    for _ in range(3):
        later = account.another().lookup(asked.reference, answer.gateway_reference)
        assert found(later).status is _S.SUCCEEDED
    assert account.far.taken(asked.reference) == 1


def test_a_cancelled_order_is_never_taken_though_its_customer_says_yes(
    account: Account,
) -> None:
    asked = account.present(CONFIRM)
    number = account.gateway.charge(asked).gateway_reference
    assert account.gateway.cancel(asked.reference, number) is CancelAnswer.CANCELLED
    account.far.answer(number, is_yes=True)
    later = found(account.another().lookup(asked.reference, number))
    assert (later.status, later.reason) == (_S.DECLINED, "canceled")
    assert account.far.taken(asked.reference) == 0


def test_a_cancel_that_paypal_refuses_is_unknown_and_the_charge_stays_open(
    account: Account,
) -> None:
    account.far.patches_waiting = False
    asked = account.present(CONFIRM)
    number = account.gateway.charge(asked).gateway_reference
    assert account.gateway.cancel(asked.reference, number) is CancelAnswer.UNKNOWN
    account.far.answer(number, is_yes=True)
    # Approved, it can be changed; and no cancel takes what its customer has just approved.
    assert account.gateway.cancel(asked.reference, number) is CancelAnswer.CANCELLED
    account.gateway.lookup(asked.reference, number)
    assert account.far.taken(asked.reference) == 0


def test_cancelling_after_the_yes_was_taken_says_so(account: Account) -> None:
    asked = account.present(CONFIRM)
    number = account.gateway.charge(asked).gateway_reference
    account.far.answer(number, is_yes=True)
    account.gateway.lookup(asked.reference, number)
    assert account.another().cancel(asked.reference, number) is CancelAnswer.SUCCEEDED


def test_a_charge_that_is_taken_while_it_is_cancelled_is_not_called_cancelled(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread read the order before it was marked, and takes it after."""
    asked = account.present(CONFIRM)
    number = account.gateway.charge(asked).gateway_reference
    account.far.answer(number, is_yes=True)
    mark = account.gateway._orders._mark

    def overtaken(reference: str, order: str) -> None:
        mark(reference, order)
        account.far._take_order({}, order)

    monkeypatch.setattr(account.gateway._orders, "_mark", overtaken)
    assert account.gateway.cancel(asked.reference, number) is CancelAnswer.SUCCEEDED


def test_a_renewal_says_that_nobody_is_there(account: Account) -> None:
    account.gateway.charge(account.order(minor=1200, invoice="inv_1"))
    [sent] = [body for body in account.far.bodies if "intent" in body]
    wallet = sent["payment_source"]["paypal"]
    assert wallet["stored_credential"]["payment_initiator"] == "MERCHANT"
    assert "experience_context" not in wallet
    assert sent["purchase_units"][0]["custom_id"].endswith(" inv_1")


# ------------------------------------------------------------------------------------- set-up


def test_a_wallet_is_known_by_a_masked_address(account: Account) -> None:
    stored = account.gateway.read_method(account.far.store(GOOD))
    assert stored is not None
    assert (stored.kind, stored.label) == ("paypal", "g…@example.org")
    assert (stored.last4, stored.exp_year) == ("", None)


def test_the_return_visit_finds_the_set_up_in_another_process(account: Account) -> None:
    asked = setup_order()
    start = account.gateway.begin_setup(asked)
    account.far.approve(start.gateway_reference, GOOD)
    visit = {"approval_token_id": start.gateway_reference}
    assert account.another().finish_setup(asked.reference, visit).status is _S.SUCCEEDED


def test_nobody_finishes_with_the_approval_of_somebody_else(account: Account) -> None:
    mine, theirs = setup_order(), setup_order()
    account.gateway.begin_setup(mine)
    start = account.gateway.begin_setup(theirs)
    account.far.approve(start.gateway_reference, GOOD)
    visit = {"approval_token_id": start.gateway_reference}
    assert account.another().finish_setup(mine.reference, visit).status is _S.UNKNOWN


def test_a_set_up_exchanged_before_gives_the_same_wallet_after_the_key_was_forgotten(
    account: Account,
) -> None:
    asked = setup_order()
    start = account.gateway.begin_setup(asked)
    account.far.approve(start.gateway_reference, GOOD)
    first = account.gateway.finish_setup(asked.reference, {})
    account.clock.advance(days=1)
    assert account.gateway.finish_setup(asked.reference, {}) == first
    assert len(account.far.wallets) == 1


def test_without_its_keys_the_plugin_is_off_and_names_them(
    tmp_path: Path, clock: FrozenClock
) -> None:
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, {})
    assert "STOREFRONT_PAYPAL_WEBHOOK_ID" in hooks.off["paypal"]
    given = {f"STOREFRONT_PAYPAL_{name}": "x" for name in ("CLIENT_ID", "CLIENT_SECRET")}
    environ = {**given, "STOREFRONT_PAYPAL_WEBHOOK_ID": "x"}
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, environ)
    assert hooks.gateways["paypal"].account == "x"
    assert hooks.gateways["paypal"].capabilities.moves_money
    environ["STOREFRONT_PAYPAL_API_URL"] = "https://api-m.sandbox.paypal.com"
    hooks = load_plugins(Settings(environment="test", data_dir=tmp_path), clock, environ)
    assert not hooks.gateways["paypal"].capabilities.moves_money


# ------------------------------------------------------------------------ refunds and disputes


def test_a_refund_whose_key_was_forgotten_is_not_sent_again(account: Account) -> None:
    account.far.key_seconds, account.far.lag = 0, timedelta(hours=3)
    asked = account.order(minor=1000)
    back = refund_of(asked, account.gateway.charge(asked), 400)
    first = account.gateway.refund(back)
    assert account.another().refund(back) == first
    assert account.another().lookup_refund(back.reference, "", back.gateway_reference) == first
    assert len(account.far.refunds) == 1


def test_a_declined_charge_has_nothing_to_give_back(account: Account) -> None:
    asked = account.order(SOFT, 1000)
    back = refund_of(asked, account.gateway.charge(asked), 400)
    assert account.gateway.refund(back).reason == "not_taken"


def test_the_list_says_what_was_given_back_and_leaves_other_programs_out(
    account: Account,
) -> None:
    asked = account.order(minor=1000)
    account.gateway.refund(refund_of(asked, account.gateway.charge(asked), 400))
    account.gateway.charge(replace(account.order(), reference="SHOP-2027-17"))
    account.clock.advance(hours=3)
    [listed] = account.gateway.list_charges(NOW)
    assert (listed.reference, listed.refunded) == (asked.reference, Money(400, "EUR"))


def test_an_inquiry_is_open_and_takes_no_money_yet(account: Account) -> None:
    asked = account.order()
    answer = account.gateway.charge(asked)
    account.far.open_dispute(answer.gateway_reference, "INQUIRY")
    [opened] = account.gateway.disputes(asked.reference, answer.gateway_reference)
    assert (opened.state, opened.amount) == (DisputeState.OPEN, Money(0, "EUR"))
    assert opened.answer_by == NOW + timedelta(days=10)
