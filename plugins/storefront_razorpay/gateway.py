"""The gateway contract over Razorpay: orders with our reference, debits under a mandate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

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
from storefront_razorpay import books, webhooks
from storefront_razorpay.answers import (
    charge_answer,
    declined,
    limit_of,
    no_such_method,
    state_of,
    unknown,
)
from storefront_razorpay.api import Api, Refused, Silent, named
from storefront_razorpay.codes import DEAD_MANDATES, DECLINE_MEANINGS, LEAST, NOTICE_SECONDS
from storefront_razorpay.orders import (
    ASK,
    BACK,
    CANCELLED,
    DEBIT,
    HELD,
    KIND,
    OUT,
    PAYMENT,
    PRESENT,
    REFERENCE,
    TAKER,
    TEXT,
    Orders,
    best_of,
    notes_of,
)
from storefront_razorpay.vault import Vault, split_token

_S = AnswerStatus
#: How long a new order may stay out of the list by receipt. Not stated anywhere; generous.
SETTLE_SECONDS = 300
#: Hosts of Razorpay's window, for the plugin's own page.
_SCRIPT, _FRAMES = "https://checkout.razorpay.com", "https://api.razorpay.com"


class RazorpayGateway:
    """``page(order)`` is the address of the plugin's page that opens Razorpay's window."""

    name = "razorpay"

    def __init__(
        self,
        http: Http,
        *,
        account: str,
        key_id: str,
        secret: str,
        webhook_secret: str,
        now: Callable[[], datetime],
        page: Callable[[str], str] = lambda order: f"/x/razorpay/pay/{order}",
    ) -> None:
        # Mandates of the test mode work in no other, so it is an account of its own.
        self.account = f"{account}:test" if key_id.startswith("rzp_test_") else account
        self.merchant = account
        self.api = Api(http, key_id, secret)
        self.orders = Orders(self.api)
        self.vault = Vault(self.api, self.orders)
        self._webhook_secret, self._now, self._page = webhook_secret, now, page
        # Two threads with one reference make one order; between processes the attempt's own
        # state does that.
        self._locks = tuple(threading.Lock() for _ in range(64))
        self.capabilities = Capabilities(
            key_window_seconds=0,
            lookup_settle_seconds=SETTLE_SECONDS,
            minimum_notice_seconds=NOTICE_SECONDS,
            minimums={"INR": LEAST},
            mode="redirect",
            max_in_flight=4,
            decline_meanings=DECLINE_MEANINGS,
            # Not on the statement, which has the merchant's name: in the debit's description.
            descriptor_length=60,
            kinds=("card", "upi", "bank"),
            currencies=frozenset({"INR"}),
            moves_money=not key_id.startswith("rzp_test_"),
        )

    # ------------------------------------------------------------------------------- set-up

    def begin_setup(self, order: SetupOrder) -> SetupStart:
        """Raises if Razorpay does not answer: nothing is stored then."""
        found = self.vault.begin(order, self._now())
        return SetupStart(self._page(found["id"]), gateway_reference=found["id"])

    def finish_setup(
        self, reference: str, params: Mapping[str, str], gateway_reference: str = ""
    ) -> SetupAnswer:
        try:
            return self.vault.finish(reference, gateway_reference)
        except Silent as error:
            return SetupAnswer(_S.UNKNOWN, reason=str(error))

    # ------------------------------------------------------------------------------- charges

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        """Look the order of our reference up, make it if there is none, and pay it once."""
        ids = split_token(order.token)
        if ids is None:
            return no_such_method()
        try:
            with self._locks[hash(order.reference) % len(self._locks)]:
                return self._charge(order, ids)
        except Silent as error:
            return unknown(error)
        except Refused as error:
            return declined(error.reason or "refused")

    def _charge(self, order: ChargeOrder, ids: tuple[str, str, str]) -> ChargeAnswer:
        found = self.orders.find(order.reference) or self._begin(order, ids)
        if isinstance(found, ChargeAnswer):
            return found
        if (found["amount"], found["currency"]) != (order.amount.minor, order.amount.currency):
            return ChargeAnswer(_S.UNKNOWN, str(found["id"]), reason="key_reused")
        return self._standing(found) or self._debit(order, ids, found)

    def _begin(
        self, order: ChargeOrder, ids: tuple[str, str, str]
    ) -> dict[str, Any] | ChargeAnswer:
        """Make the order of a charge, or say why there is none."""
        mandate = self.vault.mandate(order.token)
        if mandate is None:
            return no_such_method()
        if order.on_session:
            return self._open(order, ids[0], *self._with_customer(order, ids[2]))
        if state_of(mandate) in DEAD_MANDATES:
            return declined(DEAD_MANDATES[state_of(mandate)])
        if order.amount.minor > limit_of(mandate).minor:
            return self._open(order, ids[0], ASK, {})
        if not self._is_told(order):
            return ChargeAnswer(_S.UNKNOWN, reason="notice_missing")
        return self._open(order, ids[0], DEBIT, {})

    def _with_customer(self, order: ChargeOrder, payment: str) -> tuple[str, dict[str, str]]:
        """Take up the payment of the set-up if it is still held and fits, else ask for another."""
        held = self.api.find(named("/payments/{}", payment))
        fits = held and (held["status"], held["amount"], held["currency"]) == (
            "authorized",
            order.amount.minor,
            order.amount.currency,
        )
        return (HELD, {PAYMENT: payment}) if fits else (PRESENT, {BACK: order.return_url})

    def _is_told(self, order: ChargeOrder) -> bool:
        """The guard has seen to it; once more, for a debit without it is refused and fined."""
        told = order.notified_at
        return told is not None and self._now() - told >= timedelta(seconds=NOTICE_SECONDS)

    def _open(
        self, order: ChargeOrder, customer: str, kind: str, notes: Mapping[str, str]
    ) -> dict[str, Any]:
        words = {KIND: kind, OUT: order.return_url, TEXT: order.description, **notes}
        more = {"customer_id": customer} if kind == PRESENT else {}
        return self.orders.open(
            order.reference, order.amount, words, is_captured=kind == DEBIT, more=more
        )

    def _debit(
        self, order: ChargeOrder, ids: tuple[str, str, str], found: Mapping[str, Any]
    ) -> ChargeAnswer:
        customer = self.api.find(named("/customers/{}", ids[0])) or {}
        try:
            made = self.api.post(
                "/payments/create/recurring",
                {
                    "email": customer.get("email") or "",
                    "contact": customer.get("contact") or "",
                    "amount": order.amount.minor,
                    "currency": order.amount.currency,
                    "order_id": found["id"],
                    "customer_id": ids[0],
                    "token": ids[1],
                    "recurring": True,
                    "description": order.descriptor or order.description,
                    "notes": {REFERENCE: order.reference},
                },
            )
        except Refused as error:
            # Somebody was quicker with the same order: what they did is the answer.
            return _afterwards(self._standing, found) or declined(error.reason or "refused")
        name = named("/payments/{}", str(made["razorpay_payment_id"]))
        payment = _afterwards(self.api.find, name)
        if payment is None:
            raise Silent("payment_not_found")
        return charge_answer(payment)

    def _standing(self, order: Mapping[str, Any], *, takes: bool = True) -> ChargeAnswer | None:
        """Return where an order stands; None if nothing was asked for under it yet.

        ``takes``: what the customer approved is taken now. Raises ``Silent``.
        """
        notes, name, own = notes_of(order), str(order["id"]), str(order["receipt"])
        kind = notes.get(KIND)
        payment = self._payment_of(order, notes)
        if payment is not None and notes_of(payment).get(TAKER, own) != own:
            return declined("held_payment_taken", name)
        if payment is not None and payment["status"] == "captured":
            return charge_answer(payment)
        if notes.get(CANCELLED):
            return declined("cancelled", name)
        if kind == DEBIT:
            return charge_answer(payment) if payment is not None else None
        if payment is None or payment["status"] == "created":
            waits = self._page(name) if kind == PRESENT else None
            return ChargeAnswer(_S.ACTION_REQUIRED, name, action_url=waits)
        if payment["status"] == "authorized":
            return self._take(order, payment) if takes else ChargeAnswer(_S.PENDING, name)
        return charge_answer(payment)

    def _payment_of(
        self, order: Mapping[str, Any], notes: Mapping[str, str]
    ) -> Mapping[str, Any] | None:
        if notes.get(KIND) == HELD:
            return self.api.find(named("/payments/{}", notes[PAYMENT]))
        return best_of(self.orders.payments(order))

    def _take(self, order: Mapping[str, Any], payment: Mapping[str, Any]) -> ChargeAnswer:
        """Capture an approved payment; back it goes if the charge was given up meanwhile."""
        path = named("/payments/{}", str(payment["id"]))
        amount = {"amount": payment["amount"], "currency": payment["currency"]}
        reference = str(order["receipt"])
        found = self.api.find(path) or payment
        # A payment made for this order has no other taker: two looks at it are one charge.
        is_ours = notes_of(order).get(KIND) != HELD or notes_of(found).get(TAKER) == reference
        if found["status"] != "authorized" and not is_ours:
            return declined("held_payment_taken", str(order["id"]))
        was_refused = False
        try:
            # First the note: whoever finds the payment in a list can tell whose it is, and
            # another order that named the same held payment sees that it is gone.
            self.api.note(path, {**notes_of(payment), REFERENCE: reference, TAKER: reference})
            self.api.post(f"{path}/capture", amount)
        except Refused:
            was_refused = True  # taken already, or too late: the payment itself says which
        found = _afterwards(self.api.find, path)
        if found is None:
            raise Silent("payment_not_found")
        # Who noted it between our look and our note took it: our note stands over theirs.
        is_theirs = was_refused and not is_ours and found["status"] == "captured"
        if is_theirs or notes_of(found).get(TAKER) != reference:
            return declined("held_payment_taken", str(order["id"]))
        again = _afterwards(self.orders.read, str(order["id"]))
        if again is not None and notes_of(again).get(CANCELLED) and found["status"] == "captured":
            self.api.post(f"{path}/refund", {"amount": found["amount"]}, f"cancelled_{reference}")
            return declined("cancelled", str(payment["id"]))
        return charge_answer(found)

    def lookup(self, reference: str, gateway_reference: str = "") -> ChargeAnswer | None:
        try:
            found = self.orders.find(reference)
            if found is not None:
                return self._standing(found)
            if gateway_reference.startswith("pay_"):
                payment = self.api.find(named("/payments/{}", gateway_reference))
                return charge_answer(payment) if payment else None
        except Silent as error:
            return unknown(error)
        return None

    def cancel(self, reference: str, gateway_reference: str = "") -> CancelAnswer:
        """An order cannot be withdrawn, but what is approved for it is not taken any more."""
        try:
            found = self.orders.find(reference)
            if found is None:
                return CancelAnswer.UNKNOWN
            before = self._standing(found, takes=False)
            if before is None or (before.status is _S.PENDING and _is_debit(found)):
                return CancelAnswer.UNKNOWN
            if before.status in {_S.PENDING, _S.ACTION_REQUIRED}:
                self.orders.note(found, {CANCELLED: "1"})
            after = self._standing({**found, "notes": {**notes_of(found), CANCELLED: "1"}})
        except (Silent, Refused):
            return CancelAnswer.UNKNOWN
        taken = after is not None and after.status is _S.SUCCEEDED
        return CancelAnswer.SUCCEEDED if taken else CancelAnswer.CANCELLED

    # ---------------------------------------------------------------------- refunds and the rest

    def refund(self, order: RefundOrder) -> RefundAnswer:
        return books.refund(self.api, order, self._payment_name)

    def lookup_refund(
        self, reference: str, gateway_reference: str = "", charge: str = ""
    ) -> RefundAnswer | None:
        return books.find_refund(self.api, reference, gateway_reference, charge, self._now())

    def disputes(self, reference: str, gateway_reference: str = "") -> Sequence[DisputeRecord]:
        """Raises ``Silent`` if Razorpay does not answer."""
        payment = self._payment_name(reference, gateway_reference)
        return books.disputes_of(self.api, payment, reference) if payment else []

    def _payment_name(self, reference: str, gateway_reference: str) -> str:
        """Return Razorpay's name of the payment of a charge, if there is one."""
        if gateway_reference.startswith("pay_"):
            return gateway_reference
        found = self.orders.find(reference)
        payment = self._payment_of(found, notes_of(found)) if found else None
        return str(payment["id"]) if payment else ""

    def read_method(self, token: str, gateway_customer: str = "") -> VaultedMethod | None:
        """Raises ``Silent`` if Razorpay does not answer."""
        return self.vault.read(token)

    def detach(self, token: str) -> bool:
        """Cancel a mandate. Raises ``Silent`` if Razorpay does not answer."""
        return self.vault.forget(token)

    def list_charges(self, since: datetime) -> Iterable[ChargeRecord]:
        """Raises ``Silent`` if Razorpay does not answer: no list is not an empty list."""
        return books.charges_since(self.api, since, self._now())

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        return webhooks.read(
            headers, raw, self._webhook_secret, self.merchant, self.account, self._now()
        )

    def csp_sources(self) -> Mapping[str, Sequence[str]]:
        """What Razorpay's window needs, on the plugin's own page alone."""
        return {
            "script-src": (_SCRIPT,),
            "frame-src": (_FRAMES, _SCRIPT),
            "connect-src": (_FRAMES, "https://lumberjack.razorpay.com"),
            "img-src": ("https://cdn.razorpay.com",),
        }


def _afterwards(ask: Callable[..., Any], *what: Any) -> Any:
    """Ask once money may have moved: that nobody answers now does not say that nothing was done.

    Raises ``Silent`` with a reason of its own.
    """
    try:
        return ask(*what)
    except Silent as error:
        raise Silent(f"afterwards_{error}", error.retry_after) from error


def _is_debit(order: Mapping[str, Any]) -> bool:
    return notes_of(order).get(KIND) == DEBIT
