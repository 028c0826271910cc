"""What the bank says, as bare values that travel over a socket unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class AnswerLost(Exception):
    """No answer arrived; what happened at the bank is unknown to the caller."""


@dataclass(frozen=True, slots=True)
class BankSetup:
    reference: str
    #: Names the set-up in the address of the payment page; unguessable.
    page_key: str
    status: str
    reason: str
    decline: str
    token: str
    return_url: str
    cancel_url: str
    #: What will be charged right after; None if nothing is due today.
    amount_minor: int | None
    currency: str
    merchant: str
    description: str


@dataclass(frozen=True, slots=True)
class BankCharge:
    reference: str
    gateway_reference: str
    token: str
    amount_minor: int
    currency: str
    invoice: str
    status: str
    reason: str
    decline: str
    refunded_minor: int
    return_url: str
    merchant: str
    #: Aware UTC in ISO form.
    created_at: str


@dataclass(frozen=True, slots=True)
class BankRefund:
    reference: str
    gateway_reference: str
    charge_reference: str
    amount_minor: int
    currency: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class BankDispute:
    #: The bank's own name of it.
    reference: str
    charge_reference: str
    #: open, won or lost, seen from the shop.
    status: str
    amount_minor: int
    fee_minor: int
    currency: str
    reason: str
    opened_at: str


class AnyBank(Protocol):
    """The bank in this process, or in another one behind a socket.

    Every method may raise ``AnswerLost``. All are safe to call from several threads.
    """

    def open_setup(self, reference: str, details: dict[str, Any]) -> BankSetup: ...
    def setup_of(self, reference: str) -> BankSetup | None: ...
    def setup_of_page(self, page_key: str) -> BankSetup | None: ...
    def choose(self, page_key: str, last4: str) -> BankSetup: ...
    def confirm_setup(self, page_key: str, is_confirmed: bool) -> BankSetup: ...
    def charge(self, reference: str, details: dict[str, Any]) -> BankCharge: ...
    def charge_of(self, reference: str) -> BankCharge | None: ...
    def charge_of_page(self, gateway_reference: str) -> BankCharge | None: ...
    def confirm_charge(self, gateway_reference: str, is_confirmed: bool) -> BankCharge: ...
    def cancel(self, reference: str) -> BankCharge | None: ...
    def refund(self, reference: str, details: dict[str, Any]) -> BankRefund: ...
    def refund_of(self, reference: str) -> BankRefund | None: ...
    def detach(self, token: str) -> bool: ...
    def is_gone(self, token: str) -> bool: ...
    def disputes_of(self, charge_reference: str) -> Sequence[BankDispute]: ...
    def charges_since(self, since: str) -> Sequence[BankCharge]: ...


#: How each method's answer is rebuilt from JSON on the far side; None for bare values.
ANSWERS: dict[str, Callable[..., Any] | None] = {
    "open_setup": BankSetup,
    "setup_of": BankSetup,
    "setup_of_page": BankSetup,
    "choose": BankSetup,
    "confirm_setup": BankSetup,
    "charge": BankCharge,
    "charge_of": BankCharge,
    "charge_of_page": BankCharge,
    "confirm_charge": BankCharge,
    "cancel": BankCharge,
    "refund": BankRefund,
    "refund_of": BankRefund,
    "detach": None,
    "is_gone": None,
    "dispute": BankDispute,
    "decide_dispute": BankDispute,
    "disputes_of": BankDispute,
    "charges_since": BankCharge,
    "script": None,
    "set_fault": None,
    "executed_count": None,
    "executed_total": None,
    "double_charges": None,
    "violations": None,
}
