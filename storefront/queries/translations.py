"""What merchants have written in other languages than the shop's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from storefront.domain.translations import Words, words_of
from storefront.models import (
    Addon,
    Coupon,
    Option,
    OptionGroup,
    Plan,
    Product,
    ProductVariant,
    ShopSettings,
)
from storefront.models.base import table_of
from storefront.operations.coupons import LONGEST_KEPT
from storefront.operations.keys import AnySession

#: What of each kind is said in several languages. Of the same text the last one counts.
PARTS: dict[type[Any], tuple[str, ...]] = {
    Addon: ("name", "hint"),
    Option: ("name", "hint"),
    OptionGroup: ("name", "hint"),
    Plan: ("name", "tagline", "description", "benefits"),
}


def merchant_words(session: AnySession) -> Words:
    """Return every text in every language it is written in; a statement for each kind.

    Where a plan and something else say the same, the plan's translation is taken.
    """
    return words_of(
        [
            *_lines(session),
            *_things(session),
            *_discounts(session),
            *(
                ({part: row[part] for part in parts}, row["translations"])
                for kind, parts in PARTS.items()
                for row in _rows(session, kind, parts)
            ),
        ]
    )


def _lines(session: AnySession) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the sentence under the shop's name."""
    table = table_of(ShopSettings)
    for row in session.execute(sa.select(table.c.line, table.c.lines)):
        yield {"line": row.line}, row.lines


def _things(session: AnySession) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return each product, and each of its variants as boxes name it: ``Tin 100 g``."""
    product, variant = table_of(Product), table_of(ProductVariant)
    rows = session.execute(
        sa.select(
            product.c.name,
            product.c.allergens,
            variant.c.name.label("variant"),
            product.c.translations,
        )
        .join(variant, variant.c.product_id == product.c.id)
        .where(sa.cast(product.c.translations, sa.String()) != "{}")
        .order_by(variant.c.id)
    )
    for row in rows:
        yield {"name": row.name}, row.translations
        # By word, so that whichever order they stand in, none is taken for another.
        words = {code: texts.get("allergens", {}) for code, texts in row.translations.items()}
        yield {word: word for word in row.allergens}, words
        if row.variant:
            told = {
                code: {"name": f"{texts['name']} {row.variant}"}
                for code, texts in row.translations.items()
                if texts.get("name")
            }
            yield {"name": f"{row.name} {row.variant}"}, told


def _discounts(session: AnySession) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return each discount without a code, also as a subscription keeps it: cut short."""
    table = table_of(Coupon)
    for row in session.execute(
        sa.select(table.c.name, table.c.translations).where(table.c.is_automatic)
    ):
        yield {"name": row.name}, row.translations
        yield {"name": row.name[:LONGEST_KEPT]}, row.translations


def _rows(session: AnySession, kind: type[Any], parts: tuple[str, ...]) -> sa.MappingResult:
    table = table_of(kind)
    columns = (table.c[part] for part in parts)
    return session.execute(sa.select(*columns, table.c.translations)).mappings()
