"""From a chosen plan to a paid box in three steps, each a page of its own."""

from __future__ import annotations

from storefront.blueprints.checkout import (
    boxes,
    codes,
    confirmation,
    gift,
    later,
    looking,
    payment,
    referred,
    stale,
)
from storefront.blueprints.checkout.steps import bp

__all__ = [
    "boxes",
    "bp",
    "codes",
    "confirmation",
    "gift",
    "later",
    "looking",
    "payment",
    "referred",
    "stale",
]
