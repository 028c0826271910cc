"""Words for what an erasure waits for and why two accounts stay two; for customers and staff."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext as _

from storefront.domain.erasure import Waiting
from storefront.domain.merging import MergeProblem


def waits(found: Iterable[Waiting | str]) -> list[str]:
    """Return in words what an erasure waits for."""
    words = {
        Waiting.SUBSCRIPTION: _("the end of the paid time"),
        Waiting.CHARGE: _("the answer to a payment that is under way"),
        Waiting.INVOICE: _("an open invoice"),
        Waiting.REFUND: _("a refund that is on its way"),
        Waiting.DISPUTE: _("the bank's decision about a disputed payment"),
        Waiting.BOX: _("a paid box that is still to leave"),
        Waiting.ORDER: _("an order that was begun; it runs out by itself"),
        Waiting.GIFT: _("a gift that nobody has claimed yet"),
    }
    return [words[Waiting(one)] for one in found]


def problems(found: Iterable[MergeProblem | str]) -> list[str]:
    """Return in words why two accounts cannot become one, each with the way out."""
    words = {
        MergeProblem.SAME: _("This is the same account."),
        MergeProblem.CLOSED: _("One of them was merged or erased before."),
        MergeProblem.ERASURE_ASKED: _(
            "One of them is to be erased. Take that back first, if it is what the customer wants."
        ),
        MergeProblem.PAYMENT_UNDER_WAY: _(
            "A payment of one of them is under way. Try again when it has its answer."
        ),
        MergeProblem.ORDER_UNDER_WAY: _(
            "One of them is paying for an order. Try again in some minutes."
        ),
        MergeProblem.OTHER_TAX: _(
            "VAT number or exemption differ, so what runs would be taxed otherwise. Make them"
            " the same first."
        ),
        MergeProblem.OTHER_PAYMENT: _(
            "One pays by bank transfer, or has other days to pay. Make that the same first."
        ),
    }
    return [words[MergeProblem(one)] for one in found]
