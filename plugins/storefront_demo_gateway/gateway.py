"""The demo bank behind the gateway contract."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    Capabilities,
    ChargeAnswer,
    ChargeOrder,
    ChargeRecord,
    DeclineKind,
    DisputeRecord,
    DisputeState,
    EventAbout,
    GatewayEvent,
    Money,
    RefundAnswer,
    RefundOrder,
    SetupAnswer,
    SetupOrder,
    SetupStart,
    VaultedMethod,
    WebhookError,
)
from storefront_demo_gateway.cards import card_of
from storefront_demo_gateway.clerk import Clerk, over_http
from storefront_demo_gateway.records import AnswerLost, AnyBank, BankCharge, BankDispute

_S = AnswerStatus
_DAY = 24 * 3600
#: How far a message's time may be from ours, in seconds.
TOLERANCE = 300
SIGNATURE = "demo-signature"


class DemoGateway:
    """``bank`` is in this process or behind a socket; the contract does not see which."""

    name = "demo"
    capabilities = Capabilities(
        key_window_seconds=_DAY,
        lookup_settle_seconds=0,
        has_lookup=True,
        minimums={"EUR": 50, "USD": 50, "GBP": 30, "JPY": 50},
        mode="redirect",
        max_in_flight=50,
        per_second=None,
        moves_money=False,
        descriptor_length=22,
        decline_meanings={
            ("", "card_declined"): DeclineKind.SOFT,
            ("", "insufficient_funds"): DeclineKind.SOFT,
            ("", "expired_card"): DeclineKind.HARD,
            ("", "stolen_card"): DeclineKind.HARD,
            ("", "no_such_method"): DeclineKind.HARD,
        },
    )

    def __init__(
        self,
        bank: AnyBank,
        *,
        now: Callable[[], datetime],
        page: Callable[[str, str], str] = lambda kind, key: f"/x/demo-gateway/{kind}/{key}",
        account: str = "demo",
        webhook_secret: str = "demo",  # noqa: S107 - it guards play money
    ) -> None:
        """``page(kind, key)`` is the address of a page, ``kind`` being ``pay`` or ``confirm``."""
        self.bank, self.account = bank, account
        self._now, self._page, self._secret = now, page, webhook_secret

    # ------------------------------------------------------------------------------- set-up

    def begin_setup(self, order: SetupOrder) -> SetupStart:
        """Raises ``AnswerLost`` if the bank does not answer: nothing is stored then."""
        due = order.amount if order.amount is not None and order.amount.minor > 0 else None
        setup = self.bank.open_setup(
            order.reference,
            {
                "return_url": order.return_url,
                "cancel_url": order.cancel_url,
                "amount_minor": due.minor if due else None,
                "currency": due.currency if due else "",
                "merchant": order.merchant,
                "description": order.description,
            },
        )
        return SetupStart(redirect_url=self._page("pay", setup.page_key))

    def finish_setup(
        self, reference: str, params: Mapping[str, str], gateway_reference: str = ""
    ) -> SetupAnswer:
        try:
            setup = self.bank.setup_of(reference)
        except AnswerLost:
            return SetupAnswer(_S.UNKNOWN, reason="timeout")
        if setup is None:
            return SetupAnswer(_S.UNKNOWN, reason="no_such_setup")
        status = AnswerStatus(setup.status)
        return SetupAnswer(
            status,
            method=_method(setup.token) if status is _S.SUCCEEDED else None,
            decline=DeclineKind(setup.decline) if setup.decline else None,
            reason=setup.reason,
        )

    # ------------------------------------------------------------------------------- charges

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        details = {
            "token": order.token,
            "amount_minor": order.amount.minor,
            "currency": order.amount.currency,
            "on_session": order.on_session,
            "return_url": order.return_url,
            "merchant": order.description,
            "invoice": order.invoice,
        }
        try:
            charge = self.bank.charge(order.reference, details)
        except AnswerLost:
            return ChargeAnswer(_S.UNKNOWN, reason="timeout")
        except ValueError as error:
            return ChargeAnswer(_S.UNKNOWN, reason=str(error))
        return self._answer(charge)

    def lookup(self, reference: str, gateway_reference: str = "") -> ChargeAnswer | None:
        try:
            charge = self.bank.charge_of(reference)
        except AnswerLost:
            return ChargeAnswer(_S.UNKNOWN, reason="timeout")
        return self._answer(charge) if charge is not None else None

    def cancel(self, reference: str, gateway_reference: str = "") -> CancelAnswer:
        try:
            charge = self.bank.cancel(reference)
        except AnswerLost:
            return CancelAnswer.UNKNOWN
        if charge is None or charge.status == "pending":
            return CancelAnswer.UNKNOWN
        return CancelAnswer.SUCCEEDED if charge.status == "succeeded" else CancelAnswer.CANCELLED

    def _answer(self, charge: BankCharge) -> ChargeAnswer:
        status = AnswerStatus(charge.status)
        taken = status is _S.SUCCEEDED
        # Without a way back nobody is there to confirm anything.
        waits = status is _S.ACTION_REQUIRED and charge.return_url
        return ChargeAnswer(
            status,
            gateway_reference=charge.gateway_reference,
            decline=DeclineKind(charge.decline) if charge.decline else None,
            reason=charge.reason,
            action_url=self._page("confirm", charge.gateway_reference) if waits else None,
            amount=Money(charge.amount_minor, charge.currency) if taken else None,
        )

    # ------------------------------------------------------------- refunds, methods, the rest

    def refund(self, order: RefundOrder) -> RefundAnswer:
        details = {
            "charge_reference": order.charge_reference,
            "amount_minor": order.amount.minor,
            "currency": order.amount.currency,
        }
        try:
            refund = self.bank.refund(order.reference, details)
        except AnswerLost:
            return RefundAnswer(_S.UNKNOWN, reason="timeout")
        except ValueError as error:
            return RefundAnswer(_S.UNKNOWN, reason=str(error))
        return RefundAnswer(AnswerStatus(refund.status), refund.gateway_reference, refund.reason)

    def lookup_refund(
        self, reference: str, gateway_reference: str = "", charge: str = ""
    ) -> RefundAnswer | None:
        try:
            refund = self.bank.refund_of(reference)
        except AnswerLost:
            return RefundAnswer(_S.UNKNOWN, reason="timeout")
        if refund is None:
            return None
        return RefundAnswer(AnswerStatus(refund.status), refund.gateway_reference, refund.reason)

    def detach(self, token: str) -> bool:
        try:
            return self.bank.detach(token)
        except AnswerLost:
            return False

    def read_method(self, token: str, gateway_customer: str = "") -> VaultedMethod | None:
        """Raises ``AnswerLost`` if the bank does not answer."""
        return None if self.bank.is_gone(token) else _method(token)

    def disputes(self, reference: str, gateway_reference: str = "") -> Sequence[DisputeRecord]:
        """Raises ``AnswerLost`` if the bank does not answer: none known is not none there."""
        return [_dispute(each) for each in self.bank.disputes_of(reference)]

    def list_charges(self, since: datetime) -> Iterable[ChargeRecord]:
        """Raises ``AnswerLost`` if the bank does not answer: no list is not an empty list."""
        for charge in self.bank.charges_since(since.astimezone(UTC).isoformat()):
            yield ChargeRecord(
                reference=charge.reference,
                gateway_reference=charge.gateway_reference,
                status=AnswerStatus(charge.status),
                amount=Money(charge.amount_minor, charge.currency),
                refunded=Money(charge.refunded_minor, charge.currency),
                created_at=datetime.fromisoformat(charge.created_at),
                is_disputed=bool(self.bank.disputes_of(charge.reference)),
            )

    def csp_sources(self) -> Mapping[str, Sequence[str]]:
        return {}

    def clerk(self, address: str) -> Clerk:
        """Return somebody at the bank who tells the shop at its webhook address."""
        return Clerk(self, over_http(address), self._now)

    def signed(self, raw: bytes) -> dict[str, str]:
        """Return the header with which the bank sends ``raw`` now."""
        return sign_webhook(self._secret, self._now(), raw)

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        """Check ``t=<seconds>,v1=<hex>`` over the raw body, then read it."""
        given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE, "")
        parts = dict(part.partition("=")[::2] for part in given.split(","))
        stamp = parts.get("t", "")
        if not stamp.isascii() or not stamp.isdigit():
            raise WebhookError("no_signature")
        if not hmac.compare_digest(_mac(self._secret, stamp, raw), parts.get("v1", "")):
            raise WebhookError("bad_signature")
        if abs(self._now().timestamp() - int(stamp)) > TOLERANCE:
            raise WebhookError("too_old")
        return _event(raw, self.account)


def sign_webhook(secret: str, at: datetime, raw: bytes) -> dict[str, str]:
    """Return the header the bank sends along with ``raw`` (for tests and the demo)."""
    stamp = str(int(at.timestamp()))
    return {SIGNATURE: f"t={stamp},v1={_mac(secret, stamp, raw)}"}


def _mac(secret: str, stamp: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()


def _event(raw: bytes, account: str) -> GatewayEvent:
    try:
        body: dict[str, Any] = json.loads(raw)
        event = GatewayEvent(
            id=str(body["id"]),
            type=str(body["type"]),
            reference=str(body.get("reference", "")),
            occurred_at=datetime.fromisoformat(body["occurred_at"]),
            account=str(body.get("account", "")),
            about=EventAbout(body.get("about", "other")),
            gateway_reference=str(body.get("gateway_reference", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookError("unreadable") from error
    if event.account != account:
        raise WebhookError("other_account")
    return event


def _method(token: str) -> VaultedMethod:
    card = card_of(token)
    assert card is not None  # the bank stores cards of its own table only
    return VaultedMethod(
        token=token,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        # Everybody shares these few numbers, so each card taken from the page counts as a
        # card of its own; otherwise one shopper's declines would use up another's tries.
        fingerprint="demo_" + hashlib.sha256(token.encode()).hexdigest()[:16],
    )


def _dispute(found: BankDispute) -> DisputeRecord:
    return DisputeRecord(
        gateway_reference=found.reference,
        charge_reference=found.charge_reference,
        charge_gateway_reference=f"demo_ch_{found.reference.removeprefix('demo_dp_')}",
        state=DisputeState(found.status),
        amount=Money(found.amount_minor, found.currency),
        reason=found.reason,
        opened_at=datetime.fromisoformat(found.opened_at),
        fee=Money(found.fee_minor, found.currency),
    )
