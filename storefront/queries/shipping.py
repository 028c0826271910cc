"""What boxes weigh for delivery, and what the standing recipes weigh."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import sqlalchemy as sa

from storefront.domain.choices import PoolItem, Rule, fill
from storefront.domain.lifecycle import ENDED
from storefront.domain.shipping import Zone
from storefront.models import (
    Address,
    BoxWeight,
    Option,
    OptionGroup,
    Plan,
    Product,
    ProductVariant,
    Recipe,
    RecipeItem,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.choices import rules_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.undeliverable import is_refused


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One box of a plan, or of one option of it; grams are None where nothing is known."""

    plan: str
    plan_name: str
    option_key: str
    option_name: str
    grams: int | None
    #: What the standing recipe of exactly this scope weighs today.
    recipe_grams: int | None


@dataclass(frozen=True, slots=True)
class Served:
    """Where the shop sends to: countries (none: all of them), but for blocked zones."""

    countries: Sequence[str]
    zones: Sequence[Zone]


def cut_off_by(session: AnySession, before: Served, after: Served) -> int:
    """Return how many running subscriptions get no box any more once all is ``after``."""
    subscription, address = table_of(Subscription), table_of(Address)
    plan = table_of(Plan)
    places = session.execute(
        sa.select(address.c.country, address.c.postcode, sa.func.count().label("number"))
        .select_from(subscription)
        .join(address, address.c.id == subscription.c.address_id)
        .join(plan, plan.c.id == subscription.c.plan_id)
        .where(plan.c.ships, subscription.c.state.not_in(ENDED))
        .group_by(address.c.country, address.c.postcode)
    )
    return sum(
        one.number
        for one in places
        if is_refused(one, after.countries, after.zones)
        and not is_refused(one, before.countries, before.zones)
    )


def weight_rows(session: AnySession) -> list[WeightRow]:
    """Return every box that may have a weight: plans that ship, each followed by its options."""
    plan, table = table_of(Plan), table_of(BoxWeight)
    kept = {(row.plan_id, row.option_key): row.grams for row in session.execute(sa.select(table))}
    recipes, options = _recipes(session), _options(session)
    found: list[WeightRow] = []
    for row in session.execute(
        sa.select(plan.c.id, plan.c.code, plan.c.name)
        .where(plan.c.ships.is_(True), plan.c.archived_at.is_(None))
        .order_by(plan.c.position, plan.c.id)
    ):
        for key, name in (("", ""), *options.get(row.id, ())):
            scope = (row.id, key)
            found.append(
                WeightRow(row.code, row.name, key, name, kept.get(scope), recipes.get(scope))
            )
    return found


def _options(session: AnySession) -> dict[int, list[tuple[str, str]]]:
    group, option = table_of(OptionGroup), table_of(Option)
    rows = session.execute(
        sa.select(
            group.c.plan_id, group.c.code, group.c.name, option.c.code.label("choice"),
            option.c.name.label("choice_name"),
        )
        .join(option, option.c.group_id == group.c.id)
        .where(option.c.archived_at.is_(None))
        .order_by(group.c.position, group.c.id, option.c.position, option.c.id)
    )  # fmt: skip
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        found[row.plan_id].append((f"{row.code}={row.choice}", f"{row.name}: {row.choice_name}"))
    return found


def _recipes(session: AnySession) -> dict[tuple[int, str], int]:
    """Return grams by plan and answers; of a pool what the default rule takes for one box."""
    recipe, item, variant = table_of(Recipe), table_of(RecipeItem), table_of(ProductVariant)
    product, standing = table_of(Product), recipe.c.cycle_id.is_(None)
    rules = rules_of(session, standing)
    rows = session.execute(
        sa.select(
            recipe.c.id, recipe.c.plan_id, recipe.c.option_key, item.c.variant_id,
            item.c.quantity, item.c.is_choice, variant.c.weight_grams, variant.c.price_minor,
            product.c.category,
        )
        .join(item, item.c.recipe_id == recipe.c.id)
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(standing)
        .order_by(recipe.c.id, item.c.position, item.c.id)
    )  # fmt: skip
    return {
        (lines[0].plan_id, lines[0].option_key): _grams(lines, rules.get(key))
        for key, group in groupby(rows, key=attrgetter("id"))
        if (lines := list(group))
    }


def _grams(lines: Sequence[AnyRow], rule: Rule | None) -> int:
    pool = [
        PoolItem(line.variant_id, line.quantity, line.category, line.price_minor or 0)
        for line in lines
        if line.is_choice
    ]
    filled = fill(rule, pool, {}, {}) if rule and pool else None
    picks = filled.picks if filled else {}
    return sum(
        line.weight_grams * (picks.get(line.variant_id, 0) if line.is_choice else line.quantity)
        for line in lines
    )
