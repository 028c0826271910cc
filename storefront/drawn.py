"""Still lifes in the colours of the shop that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from flask import current_app
from markupsafe import Markup

from storefront.pictures import NINE_KETTLES, Palette, box_svg, palette_of, product_svg
from storefront.runtime import Runtime, ShopNotSetUp


def draw_product(seed: str, kind: str | None = None, alt: str = "") -> Markup:
    """Return ``pictures.product_svg`` in the shop's colours."""
    return product_svg(seed, kind, alt, _colours())


def draw_box(
    seed: str,
    items: Sequence[str | tuple[str, str | None]] = (),
    alt: str = "",
    place: str = "",
) -> Markup:
    """Return ``pictures.box_svg`` in the shop's colours."""
    return box_svg(seed, items, alt, _colours(), place)


def _colours() -> Palette:
    found = cast(Runtime | None, current_app.extensions.get("storefront"))
    try:
        return NINE_KETTLES if found is None else palette_of(found.shop.look)
    except ShopNotSetUp:
        # A page that says so still has its picture.
        return NINE_KETTLES
