"""The gateway contract over Authorize.net: look up before every send, for it has no keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
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
    GatewayEvent,
    Http,
    RefundAnswer,
    RefundOrder,
    SetupAnswer,
    SetupOrder,
    SetupStart,
    VaultedMethod,
)
from storefront_authorize_net import books, refunds, webhooks
from storefront_authorize_net.answers import charge_answer, sent_answer
from storefront_authorize_net.api import MOST_DAYS, Api, Refused, Silent
from storefront_authorize_net.codes import (
    ACCOUNT_CODES,
    DECLINE_MEANINGS,
    DUPLICATE,
    NO_RECORD,
)
from storefront_authorize_net.references import decimal_string, short
from storefront_authorize_net.vault import Vault, split_token

_S = AnswerStatus
#: How far back a look-up by reference alone goes, as one question for batches may span.
LOOK_BACK = timedelta(days=MOST_DAYS)
#: What the reporting calls may lag behind a charge. Not stated anywhere; generous.
SETTLE_SECONDS = 600


class AuthorizeNetGateway:
    """``page(key)`` is the address of the plugin's page that leads to the hosted card form."""

    name = "authorize_net"

    def __init__(
        self,
        http: Http,
        *,
        login: str,
        key: str,
        signature_key: str,
        now: Callable[[], datetime],
        page: Callable[[str], str] = lambda key: f"/x/authorize-net/card/{key}",
        currency: str = "USD",
        duplicate_window: int = 28_800,
        form_url: str = "https://accept.authorize.net",
        is_live: bool = True,
    ) -> None:
        """``duplicate_window`` is in seconds; 28,800 at most. It is the second net: never 0."""
        self.account, self.currency, self.form_url = login, currency, form_url
        self._api = Api(http, login, key)
        self.vault = Vault(self._api, key, now)
        self._signature_key, self._now, self._page = signature_key, now, page
        self._window = duplicate_window
        self.capabilities = Capabilities(
            key_window_seconds=0,
            lookup_settle_seconds=SETTLE_SECONDS,
            lookup_reach_seconds=int((LOOK_BACK - timedelta(days=1)).total_seconds()),
            duplicate_window_seconds=duplicate_window,
            decline_meanings=DECLINE_MEANINGS,
            mode="redirect",
            max_in_flight=4,
            kinds=("card",),
            currencies=frozenset({currency}),
            moves_money=is_live,
        )

    # ------------------------------------------------------------------------------- set-up

    def begin_setup(self, order: SetupOrder) -> SetupStart:
        """Raises if Authorize.net does not answer: nothing is stored then."""
        profile, key = self.vault.open(order)
        return SetupStart(redirect_url=self._page(key), gateway_reference=profile)

    def finish_setup(
        self, reference: str, params: Mapping[str, str], gateway_reference: str = ""
    ) -> SetupAnswer:
        try:
            return self.vault.finish(reference)
        except Silent as error:
            return SetupAnswer(_S.UNKNOWN, reason=str(error))

    # ------------------------------------------------------------------------------- charges

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        """Charge after asking the customer's list for our number: there are no keys to rely on."""
        ids = split_token(order.token)
        if ids is None:
            return _no_such_method()
        try:
            answer, network = self._known(order, ids[0]) or self._send(order, *ids)
        except Silent as error:
            return ChargeAnswer(_S.UNKNOWN, reason=str(error))
        return self._with_agreement(order, answer, network)

    def _known(self, order: ChargeOrder, profile: str) -> tuple[ChargeAnswer, str] | None:
        details = self._details_of(order.reference, self._api.of_customer(profile))
        if details is None:
            return None
        answer = charge_answer(details, self.currency)
        if answer.amount is not None and answer.amount != order.amount:
            return ChargeAnswer(_S.UNKNOWN, answer.gateway_reference, reason="key_reused"), ""
        return answer, str(details.get("networkTransId") or "")

    def _send(self, order: ChargeOrder, profile: str, card: str) -> tuple[ChargeAnswer, str]:
        asked = decimal_string(order.amount)
        try:
            answer = self._api.call(
                "createTransactionRequest",
                refId=short(order.reference),
                transactionRequest=self._request(order, asked, profile, card),
            )
        except Refused as error:
            if error.code == NO_RECORD:
                return _no_such_method(), ""
            answer = dict(error.answer)
        response = answer.get("transactionResponse")
        if not isinstance(response, dict):
            raise Silent("not_understood")
        codes = {str(each.get("errorCode")) for each in response.get("errors") or []}
        if codes & ACCOUNT_CODES:
            raise Silent("unauthorized")
        if DUPLICATE in codes:
            # Somebody was quicker with the same reference: what they did is the answer.
            try:
                known = self._known(order, profile)
            except Silent:
                # Whatever keeps us from reading it: it was done.
                known = None
            return known or (ChargeAnswer(_S.UNKNOWN, reason="duplicate"), "")
        network = str(response.get("networkTransId") or "")
        return sent_answer(response, asked, self.currency), network

    def _request(self, order: ChargeOrder, asked: str, profile: str, card: str) -> dict[str, Any]:
        settings = {"duplicateWindow": str(self._window)}
        if not order.on_session:
            settings["recurringBilling"] = "true"
        named = [{"settingName": name, "settingValue": value} for name, value in settings.items()]
        # Charged while nobody is there: under the agreement that the first charge founded.
        flags = {"isStoredCredentials": True} if order.on_session else {"isSubsequentAuth": True}
        if not order.agreement and order.on_session:
            flags = {"isFirstSubsequentAuth": True, **flags}
        request: dict[str, Any] = {
            "transactionType": "authCaptureTransaction",
            "amount": asked,
            "currencyCode": order.amount.currency,
            "profile": {
                "customerProfileId": profile,
                "paymentProfile": {"paymentProfileId": card},
            },
            "order": {
                "invoiceNumber": short(order.reference),
                "description": f"{order.reference} {order.invoice}"[:255],
            },
            "transactionSettings": {"setting": named},
            "processingOptions": flags,
        }
        if order.agreement and not order.on_session:
            request["subsequentAuthInformation"] = {"originalNetworkTransId": order.agreement}
        return request

    def _with_agreement(
        self, order: ChargeOrder, answer: ChargeAnswer, network: str
    ) -> ChargeAnswer:
        """Hand the network's id of the first charge out: later ones are made under it."""
        if answer.status is not _S.SUCCEEDED or order.agreement or not network:
            return answer
        try:
            method = self.vault.read(order.token)
        except Silent:
            # The money was taken all the same; the next charge founds the agreement.
            return answer
        return replace(answer, method=replace(method, agreement=network)) if method else answer

    def lookup(self, reference: str, gateway_reference: str = "") -> ChargeAnswer | None:
        try:
            details = self.find(reference, gateway_reference)
        except Silent as error:
            return ChargeAnswer(_S.UNKNOWN, reason=str(error))
        return charge_answer(details, self.currency) if details is not None else None

    def find(self, reference: str, gateway_reference: str = "") -> dict[str, Any] | None:
        """Return the transaction of a reference, or None. Raises ``Silent``."""
        if gateway_reference:
            found = self._api.details(gateway_reference)
            if found is not None:
                return found
        # In this order: what is settled between the two questions stands in the first answer.
        open_ones = self._details_of(reference, self._api.unsettled())
        if open_ones is not None:
            return open_ones
        now = self._now()
        return self._details_of(reference, self._api.settled(now - LOOK_BACK, now))

    def _details_of(self, reference: str, listed: Iterable[dict[str, Any]]) -> Any:
        number = short(reference)
        for each in listed:
            if each.get("invoiceNumber") == number:
                found = self._api.details(str(each["transId"]))
                if found is None:
                    # One list knows it and the other does not yet: it is there.
                    raise Silent("not_readable_yet")
                return found
        return None

    def cancel(self, reference: str, gateway_reference: str = "") -> CancelAnswer:
        """Decline a charge that a person at the merchant's still has to look at."""
        try:
            details = self.find(reference, gateway_reference)
            if details is None:
                return CancelAnswer.UNKNOWN
            status = charge_answer(details, self.currency).status
            if status is _S.PENDING and refunds.decline_held(self._api, str(details["transId"])):
                return CancelAnswer.CANCELLED
        except Silent:
            return CancelAnswer.UNKNOWN
        closed = {_S.SUCCEEDED: CancelAnswer.SUCCEEDED, _S.DECLINED: CancelAnswer.CANCELLED}
        return closed.get(status, CancelAnswer.UNKNOWN)

    # ------------------------------------------------------------- refunds, methods, the rest

    def refund(self, order: RefundOrder) -> RefundAnswer:
        try:
            charge = self.find(order.charge_reference, order.gateway_reference)
            if charge is None:
                return RefundAnswer(_S.DECLINED, reason="no_such_charge")
            known = self.find(order.reference)
            if known is not None:
                return refunds.answer_of(known)
            return refunds.give_back(self._api, order, charge, self._window)
        except Silent as error:
            return RefundAnswer(_S.UNKNOWN, reason=str(error))

    def lookup_refund(
        self, reference: str, gateway_reference: str = "", charge: str = ""
    ) -> RefundAnswer | None:
        """A void has no number of ours: only its own name, the charge's, leads to it.

        Without that name nothing is known, for whoever voided the charge may have meant another
        refund; ``refund`` compares the amounts and voids nothing twice.
        """
        try:
            found = self.find(reference, gateway_reference)
        except Silent as error:
            return RefundAnswer(_S.UNKNOWN, reason=str(error))
        return refunds.answer_of(found) if found is not None else None

    def read_method(self, token: str, gateway_customer: str = "") -> VaultedMethod | None:
        """Raises ``Silent`` if Authorize.net does not answer."""
        return self.vault.read(token)

    def detach(self, token: str) -> bool:
        return self.vault.forget(token)

    def disputes(self, reference: str, gateway_reference: str = "") -> Sequence[DisputeRecord]:
        """Return what the status of the transaction tells; there is no other source.

        Raises ``Silent`` if Authorize.net does not answer.
        """
        details = self.find(reference, gateway_reference)
        return books.disputes_of(details, reference, self.currency, self._now()) if details else []

    def list_charges(self, since: datetime) -> Iterable[ChargeRecord]:
        """Raises ``Silent`` if Authorize.net does not answer: no list is not an empty list."""
        return books.charges_since(self._api, since, self._now(), self.currency)

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        return webhooks.read(headers, raw, self._signature_key, self.account, self._now())

    def csp_sources(self) -> Mapping[str, Sequence[str]]:
        """The plugin's own page sends a form there, and holds nothing else of theirs."""
        return {"form-action": (self.form_url,)}


def _no_such_method() -> ChargeAnswer:
    return ChargeAnswer(_S.DECLINED, decline=DeclineKind.HARD, reason="no_such_method")
