"""Whether somebody has to take a break, because too many of their cards were declined.

Source: docs/decisions/0247-declined-cards-are-counted.md.
"""

from __future__ import annotations

from datetime import datetime

from storefront.database import reading
from storefront.domain.card_testing import Asker
from storefront.operations import card_tries
from storefront.runtime import Runtime


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
