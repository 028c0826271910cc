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
    finds it done. Raises ``CardBreak`` while its shopper may try no card.
    """
    if setup.checkout:
        finished = finish_checkout(rt, setup.checkout)
        if finished.until is not None:
            raise CardBreak(until=finished.until)
        return finished.outcome is not Outcome.UNREACHABLE
    if setup.customer_id is None:
        return True
    added = finish_card(rt, setup.customer_id, setup.reference, {})
    return added.status is not AnswerStatus.UNKNOWN
