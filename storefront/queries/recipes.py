"""What the recipe editor shows: scopes, ingredients, products to add, what a box brings in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.choices import Rule
from storefront.domain.money import Money
from storefront.domain.recipe_scopes import scope_of
from storefront.models import (
    BoxCycle,
    Option,
    OptionGroup,
    Plan,
    Price,
    Product,
    ProductVariant,
    Recipe,
    RecipeItem,
)
from storefront.models.base import table_of
from storefront.operations.choices import rules_of
from storefront.operations.keys import AnyRow


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """A plan as the editor needs it."""

    id: int
    public_id: str
    name: str
    code: str
    group_id: int | None
    tax_class: str
    #: Cheapest price of one box in the currency asked for, with tax inside or not, if any.
    box_price: Money | None
    is_inclusive: bool


@dataclass(frozen=True, slots=True)
class CycleFacts:
    """A cycle of the plan's group that can have a recipe of its own."""

    public_id: str
    key: str
    ship_from: date
    is_locked: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a question, as a recipe's key names it."""

    key: str
    name: str
    #: False: nobody can give it any more, and who did keeps it.
    is_offered: bool = True
    #: What it costs more per box, in minor units of the currency asked for.
    surcharge_minor: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the plan with the answers that a recipe can be for."""

    code: str
    name: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class WrittenRecipe:
    """A recipe as it is stored; ``items`` are (variant, pieces, whether it is chosen)."""

    option_key: str
    items: tuple[tuple[str, int, bool], ...]
    rule: Rule | None


@dataclass(frozen=True, slots=True)
class IngredientRow:
    """A variant that can be in a box."""

    public_id: str
    name: str
    sku: str
    picture: str
    cost: Money | None
    on_hand: int | None
    weight_grams: int
    allergens: tuple[str, ...]
    category: str
    price: Money | None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan in the list of recipes."""

    public_id: str
    name: str
    standing: int
    own: int


def plan_facts(session: AnySession, plan_ref: str, currency: str) -> PlanFacts | None:
    """Return the plan, None if there is no such plan or it ships nothing.

    Its box price is that in ``currency``: amounts of two currencies are never compared.
    """
    plan, price = table_of(Plan), table_of(Price)
    row = session.execute(
        sa.select(plan).where(plan.c.public_id == plan_ref, plan.c.ships.is_(True))
    ).one_or_none()
    if row is None:
        return None
    prices = session.execute(
        sa.select(price).where(
            price.c.plan_id == row.id,
            price.c.retired_at.is_(None),
            price.c.currency == currency,
        )
    ).all()
    per_box = [(_per_box(row, one), one) for one in prices if _per_box(row, one) is not None]
    best = min(per_box, key=lambda pair: pair[0] or 0) if per_box else None
    return PlanFacts(
        id=row.id,
        public_id=row.public_id,
        name=row.name,
        code=row.code,
        group_id=row.cycle_group_id,
        tax_class=row.tax_class,
        box_price=Money(best[0] or 0, best[1].currency) if best else None,
        is_inclusive=bool(best[1].tax_inclusive) if best else True,
    )


def _per_box(plan: AnyRow, price: AnyRow) -> int | None:
    """Return what one box costs at ``price`` in minor units, rounded down."""
    shipping, billing = plan._mapping, price._mapping
    months = {"month": 1, "year": 12}
    days = {"day": 1, "week": 7}
    for family in (months, days):
        if billing["unit"] in family and shipping["shipping_unit"] in family:
            paid = family[billing["unit"]] * billing["count"]
            sent = family[shipping["shipping_unit"]] * shipping["shipping_count"]
            return int(billing["amount_minor"]) * sent // paid
    return None


