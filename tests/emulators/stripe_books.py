"""The books of the Stripe stand-in: objects, test cards and what banks say to them.

Written from https://docs.stripe.com/api and https://docs.stripe.com/testing.
"""

import copy
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

Fields = dict[str, Any]

#: Stripe's test methods by the end of their name: brand, last four digits, and what happens.
#: ``at_attach``: refused when it is stored. ``at_charge``: stored, and declined later.
CARDS: dict[str, tuple[str, str, str]] = {
    "visa": ("visa", "4242", ""),
    "mastercard": ("mastercard", "4444", ""),
    "amex": ("amex", "0005", ""),
    "chargeDeclined": ("visa", "0002", "at_attach generic_decline"),
    "chargeDeclinedInsufficientFunds": ("visa", "9995", "at_attach insufficient_funds"),
    "visa_chargeDeclinedLostCard": ("visa", "9987", "at_attach lost_card"),
    "visa_chargeDeclinedStolenCard": ("visa", "9979", "at_attach stolen_card"),
    "chargeDeclinedExpiredCard": ("visa", "0069", "at_attach expired_card"),
    "chargeDeclinedIncorrectCvc": ("visa", "0127", "at_attach incorrect_cvc"),
    "chargeDeclinedProcessingError": ("visa", "0119", "at_attach processing_error"),
    "chargeDeclinedFraudulent": ("visa", "0019", "at_attach fraudulent"),
    "chargeCustomerFail": ("visa", "0341", "at_charge generic_decline"),
    "authenticationRequired": ("visa", "3184", "always"),
    "authenticationRequiredOnSetup": ("visa", "3155", "once"),
    "authenticationRequiredSetupForOffSession": ("visa", "0446", "present"),
    "authenticationRequiredChargeDeclinedInsufficientFunds": (
        "visa",
        "3178",
        "always at_charge insufficient_funds",
    ),
    "createDispute": ("visa", "0259", "disputed"),
    "refundFail": ("visa", "5126", "refund_fails"),
    "pendingRefund": ("visa", "7726", "refund_waits"),
}
#: Codes that Stripe gives as the error's own code instead of ``card_declined``.
_OWN_CODES = {"expired_card", "incorrect_cvc", "processing_error"}
_LEAST = {"usd": 50, "eur": 50, "gbp": 30}
_FEE = 1500


class Fault(Exception):
    """An error as Stripe writes it."""

    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "message": message, **more}


def refuse(message: str, status: int = 400, **more: Any) -> Fault:
    return Fault(status, "invalid_request_error", message, **more)


