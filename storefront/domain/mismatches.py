"""A success over another amount than was asked for, and what a person can make of it.

Source: docs/decisions/0070-another-amount-than-asked.md.
"""

from __future__ import annotations

from enum import StrEnum

from storefront.domain.errors import DomainError
from storefront.domain.money import Money

#: Reason of the attempt and of the parked work that waits for the person.
AMOUNT_MISMATCH = "amount_mismatch"


class NothingToDecide(DomainError):
    """The payment is settled already, or was never over another amount."""

    code = "nothing_to_decide"


class ChoiceNotOffered(DomainError):
    """What was chosen does not fit what the gateway took and what is owed now."""

    code = "choice_not_offered"


class Choice(StrEnum):
    """What becomes of the money."""

    #: Less came than was asked: it settles the invoice, the shop bears the rest as goodwill.
    ACCEPT = "accept"
    #: More came than was asked: what was asked settles the invoice, the rest goes back.
    REFUND_REST = "refund_rest"
    #: Everything goes back. What is still owed is asked for again, in the right amount.
    REFUND_ALL = "refund_all"


def choices(asked: Money, taken: Money, due: Money | None) -> tuple[Choice, ...]:
    """Return what can be done with ``taken``, the most likely first.

    ``due`` is what the invoice owes now; None: nothing, or nobody is to pay it any more.
    Money in another currency settles nothing, for the books never convert; nor does any when
    the invoice owes something else by now than was asked. One success settles an invoice or
    none does, so a part is never taken on account with a second charge to follow.
    """
    if taken.minor <= 0 or taken.currency != asked.currency or due != asked:
        return (Choice.REFUND_ALL,)
    return (Choice.REFUND_REST if taken.minor > asked.minor else Choice.ACCEPT, Choice.REFUND_ALL)


def taken_text(taken: Money) -> str:
    """Return what the gateway took as it is kept with the parked work: ``2700 EUR``."""
    return f"{taken.minor} {taken.currency}"


def taken_from(text: str) -> Money:
    """Return the amount of ``taken_text``. Raises ``ValueError`` for another text."""
    minor, currency = text.split(" ")
    return Money(int(minor), currency)
