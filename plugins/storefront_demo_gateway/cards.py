"""The demo cards and what each does. One table; nothing else knows a card by its number."""

from __future__ import annotations

from dataclasses import dataclass

from storefront.hooks import AnswerStatus, DeclineKind

_A = AnswerStatus


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the bank does when asked."""

    status: AnswerStatus = _A.SUCCEEDED
    decline: DeclineKind | None = None
    reason: str = ""
    #: Seconds between the work done and the answer.
    delay: float = 0
    #: The work is done and the answer never arrives.
    is_lost: bool = False
    #: Succeeds instead once the customer has confirmed with this card before.
    once_confirmed: bool = False


OK = Behaviour()
CONFIRM = Behaviour(_A.ACTION_REQUIRED, reason="authentication_required")
CONFIRM_ONCE = Behaviour(_A.ACTION_REQUIRED, reason="authentication_required", once_confirmed=True)
REFUSED = Behaviour(_A.DECLINED, DeclineKind.SOFT, "card_declined")
NO_MONEY = Behaviour(_A.DECLINED, DeclineKind.SOFT, "insufficient_funds")
EXPIRED = Behaviour(_A.DECLINED, DeclineKind.HARD, "expired_card")
STOLEN = Behaviour(_A.DECLINED, DeclineKind.HARD, "stolen_card")
PENDING = Behaviour(_A.PENDING, reason="bank_debit")
LOST = Behaviour(is_lost=True)
SLOW = Behaviour(delay=12)
#: Nothing is executed and no answer arrives.
DOWN = Behaviour(_A.UNKNOWN, reason="timeout")
NO_SUCH_METHOD = Behaviour(_A.DECLINED, DeclineKind.HARD, "no_such_method")


@dataclass(frozen=True, slots=True)
class Card:
    """A row of the table."""

    last4: str
    brand: str
    exp_month: int
    exp_year: int
    #: Saved while nothing is due today; when a charge follows at once, saving always succeeds
    #: and the charge decides.
    saved: Behaviour
    #: Charged while the customer is there.
    on_session: Behaviour
    #: Charged at a renewal.
    renewal: Behaviour


CARDS: dict[str, Card] = {
    card.last4: card
    for card in (
        #     last4   brand         expires   saved     on_session  renewal
        Card("4242", "visa",       4, 2034,  OK,       OK,         OK),
        Card("3220", "visa",       8, 2033,  CONFIRM,  CONFIRM,    CONFIRM_ONCE),
        Card("0002", "visa",       1, 2034,  REFUSED,  REFUSED,    REFUSED),
        Card("9995", "mastercard", 5, 2033,  OK,       NO_MONEY,   NO_MONEY),
        Card("0069", "visa",       3, 2026,  EXPIRED,  EXPIRED,    EXPIRED),
        Card("0119", "visa",       9, 2034,  OK,       SLOW,       OK),
        Card("0341", "mastercard", 2, 2034,  OK,       OK,         REFUSED),
        Card("0408", "visa",       7, 2034,  OK,       LOST,       LOST),
    )
}  # fmt: skip


def card_of(token: str) -> Card | None:
    """Return the card behind ``demo_<last4>_<anything>``; None for a token of nobody.

    >>> card_of("demo_4242_x").brand
    'visa'
    """
    scheme, _, rest = token.partition("_")
    return CARDS.get(rest.partition("_")[0]) if scheme == "demo" else None
