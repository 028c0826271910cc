"""Gifts of the demo: one is claimed, and one waits to be told where it goes."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.demo.cast import CAST, Present
from storefront.demo.shopping import StoryBroken, give
from storefront.domain.gifts import GiftWish
from storefront.models import Gift
from storefront.models.base import table_of
from storefront.operations.secrets import gift_code
from storefront.runtime import Runtime
from storefront.services.gifts import claim, run_gifts

#: What is given: three boxes, paid once.
_PLAN, _TERM = "cup", ("month", 3)
_HOME = {"street": "Am Planetarium 9", "postcode": "07743", "city": "Jena", "country": "DE"}


def give_present(rt: Runtime, present: Present) -> None:
    """Have a member of the cast give it, to be told of on the same day."""
    giver = next(member for member in CAST if member.role == present.giver)
    wish = GiftWish(present.name, present.email, "DE", present.message, rt.today())
    give(rt, giver.as_shopper(), (_PLAN, _TERM), wish)
    run_gifts(rt)


def claim_present(rt: Runtime, present: Present) -> None:
    """Have its recipient say where it goes, by the link of their mail."""
    table = table_of(Gift)
    ref = rt.session.scalar(
        sa.select(table.c.public_id).where(table.c.recipient_email == present.email)
    )
    rt.session.rollback()
    if ref is None:
        raise StoryBroken(f"{present.name} was given nothing")
    code = gift_code(rt.settings.secret_key, ref)
    claim(rt, code, present.email, {**_HOME, "name": present.name}, locale="en")
