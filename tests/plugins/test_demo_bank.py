"""The demo bank: each card does what its table says, and the books stay true."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from storefront.hooks import AnswerStatus, Money, RefundOrder, WebhookError
from storefront.testing.clock import FrozenClock
from storefront.testing.demo_gateway import demo_gateway
from storefront.testing.gateway_orders import order, present, setup_order
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.cards import CARDS, OK, PENDING
from storefront_demo_gateway.gateway import TOLERANCE, sign_webhook
from storefront_demo_gateway.quick import QuickBank
from storefront_demo_gateway.records import AnyBank
from storefront_demo_gateway.remote import RemoteBank

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def bank(slept: list[float]) -> Bank:
    return Bank(sleep=slept.append)


@pytest.mark.parametrize(
    ("last4", "saved", "on_session", "renewal"),
    [
        ("4242", "succeeded", "succeeded", "succeeded"),
        ("3220", "action_required", "action_required", "action_required"),
        ("0002", "card_declined", "card_declined", "card_declined"),
        ("9995", "succeeded", "insufficient_funds", "insufficient_funds"),
        ("0069", "expired_card", "expired_card", "expired_card"),
        ("0119", "succeeded", "succeeded", "succeeded"),
        ("0341", "succeeded", "succeeded", "card_declined"),
        ("0408", "succeeded", "unknown", "unknown"),
    ],
)
def test_each_card_does_what_its_table_says(
    bank: Bank, last4: str, saved: str, on_session: str, renewal: str
) -> None:
    gateway, asked = demo_gateway(bank), setup_order()
    page = gateway.begin_setup(asked).redirect_url or ""
    bank.choose(page.rpartition("/")[2], last4)
    answers: list[Any] = [
        gateway.finish_setup(asked.reference, {}),
        gateway.charge(present(bank.token_for(last4))),
        gateway.charge(order(bank.token_for(last4))),
    ]
    told = [each.reason if each.decline else each.status.value for each in answers]
    assert told == [saved, on_session, renewal]


def test_only_card_0119_lets_the_customer_wait(bank: Bank, slept: list[float]) -> None:
    for last4 in CARDS:
        demo_gateway(bank).charge(present(bank.token_for(last4)))
    assert slept == [12]


def test_a_card_that_was_confirmed_once_renews_alone(bank: Bank) -> None:
    gateway, token = demo_gateway(bank), bank.token_for("3220")
    first = gateway.charge(present(token))
    bank.confirm_charge(first.gateway_reference, True)
    assert gateway.charge(order(token)).status is AnswerStatus.SUCCEEDED


def test_a_card_saved_before_a_charge_is_judged_by_the_charge(bank: Bank) -> None:
    gateway, asked = demo_gateway(bank), setup_order(Money(2340, "EUR"))
    page = gateway.begin_setup(asked).redirect_url or ""
    bank.choose(page.rpartition("/")[2], "0002")
    method = gateway.finish_setup(asked.reference, {}).method
    assert method is not None
    assert gateway.charge(present(method.token)).reason == "card_declined"


def test_choosing_twice_stores_one_card(bank: Bank) -> None:
    gateway, asked = demo_gateway(bank), setup_order()
    key = (gateway.begin_setup(asked).redirect_url or "").rpartition("/")[2]
    assert bank.choose(key, "4242").token == bank.choose(key, "0341").token


def test_two_shoppers_with_the_same_demo_card_do_not_share_a_fingerprint(bank: Bank) -> None:
    gateway, prints = demo_gateway(bank), set()
    for _ in range(2):
        asked = setup_order()
        page = gateway.begin_setup(asked).redirect_url or ""
        bank.choose(page.rpartition("/")[2], "4242")
        method = gateway.finish_setup(asked.reference, {}).method
        assert method is not None
        prints.add(method.fingerprint)
    assert len(prints) == 2


def test_a_script_is_played_in_order_and_then_the_card_is_itself_again(bank: Bank) -> None:
    gateway, token = demo_gateway(bank), bank.token_for("4242")
    bank.script(token, [PENDING, CARDS["9995"].renewal])
    asked = [order(token) for _ in range(3)]
    told = [gateway.charge(each).status.value for each in asked]
    assert told == ["pending", "declined", "succeeded"]
    bank.settle(asked[0].reference, OK)
    assert bank.executed_count() == 2


def test_the_witness_sees_two_charges_for_one_invoice(bank: Bank) -> None:
    gateway, asked = demo_gateway(bank), order(bank.token_for("4242"))
    gateway.charge(asked)
    assert bank.double_charges() == []
    gateway.charge(replace(asked, reference="att_again"))
    assert bank.double_charges() == [[asked.invoice, 2]]
    assert bank.executed_total("EUR") == 2 * asked.amount.minor


def test_a_charge_the_shop_never_wrote_down_is_refused_and_remembered() -> None:
    written = {"att_written"}
    bank = Bank(intent_check=written.__contains__)
    gateway, token = demo_gateway(bank), bank.token_for("4242")
    assert gateway.charge(order(token, reference="att_written")).status is AnswerStatus.SUCCEEDED
    refused = gateway.charge(order(token, reference="att_made_up"))
    assert (refused.status, refused.reason) == (AnswerStatus.UNKNOWN, "intent_missing")
    assert bank.violations() == ["att_made_up"]
    assert bank.executed_count() == 1


def test_only_a_known_fault_can_be_switched_on(bank: Bank) -> None:
    with pytest.raises(ValueError, match="no fault 'rain'"):
        bank.set_fault("rain")


def test_look_up_can_be_down_while_charges_go_through(bank: Bank) -> None:
    gateway, asked = demo_gateway(bank), order(bank.token_for("4242"))
    bank.set_fault("lookup_down")
    assert gateway.charge(asked).status is AnswerStatus.SUCCEEDED
    found = gateway.lookup(asked.reference)
    assert found is not None
    assert found.status is AnswerStatus.UNKNOWN


def test_the_books_survive_sigkill_of_the_bank_process(tmp_path: Path) -> None:
    bank_file = tmp_path / "bank.db"
    asked = order("demo_4242_x")
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process, far = start_server(bank_file)
        gateway = demo_gateway(cast(AnyBank, far))
        assert gateway.charge(asked).status is AnswerStatus.SUCCEEDED
        os.kill(process.pid, kill)
        process.communicate(timeout=10)
        assert gateway.charge(order("demo_4242_x")).status is AnswerStatus.UNKNOWN
    assert Bank(str(bank_file)).executed_count() == 1


def start_server(bank_file: Path) -> tuple[subprocess.Popen[str], RemoteBank]:
    module = "storefront_demo_gateway.server"
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", "0", "--db", str(bank_file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "plugins"])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, RemoteBank(process.stdout.readline().strip())


def test_the_quick_bank_counts_like_the_slow_one() -> None:
    quick = QuickBank()
    gateway, asked = demo_gateway(cast(AnyBank, quick)), order("demo_4242_x")
    answers = [gateway.charge(each) for each in (asked, asked, replace(asked, reference="att_b"))]
    assert {each.status for each in answers} == {AnswerStatus.SUCCEEDED}
    assert (quick.executed_count(), quick.double_charges()) == (2, [[asked.invoice, 2]])
    back = RefundOrder("ref_1", asked.reference, answers[0].gateway_reference, asked.amount)
    assert gateway.refund(back).status is AnswerStatus.SUCCEEDED


# ------------------------------------------------------------------------------------- messages

RAW = (
    b'{"id": "evt_1", "type": "charge.succeeded", "reference": "att_1", "account": "demo",'
    b' "occurred_at": "2027-03-02T08:59:00+00:00"}'
)


def test_a_signed_message_is_read() -> None:
    gateway = demo_gateway(now=lambda: NOW)
    event = gateway.parse_webhook(sign_webhook("demo", NOW, RAW), RAW)
    assert (event.id, event.reference, event.account) == ("evt_1", "att_1", "demo")


@pytest.mark.parametrize(
    ("secret", "late", "raw", "account", "code"),
    [
        ("other", 0, RAW, "demo", "bad_signature"),
        ("demo", TOLERANCE + 1, RAW, "demo", "too_old"),
        ("demo", -TOLERANCE - 1, RAW, "demo", "too_old"),
        ("demo", 0, b"[]", "demo", "unreadable"),
        ("demo", 0, RAW, "live", "other_account"),
    ],
)
def test_a_message_that_is_not_for_us_is_refused_with_a_code(
    secret: str, late: int, raw: bytes, account: str, code: str
) -> None:
    clock = FrozenClock(NOW + timedelta(seconds=late))
    gateway = demo_gateway(now=clock.now, account=account)
    with pytest.raises(WebhookError, match=code):
        gateway.parse_webhook(sign_webhook(secret, NOW, raw), raw)


def test_a_changed_body_breaks_the_signature() -> None:
    gateway = demo_gateway(now=lambda: NOW)
    with pytest.raises(WebhookError, match="bad_signature"):
        gateway.parse_webhook(sign_webhook("demo", NOW, RAW), RAW.replace(b"att_1", b"att_2"))