class Books:
    """Everything the account has; one call at a time (the server holds a lock)."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.objects: dict[str, dict[str, Fields]] = {}
        #: What the bank says to a method from now on: the codes of its decline.
        self.bank: dict[str, Fields] = {}
        self.behaviour: dict[str, str] = {}
        self.authenticated: set[str] = set()
        self.ready: set[str] = set()
        #: (type, object) of everything that happened, in order.
        self.events: list[tuple[str, Fields]] = []
        self._numbers = count(1)

    # ----------------------------------------------------------------------------- objects

    def all(self, kind: str) -> list[Fields]:
        return list(self.objects.get(kind, {}).values())

    def put(self, kind: str, prefix: str, fields: Fields) -> Fields:
        own = f"{prefix}_{next(self._numbers):014d}"
        found = {
            "id": own,
            "object": kind,
            "created": int(self.now().timestamp()),
            "livemode": False,
            "metadata": {},
            **fields,
        }
        self.objects.setdefault(kind, {})[own] = found
        return found

    def get(self, kind: str, own: str, param: str = "id") -> Fields:
        found = self.objects.get(kind, {}).get(own)
        if found is None:
            raise refuse(f"No such {kind}: '{own}'", 404, code="resource_missing", param=param)
        return found

    def note(self, kind: str, found: Fields) -> None:
        self.events.append((kind, copy.deepcopy(found)))

    # ----------------------------------------------------------------------------- methods

    def make_method(self, name: str) -> Fields:
        """Return what Stripe's fields in a browser make of a typed card."""
        brand, last4, behaviour = CARDS[name.removeprefix("pm_card_")]
        card = {
            "brand": brand,
            "display_brand": brand,
            "last4": last4,
            "exp_month": 12,
            "exp_year": self.now().year + 3,
            "fingerprint": f"fp_{last4}",
        }
        found = self.put("payment_method", "pm", {"type": "card", "card": card, "customer": None})
        self.behaviour[found["id"]] = behaviour
        return found

    def _behaves(self, method: Fields) -> str:
        return self.behaviour[method["id"]]

    def detach(self, own: str) -> Fields:
        method = self.get("payment_method", own, "payment_method")
        if method["customer"] is None:
            raise refuse("The payment method is not attached to a customer.")
        method["customer"] = None
        self.note("payment_method.detached", method)
        return method

    def _decline(self, code: str, method: Fields, **codes: Any) -> Fault:
        own = code if code in _OWN_CODES else "card_declined"
        error = {
            "code": own,
            "decline_code": code,
            "payment_method": copy.deepcopy(method),
            **codes,
        }
        return Fault(402, "card_error", "Your card was declined.", **error)

    # ----------------------------------------------------------------------------- set-ups

    def confirm_setup(self, own: str, name: str, *, is_hosted: bool = False) -> Fields:
        """Play the customer who types a card into Stripe's fields and sends it off."""
        intent = self.get("setup_intent", own)
        method = self.make_method(name)
        behaviour = self._behaves(method)
        if behaviour.startswith("at_attach"):
            fault = self._decline(behaviour.split()[1], method)
            intent.update(status="requires_payment_method", last_setup_error=fault.error)
            self.note("setup_intent.setup_failed", intent)
            return intent
        intent["payment_method"] = method["id"]
        if behaviour.split()[:1] in (["always"], ["once"]) and not is_hosted:
            intent["status"] = "requires_action"
            intent["next_action"] = {"type": "use_stripe_sdk"}
            self.note("setup_intent.requires_action", intent)
            return intent
        return self._store(intent, method)

    def _store(self, intent: Fields, method: Fields) -> Fields:
        intent.update(status="succeeded", next_action=None, last_setup_error=None)
        method["customer"] = intent["customer"]
        self.ready.add(method["id"])
        self.note("payment_method.attached", method)
        self.note("setup_intent.succeeded", intent)
        return intent

    def authenticate(self, own: str, is_passed: bool = True) -> Fields:
        """Play the customer at the page of their bank."""
        kind = "payment_intent" if own.startswith("pi_") else "setup_intent"
        intent = self.get(kind, own)
        if intent["status"] != "requires_action":
            return intent
        method = self.get("payment_method", intent["payment_method"])
        if not is_passed:
            error = {"type": "card_error", "code": f"{kind}_authentication_failure"}
            last = "last_payment_error" if kind == "payment_intent" else "last_setup_error"
            intent.update({"status": "requires_payment_method", "next_action": None, last: error})
            failed = "payment_failed" if kind == "payment_intent" else "setup_failed"
            self.note(f"{kind}.{failed}", intent)
        elif kind == "setup_intent":
            self._store(intent, method)
        else:
            self.authenticated.add(own)
            try:
                self._settle(intent, method)
            except Fault:
                return intent
        return intent

    # ----------------------------------------------------------------------------- charges

    def create_intent(self, fields: Fields) -> Fields:
        """Create and confirm a PaymentIntent, as one call does."""
        self._check_amount(fields["amount"], fields["currency"])
        if fields.get("customer"):
            self.get("customer", fields["customer"], "customer")
        method = self.get("payment_method", fields["payment_method"], "payment_method")
        if method["customer"] is None or method["customer"] != fields.get("customer"):
            raise refuse("The PaymentMethod does not belong to it.", param="payment_method")
        intent = self.begin_intent(fields)
        if self._needs_customer(intent, method, fields):
            return intent
        return self._settle(intent, method)

    def begin_intent(self, fields: Fields) -> Fields:
        """Do the first half of a charge: nothing is asked of a bank yet."""
        intent = self.put("payment_intent", "pi", _new_intent(fields))
        self.note("payment_intent.created", intent)
        return intent

    def _check_amount(self, amount: int, currency: str) -> None:
        if amount < _LEAST.get(currency, 1):
            raise refuse("Amount too small", code="amount_too_small", param="amount")
        if currency in ("kwd", "bhd", "omr") and amount % 10:
            raise refuse("The last digit must be 0", param="amount")

    def _needs_customer(self, intent: Fields, method: Fields, fields: Fields) -> bool:
        off = bool(fields.get("off_session"))
        behaviour = self._behaves(method).split()[:1]
        wants = behaviour == ["always"] or (behaviour == ["present"] and not off)
        wants = wants or (behaviour == ["once"] and method["id"] not in self.ready)
        if not wants:
            return False
        if not off:
            if not fields.get("return_url"):
                raise refuse("You must provide a `return_url`.", param="return_url")
            intent["status"] = "requires_action"
            intent["next_action"] = {
                "type": "redirect_to_url",
                "redirect_to_url": {
                    "url": f"https://hooks.stripe.com/3d_secure/{intent['id']}",
                    "return_url": fields["return_url"],
                },
            }
            self.note("payment_intent.requires_action", intent)
            return True
        fault = self._decline("authentication_required", method)
        fault.error["code"] = "authentication_required"
        self._fail(intent, fault)
        raise fault

    def _settle(self, intent: Fields, method: Fields) -> Fields:
        behaviour, codes = self._behaves(method), self.bank.get(method["id"])
        if codes is None and "at_charge" in behaviour:
            codes = {"decline_code": behaviour.split()[-1]}
        if codes is not None:
            more = {name: value for name, value in codes.items() if name != "decline_code"}
            fault = self._decline(codes["decline_code"], method, **more)
            self._fail(intent, fault)
            raise fault
        charge = self._charge(intent, "succeeded")
        intent.update(
            status="succeeded",
            amount_received=intent["amount"],
            next_action=None,
            last_payment_error=None,
        )
        self.note("payment_intent.succeeded", intent)
        self.note("charge.succeeded", charge)
        if behaviour == "disputed":
            self.dispute(intent["id"])
        return intent

    def _fail(self, intent: Fields, fault: Fault) -> None:
        self._charge(intent, "failed")
        intent.update(
            status="requires_payment_method", payment_method=None, last_payment_error=fault.error
        )
        fault.error = {**fault.error, "payment_intent": copy.deepcopy(intent)}
        self.note("payment_intent.payment_failed", intent)

    def _charge(self, intent: Fields, status: str) -> Fields:
        taken = intent["amount"] if status == "succeeded" else 0
        charge = self.put(
            "charge",
            "ch",
            {
                "amount": intent["amount"],
                "amount_captured": taken,
                "amount_refunded": 0,
                "captured": bool(taken),
                "currency": intent["currency"],
                "disputed": False,
                "metadata": dict(intent["metadata"]),
                "payment_intent": intent["id"],
                "payment_method": intent["payment_method"],
                "status": status,
            },
        )
        intent["latest_charge"] = charge["id"]
        return charge

    def cancel_intent(self, own: str) -> Fields:
        intent = self.get("payment_intent", own)
        if intent["status"] in ("succeeded", "canceled", "processing"):
            raise refuse("Its status allows no cancel.", code="payment_intent_unexpected_state")
        intent.update(status="canceled", next_action=None)
        self.note("payment_intent.canceled", intent)
        return intent

    # -------------------------------------------------------------------- refunds, disputes

    def charge_of(self, intent: str) -> Fields:
        own = self.get("payment_intent", intent, "payment_intent").get("latest_charge")
        charge = self.get("charge", own or "none")
        if charge["status"] != "succeeded":
            raise refuse("This PaymentIntent does not have a successful charge to refund.")
        return charge

    def refund(self, fields: Fields) -> Fields:
        charge = self.charge_of(fields["payment_intent"])
        left = charge["amount_captured"] - charge["amount_refunded"]
        if left <= 0:
            raise refuse("Already refunded.", code="charge_already_refunded")
        if fields["amount"] > left:
            raise refuse("Greater than what is left.", param="amount")
        waits = self.behaviour.get(charge["payment_method"], "")
        status = {"refund_waits": "pending", "refund_fails": "failed"}.get(waits, "succeeded")
        found = self.put(
            "refund",
            "re",
            {
                **fields,
                "charge": charge["id"],
                "currency": charge["currency"],
                "status": status,
                "failure_reason": "lost_or_stolen_card" if status == "failed" else None,
            },
        )
        if status != "failed":
            charge["amount_refunded"] += fields["amount"]
        self.note("refund.created" if status != "failed" else "refund.failed", found)
        self.note("charge.refunded", charge)
        return found

    def dispute(self, intent: str, status: str = "needs_response") -> Fields:
        """Have the customer's bank take a charge back, or ask about it."""
        charge = self.charge_of(intent)
        charge["disputed"] = True
        found = self.put(
            "dispute",
            "dp",
            {
                "amount": charge["amount"],
                "balance_transactions": []
                if status.startswith("warning")
                else [{"fee": _FEE, "currency": "eur"}],
                "charge": charge["id"],
                "currency": charge["currency"],
                "evidence_details": {"due_by": int(self.now().timestamp()) + 7 * 86_400},
                "payment_intent": intent,
                "reason": "fraudulent",
                "status": status,
            },
        )
        self.note("charge.dispute.created", found)
        return found

    def decide(self, intent: str, is_won: bool) -> None:
        for found in self.all("dispute"):
            if found["payment_intent"] == intent:
                found["status"] = "won" if is_won else "lost"
                self.note("charge.dispute.closed", found)

    # ----------------------------------------------------------------------------- Checkout

    def create_session(self, fields: Fields) -> Fields:
        notes = fields.pop("setup_intent_data", {}).get("metadata", {})
        setup = self.create_setup({"customer": fields["customer"], "metadata": notes})
        own = self.put(
            "checkout.session",
            "cs_test",
            {**fields, "setup_intent": setup["id"], "status": "open"},
        )
        own["url"] = f"https://checkout.stripe.com/c/pay/{own['id']}#{'x' * 600}"
        return own

    def create_setup(self, fields: Fields) -> Fields:
        self.get("customer", fields.get("customer") or "none", "customer")
        intent = self.put(
            "setup_intent",
            "seti",
            {
                "status": "requires_payment_method",
                "payment_method": None,
                "last_setup_error": None,
                **fields,
            },
        )
        intent["client_secret"] = f"{intent['id']}_secret_{next(self._numbers)}"
        self.note("setup_intent.created", intent)
        return intent

    def complete_session(self, own: str, name: str) -> Fields:
        """Play the customer on Stripe's hosted page, which also plays the bank's."""
        session = self.get("checkout.session", own)
        intent = self.confirm_setup(session["setup_intent"], name, is_hosted=True)
        if intent["status"] == "succeeded":
            session["status"] = "complete"
            self.note("checkout.session.completed", session)
        return session


def _new_intent(fields: Fields) -> Fields:
    kept = ("amount", "currency", "customer", "payment_method", "description")
    return {
        **{name: fields.get(name) for name in kept},
        "metadata": dict(fields.get("metadata") or {}),
        "status": "requires_confirmation",
        "amount_received": 0,
        "last_payment_error": None,
        "latest_charge": None,
        "next_action": None,
    }
