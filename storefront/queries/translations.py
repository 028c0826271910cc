"""What merchants have written in other languages than the shop's."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.domain.translations import Words, words_of
from storefront.models import Option, OptionGroup, Plan
from storefront.models.base import table_of
from storefront.operations.keys import AnySession

#: What of each kind is said in several languages. Of the same text the last one counts.
_PARTS: dict[type[Any], tuple[str, ...]] = {
    Option: ("name", "hint"),
    OptionGroup: ("name", "hint"),
    Plan: ("name", "tagline", "description", "benefits"),
}


def merchant_words(session: AnySession) -> Words:
    """Return every text in every language it is written in; a statement for each kind.

    Where a plan and a question say the same, the plan's translation is taken.
    """
    return words_of(
        ({part: row[part] for part in parts}, row["translations"])
        for kind, parts in _PARTS.items()
        for row in _rows(session, kind, parts)
    )


def _rows(session: AnySession, kind: type[Any], parts: tuple[str, ...]) -> sa.MappingResult:
    table = table_of(kind)
    columns = (table.c[part] for part in parts)
    return session.execute(sa.select(*columns, table.c.translations)).mappings()
