"""Finish what a shopper left at the gateway: a message says that the set-up is over.

Somebody who paid and closed the tab gets the subscription all the same.
"""

from __future__ import annotations

from storefront.card_breaks import CardBreak
from storefront.domain.charging import AnswerStatus
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.methods import finish_card
from storefront.services.webhooks import SetUp


def finish_set_up(rt: Runtime, setup: SetUp) -> bool:
    """Finish the order or the card that ``setup`` belongs to; False while nobody can say.

    The use-cases of the pages do it, so whichever comes first, message or shopper, the other
    finds it done.
    """
    if setup.checkout:
        return finish_checkout(rt, setup.checkout).outcome is not Outcome.UNREACHABLE
    if setup.customer_id is None:
        return True
    try:
        added = finish_card(rt, setup.customer_id, setup.reference, {})
    except CardBreak:
        # Left for when the customer comes back and may try again.
        return True
    return added.status is not AnswerStatus.UNKNOWN
