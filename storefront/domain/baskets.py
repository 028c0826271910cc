"""Several boxes in one order: what all of them cost today, on one invoice, and each by itself.

Each box is priced by ``checkout.quote_order`` as if it were ordered alone, and is a
subscription of its own from then on; only the first payment is made together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from storefront.domain.checkout import OrderQuote, OrderTerms, quote_order
from storefront.domain.errors import DomainError
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.pricing import Quote, together
from storefront.domain.tax_treatment import Treatment
from storefront.domain.taxes import Rounding

#: Boxes in one order at most: more is a mistake, or a wholesaler.
MOST_BOXES = 8


class NotTogether(DomainError):
    """The boxes cannot be on one invoice: another currency, tax inside or on top, treatment."""

    code = "not_together"


@dataclass(frozen=True, slots=True)
class BasketQuote:
    """What a whole order costs today; ``items`` are its boxes, in the order's order.

    ``document`` is the one invoice; the ``first.quote`` of each item is its share of it, line
    by line, so the shares sum to it. The hash changes when anything shown changes.
    """

    items: tuple[OrderQuote, ...]
    document: Quote
    quote_hash: str

    @property
    def due_today(self) -> Money:
        return self.document.total

    @property
    def treatment(self) -> Treatment:
        """How the whole order is taxed."""
        return self.items[0].first.treatment

    @property
    def has_trial(self) -> bool:
        return any(item.opening.kind is PeriodKind.TRIAL for item in self.items)


def quote_basket(boxes: Sequence[OrderTerms]) -> BasketQuote:
    """Price an order of one or more boxes; raises as ``basket_of`` and ``quote_order`` do."""
    rounding = boxes[0].rounding if boxes else "sum"
    return basket_of([quote_order(terms) for terms in boxes], rounding)


def basket_of(boxes: Sequence[OrderQuote], rounding: Rounding) -> BasketQuote:
    """Put boxes, each quoted by itself, into one order; ``rounding`` is the shop's.

    Raises ``NotTogether``, and ``ValueError`` without a box or for more than ``MOST_BOXES``.
    Source: docs/decisions/0100-several-boxes-in-one-order.md.
    """
    quotes = tuple(boxes)
    if not 0 < len(quotes) <= MOST_BOXES:
        raise ValueError(f"an order has 1 to {MOST_BOXES} boxes, not {len(quotes)}")
    if len(quotes) == 1:
        return BasketQuote(quotes, quotes[0].first.quote, quotes[0].quote_hash)
    if len({_document_of(quote) for quote in quotes}) > 1:
        raise NotTogether
    document, shares = together([quote.first.quote for quote in quotes], rounding)
    text = json.dumps([document.content_hash, *(quote.quote_hash for quote in quotes)])
    items = tuple(
        replace(quote, first=replace(quote.first, quote=share))
        for quote, share in zip(quotes, shares, strict=True)
    )
    return BasketQuote(items, document, sha256(text.encode()).hexdigest())


def _document_of(quote: OrderQuote) -> tuple[str, bool, Treatment]:
    """Return what one invoice has once only."""
    first = quote.first
    return first.quote.currency, first.quote.inclusive, first.treatment
