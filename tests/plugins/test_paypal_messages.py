"""Messages of PayPal: signed by certificate over the raw body, fetched from one place only."""

from collections.abc import Iterator

import pytest

from storefront.hooks import EventAbout, WebhookError
from tests.emulators.paypal import WEBHOOK, PayPal
from tests.emulators.paypal_account import NOW, Account, opened
from tests.emulators.paypal_certificate import sign


@pytest.fixture
def account() -> Iterator[Account]:
    with opened(PayPal()) as account:
        yield account


def event(name: str, resource: dict[str, object]) -> dict[str, object]:
    created = "2027-03-02T09:00:00.000Z"
    return {"id": "WH-1", "event_type": name, "create_time": created, "resource": resource}


@pytest.mark.parametrize(
    ("name", "resource", "expected"),
    [
        (
            "PAYMENT.CAPTURE.REFUNDED",
            {"id": "R1", "invoice_id": "ref_1"},
            (EventAbout.REFUND, "ref_1", "R1"),
        ),
        (
            "CHECKOUT.ORDER.APPROVED",
            {"id": "O1", "purchase_units": [{"invoice_id": "att_1"}]},
            (EventAbout.CHARGE, "att_1", "O1"),
        ),
        (
            "CUSTOMER.DISPUTE.CREATED",
            {"disputed_transactions": [{"seller_transaction_id": "C1"}]},
            (EventAbout.DISPUTE, "", "C1"),
        ),
        ("VAULT.PAYMENT-TOKEN.DELETED", {"id": "pt1"}, (EventAbout.METHOD, "", "pt1")),
        ("BILLING.PLAN.CREATED", {"id": "P1"}, (EventAbout.OTHER, "", "P1")),
    ],
)
def test_a_message_names_what_changed(
    account: Account,
    name: str,
    resource: dict[str, object],
    expected: tuple[EventAbout, str, str],
) -> None:
    read = account.gateway.parse_webhook(*account.far.message(event(name, resource)))
    assert (read.about, read.reference, read.gateway_reference) == expected


def test_the_certificate_is_fetched_once(account: Account) -> None:
    for _ in range(3):
        account.gateway.parse_webhook(*account.far.message(event("X", {})))
    assert len([call for call in account.far.calls if "certs" in call]) == 1


def test_a_certificate_from_elsewhere_is_never_fetched(account: Account) -> None:
    headers, raw = account.far.message(event("X", {}))
    places = ("https://evil.example", "https://api.paypal.com.evil.example", account.address)
    for place in places:
        forged = {**headers, **sign("tx", NOW.isoformat(), WEBHOOK, raw, place)}
        with pytest.raises(WebhookError, match="bad_signature"):
            account.gateway.parse_webhook(forged, raw)
    assert account.far.calls == []


def test_a_certificate_that_cannot_be_had_is_no_forgery(account: Account) -> None:
    message = account.far.message(event("X", {}))
    account.far.is_down = True
    with pytest.raises(WebhookError, match="unreachable"):
        account.gateway.parse_webhook(*message)


def test_a_message_to_another_webhook_is_refused(account: Account) -> None:
    _, raw = account.far.message(event("X", {}))
    headers = sign("tx", NOW.isoformat(), "another", raw)
    with pytest.raises(WebhookError, match="bad_signature"):
        account.gateway.parse_webhook(headers, raw)


def test_a_message_may_be_days_late_and_not_weeks(account: Account) -> None:
    message = account.far.message(event("X", {}))
    account.clock.advance(days=3)
    assert account.gateway.parse_webhook(*message).id == "WH-1"
    account.clock.advance(days=2)
    with pytest.raises(WebhookError, match="too_old"):
        account.gateway.parse_webhook(*message)
