"""Gather what decides the price of a subscription's next period: one way for charge and preview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.packing import option_keys
from storefront.domain.periods import Interval
from storefront.domain.recurring import PeriodTerms, Phase
from storefront.domain.shipping import INCLUDED, Delivery, with_shipping
from storefront.domain.stacking import with_discounts
from storefront.domain.tax_treatment import TaxRules
from storefront.models import Option, OptionGroup
from storefront.models.base import table_of
from storefront.operations.addons import beside_of
from storefront.operations.discounts import Place, held_by
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.taxes import tax_on

#: (plan id, group code, option code) -> (text for the line, minor units by currency).
OptionTexts = Mapping[tuple[int, str, str], tuple[str, Mapping[str, int]]]


def terms_of(
    row: AnyRow,
    boxes: int,
    discounts: Sequence[AnyRow],
    options: OptionTexts,
    taxes: TaxRules,
    on: date | None = None,
    *,
    delivery: Delivery = INCLUDED,
    ahead: int = 0,
    addons: Sequence[AnyRow] = (),
) -> PeriodTerms:
    """Return the terms of the period that starts ``on``, by default at ``row.next_on``.

    ``row`` has the columns of the subscription, its plan, price, payer (``buyer_columns``)
    and address by the names used here. The tax is that of the period's first day. Raises
    ``NoRate``. It is the ``ahead``-th billed period after the next one. ``addons`` are
    those of ``running_addons``.
    """
    country = row.country or taxes.seller_country
    taxed = tax_on(row, row.tax_class, on or row.next_on, taxes)
    plain = PeriodTerms(
        plan_name=row.plan_name,
        plan_ref=row.plan_code,
        amount=Money(row.amount_minor, row.currency),
        interval=Interval(row.unit, row.unit_count),
        boxes=boxes,
        quantity=row.quantity,
        tax_rate=taxed.rate,
        inclusive=row.tax_inclusive,
        surcharges=surcharges_of(row.options, row.plan_id, row.currency, options),
        phases=phases_of(row.phases, row.currency),
        boxes_before=row.boxes_billed + ahead * max(boxes, 1),
        beside=beside_of(row, addons, boxes, taxes, on or row.next_on, ahead),
        rounding=taxes.rounding,
        treatment=taxed.treatment,
        tax_source=taxed.source,
    )
    keys = option_keys(row.options or {})
    sent = with_shipping(plain, delivery, country, row.postcode or "", keys)
    if not discounts:
        return sent
    held = held_by(discounts, Place(row.plan_code, plain.interval, country, on or row.next_on))
    now = row.billed_count + 1
    return with_discounts(sent, held, now + ahead, now)


def phases_of(kept: Sequence[Mapping[str, int]], currency: str) -> tuple[Phase, ...]:
    """Return the introductory prices of a price row."""
    return tuple(Phase(one["boxes"], Money(one["amount_minor"], currency)) for one in kept)


def surcharges_of(
    chosen: Mapping[str, str] | None, plan_id: int, currency: str, options: OptionTexts
) -> tuple[tuple[str, str, Money], ...]:
    """Return (text, ref, surcharge per box) of the ``chosen`` options that the plan knows."""
    found = []
    for group, option in sorted((chosen or {}).items()):
        text, minor = options.get((plan_id, group, option), ("", {}))
        if minor.get(currency):
            found.append((text, f"{group}={option}", Money(minor[currency], currency)))
    return tuple(found)


def option_texts(session: AnySession, plan_ids: set[int]) -> OptionTexts:
    """Return texts and surcharges of the options of plans; no statement for no plan."""
    if not plan_ids:
        return {}
    return texts_from(session.execute(options_statement(), {"of_plans": sorted(plan_ids)}))


def texts_from(rows: Iterable[AnyRow]) -> OptionTexts:
    """Return the texts and surcharges that ``options_statement`` found."""
    return {
        (row.plan_id, row.code, row.option_code): (f"{row.name}: {row.option_name}", row.surcharges)
        for row in rows
    }


@cache
def options_statement() -> AnySelect:
    """The options of the plans ``of_plans``; built once."""
    group, option = table_of(OptionGroup), table_of(Option)
    return (
        sa.select(
            group.c.plan_id,
            group.c.code,
            group.c.name,
            option.c.code.label("option_code"),
            option.c.name.label("option_name"),
            option.c.surcharges,
        )
        .join(option, option.c.group_id == group.c.id)
        .where(any_of(group.c.plan_id, "of_plans"))
    )
