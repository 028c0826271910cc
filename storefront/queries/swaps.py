"""What the page shows on which a subscriber takes something else instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.domain.swaps import SwapBar
from storefront.models import Plan, Product, ProductVariant, SwapOffer
from storefront.models.base import table_of
from storefront.operations.choosing import open_boxes
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.swapping import SwapLine, SwapOffers, swap_offers_for
from storefront.queries.choices import coming_at


@dataclass(frozen=True, slots=True)
class Item:
    """A product by its name, with what it is worth at retail price."""

    public_id: str
    name: str
    maker: str
    sku: str
    #: A silhouette of the still lifes, or None when the product names none.
    kind: str | None
    price: Money | None
    allergens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """Something that may come instead; ``bar`` says why it cannot now, empty when it can."""

    item: Item
    bar: str


@dataclass(frozen=True, slots=True)
class Line:
    """One product of the recipe; ``instead`` is what comes by now, None for itself."""

    own: Item
    pieces: int
    instead: Item | None
    is_standing: bool
    offered: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class SwapPage:
    """The next box of a subscription and what may be swapped in it."""

    subscription: str
    plan: str
    cycle: str
    ship_from: date
    is_monthly: bool
    #: False: the box may not change any more, or its turn comes later.
    is_open: bool
    #: Last second in which it may be changed.
    until: datetime
    quantity: int
    lines: tuple[Line, ...]


def swap_page(
    session: AnySession,
    customer_id: int,
    subscription: str,
    cycle: str,
    moment: Moment,
    *,
    by_staff: bool = False,
) -> SwapPage | None:
    """Return the page, None where there is no such box or nothing to swap in it."""
    found = coming_at(session, customer_id, subscription, cycle, moment)
    if found is None:
        return None
    coming, at = found
    boxes = open_boxes(session, coming, moment.today, by_staff=by_staff)
    is_open = bool(boxes) and boxes[0].cycle.id == at.id
    offers = swap_offers_for(session, coming.row.id, boxes[0]) if is_open else None
    if is_open and offers is None:
        return None
    day = at.lock_on if by_staff else at.cutoff_on
    return SwapPage(
        subscription=coming.row.public_id,
        plan=coming.row.plan_name,
        cycle=at.public_id,
        ship_from=at.ship_from,
        is_monthly=coming.standing.shipping.months is not None,
        is_open=is_open,
        until=moment.start_of(day + timedelta(days=1)) - timedelta(seconds=1),
        quantity=boxes[0].quantity if is_open else 0,
        lines=tuple(line_of(one, offers) for one in offers.lines) if offers else (),
    )


def line_of(line: SwapLine, offers: SwapOffers) -> Line:
    """Return one product of the recipe with what may come instead, as pages show it.

    What the subscriber does not tolerate is not offered; what is sold out is named.
    """
    facts = offers.facts
    return Line(
        _item(facts[line.variant]),
        line.pieces,
        None if line.instead is None else _item(facts[line.instead]),
        line.is_standing,
        tuple(
            Offered(_item(facts[one.variant]), one.bar.value if one.bar else "")
            for one in line.alternatives
            if one.bar is not SwapBar.ALLERGEN
        ),
    )


def _item(row: AnyRow) -> Item:
    return Item(
        row.public_id,
        row.name,
        row.vendor,
        row.sku,
        (row.picture or "").replace("_", "-") or None,
        Money(row.price_minor, row.currency) if row.price_minor is not None else None,
        tuple(sorted(row.allergens)),
    )


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A product that subscribers of a plan may take instead, or could be allowed to."""

    public_id: str
    name: str
    sku: str
    category: str
    price: Money | None
    #: None: not counted.
    on_hand: int | None
    is_offered: bool


def offer_rows(session: AnySession, plan_ref: str) -> list[OfferRow]:
    """Return every product that is not archived, those offered first in the merchant's order."""
    plan, offer = table_of(Plan), table_of(SwapOffer)
    variant, product = table_of(ProductVariant), table_of(Product)
    mine = sa.select(plan.c.id).where(plan.c.public_id == plan_ref).scalar_subquery()
    rows = session.execute(
        sa.select(
            variant.c.public_id,
            variant.c.sku,
            variant.c.price_minor,
            variant.c.currency,
            variant.c.is_counted,
            variant.c.on_hand,
            product.c.category,
            offer.c.id.label("offer_id"),
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(product, product.c.id == variant.c.product_id)
        .outerjoin(offer, sa.and_(offer.c.variant_id == variant.c.id, offer.c.plan_id == mine))
        .where(
            sa.or_(
                offer.c.id.is_not(None),
                sa.and_(variant.c.archived_at.is_(None), product.c.archived_at.is_(None)),
            )
        )
        .order_by(offer.c.id.is_(None), offer.c.position, product.c.category, product.c.name)
    )
    return [
        OfferRow(
            row.public_id,
            row.name,
            row.sku,
            row.category,
            Money(row.price_minor, row.currency) if row.price_minor is not None else None,
            row.on_hand if row.is_counted else None,
            row.offer_id is not None,
        )
        for row in rows
    ]
