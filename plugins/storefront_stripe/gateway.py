"""Stripe behind the gateway contract: a vault plus one charge call."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import stripe

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
    RefundAnswer,
    RefundOrder,
    SetupAnswer,
    SetupOrder,
    SetupStart,
    VaultedMethod,
)
from storefront_stripe.amounts import MINIMUMS, to_stripe
from storefront_stripe.answers import (
    ATTEMPT,
    INVOICE,
    REFUND,
    Fields,
    at,
    charge_answer,
    charge_record,
    declined,
    dispute_record,
    kind_of,
    method_of,
    reference_of,
    refund_answer,
)
from storefront_stripe.api import StripeApi, error_of, is_missing, key, pause_of, why_unknown
from storefront_stripe.declines import MEANINGS
from storefront_stripe.setups import RETURN, SetupChoices, Setups
from storefront_stripe.webhooks import Door

_LOG = logging.getLogger(__name__)
_S = AnswerStatus
_NO_METHOD = "no_such_method"
#: Stripe may forget a key after 24 hours; one hour is kept for clocks that differ.
KEY_WINDOW = timedelta(hours=23)
#: Stripe's search lags less than a minute, in an outage up to an hour.
SETTLE = timedelta(hours=1)
#: What search does not show yet is looked for in the newest of the plain list.
_FRESH, _FRESH_PAGES = timedelta(minutes=15), 3
#: No call is under way for so long.
_STUCK = timedelta(minutes=10)
_REFUNDS_BACK, _REFUND_PAGES = timedelta(hours=25), 10
#: A list comes newest first, so the past is walked in pieces, and one piece is in memory.
_PIECE, _PIECE_PAGES = timedelta(hours=1), 10_000
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,200}")
#: Characters a card statement may not have, and how many remain beside the account's own.
_NO_STATEMENT, _STATEMENT = re.compile(r"[^A-Za-z0-9 .&/-]"), 10


def capabilities(is_live: bool, methods: Sequence[str]) -> Capabilities:
    """Return what Stripe can do; test keys move no money, so no lock guards them."""
    kinds = [kind_of(name) for name in methods or ("card",)]
    return Capabilities(
        key_window_seconds=int(KEY_WINDOW.total_seconds()),
        lookup_settle_seconds=int(SETTLE.total_seconds()),
        has_lookup=True,
        minimums=MINIMUMS,
        mode="redirect",
        # 25 calls a second for one address are allowed, in a sandbox for all together
        # (https://docs.stripe.com/rate-limits); look-ups and refunds need some of them.
        max_in_flight=20,
        per_second=20,
        decline_meanings=MEANINGS,
        moves_money=is_live,
        # 22 with the account's own prefix, which is to be the shop's name, and a separator.
        descriptor_length=_STATEMENT,
        kinds=tuple(dict.fromkeys(kinds)),
    )


class StripeGateway:
    """Of one Stripe account, in live or in test mode."""

    name = "stripe"

    def __init__(
        self,
        api: StripeApi,
        *,
        account: str,
        is_live: bool,
        webhook_secrets: Sequence[str],
        page: Callable[[str, str], str],
        now: Callable[[], datetime],
        choices: SetupChoices,
        log: logging.Logger = _LOG,
    ) -> None:
        """``account`` is Stripe's ``acct_…``; ``page(kind, id)`` the address of a page of ours."""
        self.account = account if is_live else f"{account}:test"
        self.capabilities = capabilities(is_live, choices.methods)
        self.setups = Setups(api, choices, page, now)
        self._api, self._v1, self._page, self._now = api, api.v1, page, now
        self.log = log
        self._door = Door(webhook_secrets, account, is_live, now)

    # ------------------------------------------------------------------------------- set-up

    def begin_setup(self, order: SetupOrder) -> SetupStart:
        """Raises ``stripe.StripeError`` if Stripe does not answer: nothing is stored then."""
        return self.setups.begin(order)

    def finish_setup(
        self, reference: str, params: Mapping[str, str], gateway_reference: str = ""
    ) -> SetupAnswer:
        return self.setups.finish(reference, gateway_reference)

    # ------------------------------------------------------------------------------- charges

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        try:
            minor = to_stripe(order.amount)
        except ValueError:
            return _refused("amount_not_possible", DeclineKind.ASK)
        try:
            customer = order.gateway_customer or self._owner(order.token)
            if not customer:
                return _refused(_NO_METHOD)
            intent = self._v1.payment_intents.create(
                _charge_params(order, minor, customer), key(order.reference)
            )
        except stripe.StripeError as error:
            return self._not_charged(error)
        return charge_answer(intent.to_dict(), self._page)

    def _owner(self, token: str) -> str:
        """Return the Customer of a method, empty if there is no such method any more."""
        method = self.read_method(token)
        return method.gateway_customer if method is not None else ""

    def _not_charged(self, error: stripe.StripeError) -> ChargeAnswer:
        told = error_of(error)
        intent = told.get("payment_intent")
        if isinstance(error, stripe.CardError):
            return declined(told, str((intent or {}).get("id") or ""))
        refused = isinstance(error, stripe.InvalidRequestError) and error.http_status != 409
        # A method that is gone, or no longer its customer's, will never be chargeable again.
        if is_missing(error) or (refused and told.get("param") in ("payment_method", "customer")):
            return _refused(_NO_METHOD)
        if refused and error.code in ("amount_too_small", "amount_too_large"):
            return _refused(str(error.code), DeclineKind.ASK)
        return ChargeAnswer(_S.UNKNOWN, reason=why_unknown(error), retry_after=pause_of(error))

    def lookup(self, reference: str, gateway_reference: str = "") -> ChargeAnswer | None:
        try:
            intent = self._find(reference, gateway_reference)
            if intent is not None and self._is_stuck(intent):
                intent = self._cancel(intent["id"])
        except stripe.StripeError as error:
            return ChargeAnswer(_S.UNKNOWN, gateway_reference, reason=why_unknown(error))
        return charge_answer(intent, self._page) if intent is not None else None

    def _is_stuck(self, intent: Fields) -> bool:
        """True for a charge that Stripe began, broke off, and will never go on with.

        It has taken nothing; once it is cancelled that is final, and another may be tried.
        """
        began = at(intent["created"])
        waits = intent["status"] in _NEVER_SENT and not intent.get("last_payment_error")
        return waits and self._now() - began > _STUCK

    def cancel(self, reference: str, gateway_reference: str = "") -> CancelAnswer:
        try:
            intent = self._find(reference, gateway_reference)
            if intent is None:
                return CancelAnswer.UNKNOWN
            if intent["status"] not in _CANCELLED:
                intent = self._cancel(intent["id"])
        except stripe.StripeError:
            return CancelAnswer.UNKNOWN
        return _CANCELLED.get(intent["status"], CancelAnswer.UNKNOWN)

    def _cancel(self, own: str) -> Fields:
        try:
            # Without a key of ours: a refusal of today must not be the answer of tomorrow.
            return self._v1.payment_intents.cancel(own).to_dict()
        except stripe.InvalidRequestError:
            # It moved between our look and our call: what it is now counts.
            return self._v1.payment_intents.retrieve(own).to_dict()

    def intent(self, gateway_reference: str) -> Fields | None:
        """Return a PaymentIntent, None if there is none. Raises ``stripe.StripeError``."""
        try:
            return self._v1.payment_intents.retrieve(gateway_reference).to_dict()
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return None
            raise

    def _find(self, reference: str, gateway_reference: str) -> Fields | None:
        if gateway_reference:
            return self.intent(gateway_reference)
        if not _REFERENCE.fullmatch(reference):
            return None
        query = f'metadata["{ATTEMPT}"]:"{reference}"'
        found = self._v1.payment_intents.search({"query": query}).to_dict().get("data") or []
        if not found:
            since = {"created": {"gte": int((self._now() - _FRESH).timestamp())}}
            found = self._api.pages(self._v1.payment_intents.list, since, _FRESH_PAGES)
        match = next((each for each in found if reference_of(each, ATTEMPT) == reference), None)
        # Search may show an older state than the object has.
        return self.intent(match["id"]) if match is not None else None

    # ------------------------------------------------------------------------------- refunds

    def refund(self, order: RefundOrder) -> RefundAnswer:
        try:
            charged = order.gateway_reference or self._name_of(order.charge_reference)
            if not charged:
                return RefundAnswer(_S.UNKNOWN, reason="no_such_charge")
            params = {
                "payment_intent": charged,
                "amount": to_stripe(order.amount),
                "metadata": {REFUND: order.reference},
            }
            found = self._v1.refunds.create(params, key(order.reference))
        except ValueError:
            return RefundAnswer(_S.DECLINED, reason="amount_not_possible")
        except stripe.StripeError as error:
            why = why_unknown(error)
            if why == "refused" or isinstance(error, stripe.CardError):
                return RefundAnswer(_S.DECLINED, reason=str(error.code or "refused"))
            return RefundAnswer(_S.UNKNOWN, reason=why)
        return refund_answer(found.to_dict())

    def _name_of(self, reference: str) -> str:
        intent = self._find(reference, "")
        return str(intent["id"]) if intent is not None else ""

    def lookup_refund(
        self, reference: str, gateway_reference: str = "", charge: str = ""
    ) -> RefundAnswer | None:
        try:
            found = self._find_refund(reference, gateway_reference, charge)
        except stripe.StripeError as error:
            if is_missing(error):
                return None
            return RefundAnswer(_S.UNKNOWN, gateway_reference, why_unknown(error))
        return refund_answer(found) if found is not None else None

    def _find_refund(self, reference: str, own: str, charge: str) -> Fields | None:
        if own:
            return self._v1.refunds.retrieve(own).to_dict()
        since = int((self._now() - _REFUNDS_BACK).timestamp())
        params = {"payment_intent": charge} if charge else {"created": {"gte": since}}
        refunds = self._api.pages(self._v1.refunds.list, params, _REFUND_PAGES)
        return next((each for each in refunds if reference_of(each, REFUND) == reference), None)

    # ------------------------------------------------------------- disputes, methods, the rest

    def disputes(self, reference: str, gateway_reference: str = "") -> Sequence[DisputeRecord]:
        """Raises ``stripe.StripeError`` if Stripe does not answer."""
        charged = gateway_reference or self._name_of(reference)
        if not charged:
            return []
        of = {"charge" if charged.startswith("ch_") else "payment_intent": charged}
        found = self._api.pages(self._v1.disputes.list, of, _REFUND_PAGES)
        return [dispute_record(each, reference) for each in found]

    def read_method(self, token: str, gateway_customer: str = "") -> VaultedMethod | None:
        """Raises ``stripe.StripeError`` if Stripe does not answer."""
        try:
            found = self._v1.payment_methods.retrieve(token).to_dict()
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return None
            raise
        return method_of(found) if found.get("customer") else None

    def detach(self, token: str) -> bool:
        try:
            self._v1.payment_methods.detach(token)
        except stripe.InvalidRequestError:
            # It was forgotten before, or never there: both are "gone".
            return self._is_gone(token)
        except stripe.StripeError:
            return False
        return True

    def _is_gone(self, token: str) -> bool:
        try:
            return self.read_method(token) is None
        except stripe.StripeError:
            return False

    def list_charges(self, since: datetime) -> Iterable[ChargeRecord]:
        """Raises ``stripe.StripeError`` if Stripe does not answer: no list is not an empty list.

        Charges that carry no reference of ours belong to something else on the same account.
        """
        start = since
        while True:
            end = start + _PIECE
            is_last = end > self._now()
            times: dict[str, int] = {"gte": int(start.timestamp())}
            if not is_last:
                times["lt"] = int(end.timestamp())
            yield from self._piece({"created": times})
            if is_last:
                return
            start = at(times["lt"])

    def _piece(self, params: Mapping[str, Any]) -> list[ChargeRecord]:
        charges = self._api.pages(self._v1.charges.list, params, _PIECE_PAGES)
        taken = [
            charge_record(each)
            for each in charges
            if each["status"] == "succeeded"
            and each.get("captured")
            and reference_of(each, ATTEMPT)
        ]
        return sorted(taken, key=lambda record: record.created_at)

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        """Raises ``WebhookError``."""
        return self._door.read(headers, raw)

    def csp_sources(self) -> Mapping[str, Sequence[str]]:
        """Source: https://docs.stripe.com/security/guide#content-security-policy."""
        return {
            "script-src": ["https://js.stripe.com", "https://*.js.stripe.com"],
            "frame-src": [
                "https://js.stripe.com",
                "https://*.js.stripe.com",
                "https://hooks.stripe.com",
            ],
            "connect-src": ["https://api.stripe.com"],
            "img-src": ["https://*.stripe.com"],
        }