def recipe_plans(session: AnySession) -> list[PlanRow]:
    """Return the plans that ship, with how many recipes each has, standing and for cycles."""
    plan, recipe = table_of(Plan), table_of(Recipe)

    def counted(condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        return (
            sa.select(sa.func.count())
            .where(recipe.c.plan_id == plan.c.id, condition)
            .scalar_subquery()
        )

    rows = session.execute(
        sa.select(
            plan.c.public_id,
            plan.c.name,
            counted(recipe.c.cycle_id.is_(None)).label("standing"),
            counted(recipe.c.cycle_id.is_not(None)).label("own"),
        )
        .where(plan.c.ships.is_(True), plan.c.archived_at.is_(None))
        .order_by(plan.c.position, plan.c.id)
    )
    return [PlanRow(**row._mapping) for row in rows]


def cycles_for(session: AnySession, group_id: int | None, today: date) -> list[CycleFacts]:
    """Return the cycles of the group that have not left, the next twelve."""
    cycle = table_of(BoxCycle)
    rows = session.execute(
        sa.select(cycle.c.public_id, cycle.c.key, cycle.c.ship_from, cycle.c.lock_on)
        .where(cycle.c.group_id == group_id, cycle.c.ship_to >= today)
        .order_by(cycle.c.ship_from)
        .limit(12)
    )
    return [CycleFacts(r.public_id, r.key, r.ship_from, r.lock_on < today) for r in rows]


def cycle_for(
    session: AnySession, group_id: int | None, cycle_ref: str, today: date
) -> CycleFacts | None:
    """Return one cycle of the group, None if it has no such cycle."""
    cycle = table_of(BoxCycle)
    row = session.execute(
        sa.select(cycle.c.public_id, cycle.c.key, cycle.c.ship_from, cycle.c.lock_on).where(
            cycle.c.group_id == group_id, cycle.c.public_id == cycle_ref
        )
    ).one_or_none()
    if row is None:
        return None
    return CycleFacts(row.public_id, row.key, row.ship_from, row.lock_on < today)


def questions_of(session: AnySession, plan_id: int, currency: str) -> list[Question]:
    """Return the questions of the plan that have answers, in their order.

    What an answer costs is read in ``currency``. Those that are not offered any more
    come last: boxes of who gave them still need a recipe.
    """
    group, option = table_of(OptionGroup), table_of(Option)
    offered = option.c.archived_at.is_(None).label("is_offered")
    rows = session.execute(
        sa.select(
            group.c.code,
            group.c.name,
            option.c.code.label("choice"),
            option.c.name.label("word"),
            option.c.surcharges,
            offered,
        )
        .join(option, option.c.group_id == group.c.id)
        .where(group.c.plan_id == plan_id)
        .order_by(group.c.position, group.c.id, offered.desc(), option.c.position, option.c.id)
    ).all()
    answers: dict[str, list[Answer]] = defaultdict(list)
    for row in rows:
        surcharge = int((row.surcharges or {}).get(currency, 0))
        answers[row.code].append(
            Answer(f"{row.code}={row.choice}", row.word, bool(row.is_offered), surcharge)
        )
    names = {row.code: row.name for row in rows}
    return [Question(code, name, tuple(answers[code])) for code, name in names.items()]


def recipe_items(
    session: AnySession, plan_id: int, cycle_ref: str | None, option_key: str
) -> list[tuple[str, int]]:
    """Return (variant, pieces) of exactly this recipe in its order, empty if there is none."""
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    variant = table_of(ProductVariant)
    rows = session.execute(
        sa.select(variant.c.public_id, item.c.quantity)
        .join(item, item.c.variant_id == variant.c.id)
        .join(recipe, recipe.c.id == item.c.recipe_id)
        .where(recipe.c.plan_id == plan_id, recipe.c.option_key == option_key, _at(cycle_ref))
        .order_by(item.c.position, item.c.id)
    )
    return [(row.public_id, row.quantity) for row in rows]


def recipe_choice(
    session: AnySession, plan_id: int, cycle_ref: str | None, option_key: str
) -> tuple[frozenset[str], Rule | None]:
    """Return which variants of exactly this recipe are chosen from, and the rule for that."""
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    variant = table_of(ProductVariant)
    wanted = sa.and_(recipe.c.plan_id == plan_id, recipe.c.option_key == option_key, _at(cycle_ref))
    refs = session.scalars(
        sa.select(variant.c.public_id)
        .join(item, item.c.variant_id == variant.c.id)
        .join(recipe, recipe.c.id == item.c.recipe_id)
        .where(wanted, item.c.is_choice.is_(True))
    )
    return frozenset(refs), next(iter(rules_of(session, wanted).values()), None)


def written_recipes(
    session: AnySession, plan_id: int, cycle_ref: str | None
) -> list[WrittenRecipe]:
    """Return the recipes of this cycle, or the standing ones, the least specific first."""
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    variant = table_of(ProductVariant)
    mine = sa.and_(recipe.c.plan_id == plan_id, _at(cycle_ref))
    rows = session.execute(
        sa.select(
            recipe.c.id,
            recipe.c.option_key,
            variant.c.public_id,
            item.c.quantity,
            item.c.is_choice,
        )
        .join(item, item.c.recipe_id == recipe.c.id)
        .join(variant, variant.c.id == item.c.variant_id)
        .where(mine)
        .order_by(recipe.c.id, item.c.position, item.c.id)
    ).all()
    rules = rules_of(session, mine)
    items: dict[tuple[int, str], list[tuple[str, int, bool]]] = defaultdict(list)
    for row in rows:
        items[row.id, row.option_key].append((row.public_id, row.quantity, row.is_choice))
    found = [WrittenRecipe(key, tuple(own), rules.get(at)) for (at, key), own in items.items()]
    return sorted(found, key=_widest)


def _widest(recipe: WrittenRecipe) -> tuple[bool, bool, int, str]:
    scope = scope_of(recipe.option_key)
    return bool(scope.countries), scope.names_boxes, len(scope.answers), recipe.option_key


def _at(cycle_ref: str | None) -> sa.ColumnElement[bool]:
    """Return the condition on ``recipe`` for those of a cycle, or for the standing ones."""
    recipe, cycle = table_of(Recipe), table_of(BoxCycle)
    if cycle_ref is None:
        return recipe.c.cycle_id.is_(None)
    return recipe.c.cycle_id == (
        sa.select(cycle.c.id).where(cycle.c.public_id == cycle_ref).scalar_subquery()
    )


def ingredients(session: AnySession, refs: Sequence[str] | None = None) -> dict[str, IngredientRow]:
    """Return the variants of ``refs``, or all that can be added, by name."""
    variant, product = table_of(ProductVariant), table_of(Product)
    statement = (
        sa.select(
            variant,
            sa.func.trim(product.c.name + " " + variant.c.name).label("full_name"),
            product.c.picture,
            product.c.allergens,
            product.c.category,
        )
        .join(product, product.c.id == variant.c.product_id)
        .order_by(sa.func.lower(product.c.name), variant.c.id)
    )
    if refs is None:
        statement = statement.where(
            variant.c.archived_at.is_(None), product.c.archived_at.is_(None)
        )
    else:
        statement = statement.where(variant.c.public_id.in_(refs))
    return {
        row.public_id: IngredientRow(
            public_id=row.public_id,
            name=row.full_name,
            sku=row.sku,
            picture=row.picture,
            cost=Money(row.cost_minor, row.currency) if row.cost_minor is not None else None,
            on_hand=row.on_hand if row.is_counted else None,
            weight_grams=row.weight_grams,
            allergens=tuple(row.allergens),
            category=row.category,
            price=Money(row.price_minor, row.currency) if row.price_minor is not None else None,
        )
        for row in session.execute(statement)
    }
