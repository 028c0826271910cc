"""What sending paid boxes costs more when something is put into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import sqlalchemy as sa

from storefront.domain.boxes import boxes_per_period
from storefront.domain.money import Money
from storefront.domain.packing import option_keys
from storefront.domain.periods import Interval
from storefront.domain.recurring import PeriodTerms, SoldBeside
from storefront.domain.shipping import Delivery, with_shipping
from storefront.models import BoxItem, ProductVariant
from storefront.models.base import table_of
from storefront.operations.addons import OfferedAddon
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.shipping import read_delivery
from storefront.operations.skips import Coming
from storefront.operations.terms import option_texts, surcharges_of


def more_delivery(
    session: AnySession,
    coming: Coming,
    payer: AnyRow,
    addon: OfferedAddon,
    quantity: int,
    boxes: Sequence[AnyRow],
) -> Money:
    """Return what ``quantity`` pieces in each of ``boxes`` make dearer to send, in all.

    A box costs to send what a box of its plan costs by today's prices, once with what lies in
    it already and once with the pieces too (0081, 0147). Never below zero: what was paid stays.
    """
    row, delivery = coming.row, read_delivery(session)
    more = Money.zero(row.currency)
    if not delivery.zones:
        return more
    texts = option_texts(session, {row.now_plan_id})
    lying = _grams_in(session, [box.id for box in boxes])
    each = max(boxes_per_period(Interval(row.now_unit, row.now_count), _shipping(coming)), 1)
    for box in boxes:
        terms = PeriodTerms(
            plan_name="",
            plan_ref=row.now_plan_code,
            amount=Money(row.now_amount_minor // each, row.currency),
            interval=_shipping(coming),
            boxes=1,
            quantity=box.quantity,
            tax_rate=Decimal(0),
            inclusive=row.tax_inclusive,
            surcharges=surcharges_of(box.options, row.now_plan_id, row.currency, texts),
        )
        there = (_beside(Money.zero(row.currency), 1, lying.get(box.id, 0)),)
        added = _beside(addon.amount, quantity, addon.grams)
        before = _sent(replace(terms, beside=there), delivery, payer, box)
        after = _sent(replace(terms, beside=(*there, added)), delivery, payer, box)
        if after.minor > before.minor:
            more = more + (after - before)
    return more


def _shipping(coming: Coming) -> Interval:
    return Interval(coming.row.shipping_unit, coming.row.shipping_count)


def _beside(unit: Money, quantity: int, grams: int) -> SoldBeside:
    return SoldBeside("", "", unit, quantity, Decimal(0), False, grams)


def _sent(terms: PeriodTerms, delivery: Delivery, payer: AnyRow, box: AnyRow) -> Money:
    keys = option_keys(box.options or {})
    country, postcode = payer.country or "", payer.postcode or ""
    found = with_shipping(terms, delivery, country, postcode, keys).shipping
    return found or Money.zero(terms.amount.currency)


def _grams_in(session: AnySession, box_ids: Sequence[int]) -> dict[int, int]:
    """Return what the add-ons that lie in boxes weigh, by box."""
    item, variant = table_of(BoxItem), table_of(ProductVariant)
    rows = session.execute(
        sa.select(item.c.box_id, sa.func.sum(item.c.quantity * variant.c.weight_grams).label("g"))
        .join(variant, variant.c.id == item.c.variant_id)
        .where(item.c.box_id.in_(box_ids))
        .group_by(item.c.box_id)
    )
    return {row.box_id: int(row.g) for row in rows}
