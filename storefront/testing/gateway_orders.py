"""What the cases of the gateway contract ask for: kinds of methods, charges, set-ups, refunds."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Literal

from storefront.hooks import (
    ChargeAnswer,
    ChargeOrder,
    Money,
    RefundOrder,
    SetupOrder,
)

#: How the bank behind a method answers.
Kind = Literal["good", "soft", "hard", "confirm"]
_numbers = count(1)


def order(token: str, minor: int = 2340, currency: str = "EUR", **over: object) -> ChargeOrder:
    """Return a renewal's charge order with a reference of its own."""
    number = next(_numbers)
    plain = ChargeOrder(
        reference=f"att_contract{number}",
        amount=Money(minor, currency),
        token=token,
        on_session=False,
        description="Nine Kettles",
        invoice=f"inv_contract{number}",
    )
    return replace(plain, **over)  # type: ignore[arg-type]


def present(token: str) -> ChargeOrder:
    """Return a charge order of a customer who is there."""
    return order(token, on_session=True, return_url="http://shop.test/back")


def setup_order(amount: Money | None = None) -> SetupOrder:
    return SetupOrder(
        reference=f"set_contract{next(_numbers)}",
        return_url="http://shop.test/back",
        cancel_url="http://shop.test/cancel",
        amount=amount,
        merchant="Nine Kettles",
        description="chk_7F3K",
    )


def refund_of(charged: ChargeOrder, answer: ChargeAnswer, minor: int) -> RefundOrder:
    return RefundOrder(
        reference=f"ref_contract{next(_numbers)}",
        charge_reference=charged.reference,
        gateway_reference=answer.gateway_reference,
        amount=Money(minor, charged.amount.currency),
    )
