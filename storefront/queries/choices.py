"""What the page shows on which a subscriber chooses what is in their next box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.choices import Fault, PoolItem, Rule, refusals
from storefront.domain.money import Money
from storefront.models import Product, ProductVariant, Subscription
from storefront.models.base import table_of
from storefront.operations.choosing import Offer, OpenBox, offer_for, open_boxes
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.skips import Coming, read_coming


@dataclass(frozen=True, slots=True)
class Choosable:
    """One product of the pool."""

    variant: int
    public_id: str
    name: str
    #: Who made it.
    maker: str
    sku: str
    #: A silhouette of the still lifes, or None when the product names none.
    kind: str | None
    category: str
    allergens: tuple[str, ...]
    price: Money | None
    #: Most of it in one box, and how often it still is there; None: never runs out.
    most: int
    left: int | None
    #: Why it cannot be chosen (``domain.choices.Bar``); empty when it can.
    bar: str
    chosen: int


@dataclass(frozen=True, slots=True)
class NextBox:
    """The first box that may still be chosen for."""

    cycle: str
    ship_from: date


@dataclass(frozen=True, slots=True)
class ChoicePage:
    """What may be chosen for one box."""

    subscription: str
    plan: str
    cycle: str
    ship_from: date
    is_monthly: bool
    #: False: the box cannot be chosen for any more, or not yet; only ``instead`` counts then.
    is_open: bool
    instead: NextBox | None
    #: Last second in which it may be changed.
    until: datetime
    quantity: int
    rule: Rule | None
    value: Money | None
    rows: tuple[Choosable, ...]
    #: What comes in any case, with the words for the allergens in it.
    always: tuple[tuple[str, tuple[str, ...]], ...]
    is_chosen: bool
    #: What is wrong with a choice that was saved: something ran out since, or is not tolerated.
    faults: tuple[Fault, ...]
    #: Names of what was chosen and is in the pool no more, by variant.
    gone: Mapping[int, str]
    #: Words for allergens in the box or answered, with whether they are avoided.
    allergens: tuple[tuple[str, bool], ...]


def coming_at(
    session: AnySession, customer_id: int, subscription: str, cycle: str, moment: Moment
) -> tuple[Coming, AnyRow] | None:
    """Return a customer's subscription and one of its cycles; None where there is no such."""
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    for coming in read_coming(session, which, moment.today):
        for row in coming.cycles.values():
            if row.public_id == cycle:
                return coming, row
    return None


def choice_page(
    session: AnySession,
    customer_id: int,
    subscription: str,
    cycle: str,
    moment: Moment,
    *,
    by_staff: bool = False,
) -> ChoicePage | None:
    """Return the page, None where there is no such box or nothing to choose for it."""
    found = coming_at(session, customer_id, subscription, cycle, moment)
    if found is None:
        return None
    coming, at = found
    boxes = open_boxes(session, coming, moment.today, by_staff=by_staff)
    if not boxes or boxes[0].cycle.id != at.id:
        first = next((box.cycle for box in boxes), None)
        instead = NextBox(first.public_id, first.ship_from) if first else None
        return _closed(coming, at, instead, moment)
    offer = offer_for(session, coming.row.id, boxes[0])
    if offer is None or offer.recipe.rule is None:
        return None
    return _page(session, coming, boxes[0], offer, moment, by_staff=by_staff)


def _page(
    session: AnySession,
    coming: Coming,
    box: OpenBox,
    offer: Offer,
    moment: Moment,
    *,
    by_staff: bool,
) -> ChoicePage:
    return pool_page(
        session,
        box,
        offer,
        offer.subscriber.chosen or {},
        moment,
        subscription=coming.row.public_id,
        plan=coming.row.plan_name,
        is_monthly=coming.standing.shipping.months is not None,
        until_on=box.cycle.lock_on if by_staff else box.cycle.cutoff_on,
    )


def pool_page(
    session: AnySession,
    box: OpenBox,
    offer: Offer,
    chosen: Mapping[int, int],
    moment: Moment,
    *,
    subscription: str,
    plan: str,
    is_monthly: bool,
    until_on: date,
) -> ChoicePage:
    """Return the page of a box that is chosen for, with ``chosen`` (by variant) in it."""
    rule = offer.recipe.rule
    assert rule is not None
    pool = {item.variant for item in offer.pool}
    words = _words(session, [*pool, *(chosen.keys() - pool)])
    fixed = _words(session, [variant for variant, _pieces in offer.recipe.items])
    contained = {word for item in offer.pool for word in item.allergens}
    contained |= {word for row in fixed.values() for word in row.allergens}
    avoided = offer.subscriber.avoided
    currency = next((row.currency for row in words.values()), "")
    return ChoicePage(
        subscription=subscription,
        plan=plan,
        cycle=box.cycle.public_id,
        ship_from=box.cycle.ship_from,
        is_monthly=is_monthly,
        is_open=True,
        instead=None,
        until=_last_second(until_on, moment),
        quantity=box.quantity,
        rule=rule,
        value=Money(rule.value, currency) if rule.value is not None else None,
        rows=tuple(_row(item, words[item.variant], offer, chosen) for item in offer.pool),
        always=tuple(
            (_times(fixed[key].name, pieces), tuple(sorted(fixed[key].allergens)))
            for key, pieces in offer.recipe.items
        ),
        is_chosen=bool(chosen),
        faults=tuple(refusals(rule, offer.pool, offer.barred, chosen)) if chosen else (),
        gone={key: row.name for key, row in words.items() if key not in pool},
        allergens=tuple((word, word in avoided) for word in sorted(contained | avoided))
        if rule.avoids_allergens
        else (),
    )


def _closed(coming: Coming, at: AnyRow, instead: NextBox | None, moment: Moment) -> ChoicePage:
    return ChoicePage(
        subscription=coming.row.public_id,
        plan=coming.row.plan_name,
        cycle=at.public_id,
        ship_from=at.ship_from,
        is_monthly=coming.standing.shipping.months is not None,
        is_open=False,
        instead=instead,
        until=_last_second(at.cutoff_on, moment),
        quantity=0,
        rule=None,
        value=None,
        rows=(),
        always=(),
        is_chosen=False,
        faults=(),
        gone={},
        allergens=(),
    )


def _row(item: PoolItem, row: AnyRow, offer: Offer, chosen: Mapping[int, int]) -> Choosable:
    bar = offer.barred.get(item.variant)
    return Choosable(
        variant=item.variant,
        public_id=row.public_id,
        name=row.name,
        maker=row.vendor,
        sku=row.sku,
        kind=(row.picture or "").replace("_", "-") or None,
        category=row.category,
        allergens=tuple(sorted(item.allergens)),
        price=Money(row.price_minor, row.currency) if row.price_minor is not None else None,
        most=item.most,
        left=item.left,
        bar=bar.value if bar else "",
        chosen=chosen.get(item.variant, 0),
    )


def _words(session: AnySession, variants: list[int]) -> dict[int, AnyRow]:
    if not variants:
        return {}
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(
            variant.c.id,
            variant.c.public_id,
            variant.c.sku,
            variant.c.price_minor,
            variant.c.currency,
            product.c.vendor,
            product.c.category,
            product.c.picture,
            product.c.allergens,
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(variants))
    )
    return {row.id: row for row in rows}


def _times(name: str, pieces: int) -> str:
    return f"{pieces} × {name}" if pieces > 1 else name


def _last_second(day: date, moment: Moment) -> datetime:
    return moment.start_of(day + timedelta(days=1)) - timedelta(seconds=1)