#: States of a charge whose one call, which makes and confirms it, did only the first half.
_NEVER_SENT = frozenset({"requires_confirmation", "requires_payment_method"})
_CANCELLED = {"succeeded": CancelAnswer.SUCCEEDED, "canceled": CancelAnswer.CANCELLED}


def _refused(reason: str, kind: DeclineKind = DeclineKind.HARD) -> ChargeAnswer:
    return ChargeAnswer(_S.DECLINED, decline=kind, reason=reason, code=reason)


def _charge_params(order: ChargeOrder, minor: int, customer: str) -> dict[str, Any]:
    params: dict[str, Any] = {
        "amount": minor,
        "currency": order.amount.currency.lower(),
        "customer": customer,
        "payment_method": order.token,
        "confirm": True,
        "metadata": {ATTEMPT: order.reference, INVOICE: order.invoice},
    }
    if order.on_session:
        params["return_url"] = order.return_url
        params["metadata"][RETURN] = order.return_url
    else:
        params["off_session"] = True
    if order.description:
        params["description"] = order.description
    if statement := _statement(order.descriptor):
        params["statement_descriptor_suffix"] = statement
    return params


def _statement(text: str) -> str:
    """Return the words of ``text`` that fit on a statement; empty if they have no letter.

    >>> _statement("Nine Kettles GmbH"), _statement("*42*")
    ('Nine', '')
    """
    kept = ""
    for word in _NO_STATEMENT.sub("", text).split():
        if len(kept) + 1 + len(word) > _STATEMENT + 1:
            break
        kept = f"{kept} {word}".strip()
    return kept if any(letter.isalpha() for letter in kept) else ""
