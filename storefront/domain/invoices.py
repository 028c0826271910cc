"""The states of an invoice and the kinds of its lines."""

from __future__ import annotations

from enum import StrEnum


class InvoiceState(StrEnum):
    """``offered`` is owed only if paid: frozen and hashed, without number or journal.

    ``discarded`` is an offered invoice that was never paid; it never had a number, so
    no credit note is owed for it.
    """

    DRAFT = "draft"
    OFFERED = "offered"
    DISCARDED = "discarded"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class LineKind(StrEnum):
    """What a line of an invoice stands for."""

    PLAN = "plan"
    OPTION = "option"
    ADDON = "addon"
    SIGN_UP_FEE = "sign_up_fee"
    SHIPPING = "shipping"
    DISCOUNT = "discount"
    PRORATION_CREDIT = "proration_credit"
    PRORATION_CHARGE = "proration_charge"
    #: Something charged once outside the periods.
    EXTRA = "extra"


#: Lines whose worth is earned box by box; the rest is revenue at once.
DEFERRED_KINDS = frozenset(
    {
        LineKind.PLAN,
        LineKind.OPTION,
        LineKind.ADDON,
        LineKind.SHIPPING,
        LineKind.DISCOUNT,
        LineKind.PRORATION_CREDIT,
        LineKind.PRORATION_CHARGE,
    }
)


class CreditReason(StrEnum):
    """Why a credit note was written."""

    VOID = "void"
    REFUND = "refund"
    CANCELLATION = "cancellation"
    CHANGE = "change"
    PAUSE = "pause"
    GOODWILL = "goodwill"
    WRONG_PRICE = "wrong_price"
