"""What merchants have written in other languages than the shop's."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.translations import Words, words_of
from storefront.models import Plan
from storefront.models.base import table_of
from storefront.operations.keys import AnySession

_OF_PLANS = ("name", "tagline", "description", "benefits")


def merchant_words(session: AnySession) -> Words:
    """Return every text of the plans in every language it is written in; one statement."""
    plan = table_of(Plan)
    rows = session.execute(sa.select(*(plan.c[part] for part in _OF_PLANS), plan.c.translations))
    return words_of(
        ({part: getattr(row, part) for part in _OF_PLANS}, row.translations) for row in rows
    )
