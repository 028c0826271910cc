"""Whether somebody has to take a break, because too many of their cards were declined.

Source: docs/decisions/0247-declined-cards-are-counted.md.
"""

from __future__ import annotations

from datetime import datetime

from storefront.database import reading
from storefront.domain.card_testing import Asker, takes_cards
from storefront.domain.errors import DomainError
from storefront.domain.gateways import Gateway
from storefront.operations import card_tries
from storefront.runtime import Runtime


class CardBreak(DomainError):
    """Too many cards of this customer or network address were declined.

    ``params["until"]`` is when another one may be tried.
    """

    code = "card_break"


def check_break(rt: Runtime, gateway: Gateway, customer_id: int, address: str) -> Asker | None:
    """Return whose try of a card it will be; None at a gateway where no card is typed.

    Raises ``CardBreak``.
    """
    if not takes_cards(gateway.capabilities.kinds):
        return None
    asker = Asker.of(customer_id, address=address)
    until = break_of(rt, asker)
    if until is not None:
        raise CardBreak(until=until)
    return asker


def break_of(rt: Runtime, asker: Asker) -> datetime | None:
    """Return until when a person or network address may try no card; None if they may."""
    with reading():
        until = card_tries.break_of(
            rt.session, asker, rt.settings.secret_key, rt.shop.declines, rt.now()
        )
        rt.session.rollback()
    return until


def break_of_setup(rt: Runtime, setup_id: int) -> datetime | None:
    """Return until when whoever opened a set-up may try no card; None if they may."""
    with reading():
        until = card_tries.break_of_setup(rt.session, setup_id, rt.shop.declines, rt.now())
        rt.session.rollback()
    return until


def warn_of_many(rt: Runtime) -> None:
    """After a decline: write to the log if there were so many that staff should look."""
    with reading():
        card_tries.warn_of_many(rt.session, rt.shop.declines_alarm, rt.now())
        rt.session.rollback()
