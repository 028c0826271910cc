"""The gateway contract over PayPal: vault, orders, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    Capabilities,
    ChargeAnswer,
    ChargeOrder,
    ChargeRecord,
    DisputeRecord,
    GatewayEvent,
    Http,
    RefundAnswer,
    RefundOrder,
    SetupAnswer,
    SetupOrder,
    SetupStart,
    VaultedMethod,
)
from storefront_paypal import books, refunds, webhooks
from storefront_paypal.answers import refund_answer
from storefront_paypal.api import Api, Silent
from storefront_paypal.codes import CURRENCIES, DECLINE_MEANINGS
from storefront_paypal.known import Known
from storefront_paypal.orders import Orders
from storefront_paypal.vault import Vault

_S = AnswerStatus


class PayPalGateway:
    """One REST app of one business account."""

    name = "paypal"

    def __init__(
        self,
        http: Http,
        certificates: webhooks.Certificates,
        *,
        client: str,
        secret: str,
        webhook: str,
        now: Callable[[], datetime],
        site_url: str = "https://www.paypal.com",
        is_live: bool = True,
    ) -> None:
        """``webhook`` is PayPal's id of our webhook; it is part of what each message signs."""
        self.capabilities = _capabilities(is_live=is_live)
        self.account, self._webhook, self._now, self._site = client, webhook, now, site_url
        self._certificates, self._returned = certificates, Known()
        self._api = Api(http, client, secret, now)
        self._vault = Vault(self._api)
        self._report = books.Report(self._api, now)
        self._orders = Orders(self._api, self._report)

    # ------------------------------------------------------------------------------- set-up

    def begin_setup(self, order: SetupOrder) -> SetupStart:
        """Raises ``Silent`` or ``Refused`` if PayPal opens nothing."""
        return self._vault.open(order)

    def finish_setup(
        self, reference: str, params: Mapping[str, str], gateway_reference: str = ""
    ) -> SetupAnswer:
        try:
            return self._vault.finish(reference, params, gateway_reference)
        except Silent as error:
            return SetupAnswer(_S.UNKNOWN, reason=str(error))

    # ------------------------------------------------------------------------------- charges

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        try:
            return self._orders.charge(order)
        except Silent as error:
            return ChargeAnswer(_S.UNKNOWN, reason=str(error))

    def lookup(self, reference: str, gateway_reference: str = "") -> ChargeAnswer | None:
        try:
            return self._orders.lookup(reference, gateway_reference)
        except Silent as error:
            return ChargeAnswer(_S.UNKNOWN, reason=str(error))

    def cancel(self, reference: str, gateway_reference: str = "") -> CancelAnswer:
        try:
            return self._orders.cancel(reference, gateway_reference)
        except Silent:
            return CancelAnswer.UNKNOWN

    # ------------------------------------------------------------- refunds, methods, the rest

    def refund(self, order: RefundOrder) -> RefundAnswer:
        self._returned.keep(order.reference, order.gateway_reference)
        try:
            return refunds.give_back(self._api, order, order.gateway_reference)
        except Silent as error:
            return RefundAnswer(_S.UNKNOWN, reason=str(error))

    def lookup_refund(
        self, reference: str, gateway_reference: str = "", charge: str = ""
    ) -> RefundAnswer | None:
        charge = charge or self._returned.get(reference)
        try:
            found = refunds.find(self._api, reference, gateway_reference, charge)
            if found is None and not charge:
                listed = self._report.find(reference)
                seen = (refunds.find(self._api, reference, number, "") for number in listed)
                found = next(filter(None, seen), None)
        except Silent as error:
            return RefundAnswer(_S.UNKNOWN, reason=str(error))
        return refund_answer(found) if found is not None else None

    def read_method(self, token: str, gateway_customer: str = "") -> VaultedMethod | None:
        """Raises ``Silent`` if PayPal does not answer."""
        return self._vault.read(token)

    def detach(self, token: str) -> bool:
        return self._vault.forget(token)

    def disputes(self, reference: str, gateway_reference: str = "") -> Sequence[DisputeRecord]:
        """Raises ``Silent`` if PayPal does not answer: none known is not none there."""
        found = self._orders.lookup(reference, gateway_reference)
        capture = found.gateway_reference if found is not None else ""
        return books.disputes_of(self._api, capture, reference) if capture else []

    def list_charges(self, since: datetime) -> Iterable[ChargeRecord]:
        """Raises ``Silent`` if PayPal does not answer: no list is not an empty list.

        The report lags up to three hours: what is younger may be missing.
        """
        return self._report.charges(since)

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        return webhooks.read(
            headers, raw, self._certificates, self._webhook, self.account, self._now()
        )

    def csp_sources(self) -> Mapping[str, Sequence[str]]:
        """Browsers check where a form of ours ends up, and it ends up at PayPal."""
        return {"form-action": (self._site,)}


def _capabilities(*, is_live: bool) -> Capabilities:
    return Capabilities(
        # Request ids are kept for hours, by another number of them on every page of the
        # documentation: nothing is built on it.
        key_window_seconds=0,
        lookup_settle_seconds=books.SETTLE_SECONDS,
        lookup_reach_seconds=int((books.LOOK_BACK - timedelta(days=1)).total_seconds()),
        decline_meanings=DECLINE_MEANINGS,
        mode="redirect",
        max_in_flight=4,
        kinds=("paypal",),
        # 22 with PayPal's own "PAYPAL *".
        descriptor_length=14,
        currencies=CURRENCIES,
        moves_money=is_live,
    )
