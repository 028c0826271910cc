"""Builders of what is sold: shop, plans, prices, cycles, products, codes.

Re-exported by ``storefront.testing.factories``, which tests import.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count, groupby
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.boxes import CycleState
from storefront.domain.coupons import normalise_code
from storefront.domain.cycles import CycleRhythm, plan_cycles
from storefront.domain.periods import Interval
from storefront.models import (
    Addon,
    BoxCycle,
    Coupon,
    CycleGroup,
    NumberSeries,
    Option,
    OptionGroup,
    Plan,
    Price,
    Product,
    ProductVariant,
    PromotionCode,
    Recipe,
    RecipeItem,
    ShopSettings,
)
from storefront.models.base import Base, public_id, table_of
from storefront.operations.invoices import CREDIT_NOTES, INVOICES
from storefront.runtime import Runtime
from storefront.testing.repeating import repeatable

_numbers = count(1)

#: How many cycles a new group gets.
CYCLES = 14


def save(rt: Runtime, *rows: Base) -> None:
    """Write ``rows``, commit, and detach them with every column loaded."""
    rt.session.add_all(rows)
    rt.session.flush()
    for model, of_it in groupby(rows, key=type):
        # Read again with one statement, however many there are.
        keys = [row.id for row in of_it]  # type: ignore[attr-defined]
        key = table_of(model).c.id
        found: sa.Select[Any] = sa.select(model).where(key.in_(keys))
        rt.session.scalars(found.execution_options(populate_existing=True)).all()
    for row in rows:
        rt.session.expunge(row)
    rt.session.commit()


@repeatable
def make_shop(rt: Runtime, **values: Any) -> None:
    """Set the shop up (Nine Kettles in Berlin, in euros) or change its settings."""
    row = rt.session.get(ShopSettings, 1)
    if row is None:
        defaults: dict[str, Any] = {
            "id": 1,
            "name": "Nine Kettles",
            "line": "Nine kettles. One of them is yours.",
            "support_email": "hello@ninekettles.example",
            "seller_name": "Nine Kettles GmbH",
            "seller_address": "Teeweg 9\n10115 Berlin",
            "seller_country": "DE",
            "zone": "Europe/Berlin",
            "currency": "EUR",
            "locale": "en",
            "countries": ["DE", "AT", "FR"],
        }
        rt.session.add(ShopSettings(**defaults | values))
    else:
        for name, value in values.items():
            setattr(row, name, value)
    _series(rt)
    rt.session.commit()
    rt.forget_shop()


def _series(rt: Runtime) -> None:
    for code in (INVOICES, CREDIT_NOTES):
        if rt.session.get(NumberSeries, code) is None:
            rt.session.add(NumberSeries(code=code, prefix="", next_number=1))
    rt.session.flush()


@repeatable
def make_group(rt: Runtime, *, cycles: int = CYCLES, **values: Any) -> CycleGroup:
    """Return a monthly group charged on the 12th (cut-off 11th, lock 15th, ship 18th)."""
    _series(rt)
    defaults: dict[str, Any] = {
        "public_id": public_id("grp"),
        "code": f"group-{next(_numbers)}",
        "name": "Monthly boxes",
        "unit": "month",
        "count": 1,
        "charge_day": 12,
        "anchor_on": rt.today().replace(day=1),
        "cutoff_days": 1,
        "lock_days": 3,
        "ship_days": 6,
        "ship_window_days": 2,
    }
    group = CycleGroup(**defaults | values)
    save(rt, group)
    make_cycles(rt, group, cycles)
    return group


@repeatable
def make_cycles(rt: Runtime, group: CycleGroup, many: int) -> list[BoxCycle]:
    """Give ``group`` its first ``many`` cycles from its anchor on, all planned."""
    rhythm = CycleRhythm(
        Interval(cast(Any, group.unit), group.count),
        group.charge_day,
        group.anchor_on,
        group.cutoff_days,
        group.lock_days,
        group.ship_days,
        group.ship_window_days,
    )
    until = group.anchor_on + timedelta(days=400 * max(many, 1))
    cycles = [
        BoxCycle(
            public_id=public_id("cyc"),
            group_id=group.id,
            key=dates.key,
            charge_on=dates.charge_on,
            cutoff_on=dates.cutoff_on,
            lock_on=dates.lock_on,
            ship_from=dates.ship_from,
            ship_to=dates.ship_to,
            planned_from=dates.planned_from,
            state=CycleState.PLANNED,
        )
        for dates in plan_cycles(rhythm, group.anchor_on, until)[:many]
    ]
    save(rt, *cycles)
    return cycles


@repeatable
def make_plan(
    rt: Runtime,
    *,
    group: CycleGroup | None = None,
    amount_minor: int | None = 2600,
    unit: str = "month",
    count: int = 1,
    **values: Any,
) -> Plan:
    """Return a shipping plan of 26.00 a month with its price and its cycles.

    ``amount_minor=None`` makes no price; ``ships=False`` no cycle group.
    """
    _series(rt)
    ships = values.get("ships", True)
    if ships and group is None and "cycle_group_id" not in values:
        group = make_group(rt)
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "public_id": public_id("plan"),
        "code": f"plan-{number}",
        "name": "Pot",
        "tagline": "Four teas, chosen by you",
        "description": "",
        "benefits": ["Four teas a box", "Skip any box"],
        "ships": ships,
        "cycle_group_id": group.id if group else None,
        "position": number,
        "created_at": rt.now(),
    }
    plan = Plan(**defaults | values)
    save(rt, plan)
    if amount_minor is not None:
        make_price(rt, plan, amount_minor=amount_minor, unit=unit, count=count)
    return plan


@repeatable
def make_price(
    rt: Runtime,
    plan: Plan,
    *,
    amount_minor: int = 2600,
    unit: str = "month",
    count: int = 1,
    **values: Any,
) -> Price:
    """Return one version of a price in euros, tax inside; the next version if there is one."""
    currency = values.get("currency", "EUR")
    seen = rt.session.scalar(
        sa.select(sa.func.max(Price.version)).where(
            Price.plan_id == plan.id,
            Price.currency == currency,
            Price.unit == unit,
            Price.count == count,
        )
    )
    defaults: dict[str, Any] = {
        "public_id": public_id("pri"),
        "plan_id": plan.id,
        "currency": currency,
        "unit": unit,
        "count": count,
        "version": (seen or 0) + 1,
        "amount_minor": amount_minor,
        "created_at": rt.now(),
    }
    price = Price(**defaults | values)
    save(rt, price)
    return price


@repeatable
def price_of(rt: Runtime, plan: Plan) -> Price:
    """Return the first unretired price of ``plan``, detached. Raises ``LookupError``."""
    price = rt.session.scalar(
        sa.select(Price)
        .where(Price.plan_id == plan.id, Price.retired_at.is_(None))
        .order_by(Price.id)
    )
    if price is None:
        raise LookupError(f"plan {plan.code} has no price")
    rt.session.expunge(price)
    rt.session.rollback()
    return price


@repeatable
def make_options(
    rt: Runtime, plan: Plan, *, code: str = "taste", choices: Sequence[tuple[str, str, int]] = ()
) -> OptionGroup:
    """Ask a question about the box; ``choices`` are (code, name, surcharge in euro cents)."""
    group = OptionGroup(plan_id=plan.id, code=code, name="How do you like it?")
    save(rt, group)
    chosen = choices or (("mild", "Mild", 0), ("strong", "Strong", 0))
    save(
        rt,
        *[
            Option(
                group_id=group.id,
                code=each,
                name=name,
                position=position,
                surcharges={"EUR": minor} if minor else {},
            )
            for position, (each, name, minor) in enumerate(chosen)
        ],
    )
    return group


@repeatable
def make_variant(
    rt: Runtime, *, name: str = "", on_hand: int = 1000, **values: Any
) -> ProductVariant:
    """Return the only variant of a new product, with stock."""
    number = next(_numbers)
    product = Product(
        public_id=public_id("prod"),
        name=name or f"Tea {number}",
        source_ref=f"own-{number}",
        created_at=rt.now(),
    )
    save(rt, product)
    defaults: dict[str, Any] = {
        "public_id": public_id("var"),
        "product_id": product.id,
        "sku": f"SKU-{number}",
        "weight_grams": 120,
        "cost_minor": 350,
        "currency": "EUR",
        "on_hand": on_hand,
    }
    variant = ProductVariant(**defaults | values)
    save(rt, variant)
    return variant


@repeatable
def make_addon(
    rt: Runtime,
    amount_minor: int = 900,
    *,
    name: str = "Tin",
    variant: ProductVariant | None = None,
    **values: Any,
) -> Addon:
    """Return an add-on in euros that every plan may bring; without ``variant`` a service."""
    defaults: dict[str, Any] = {
        "public_id": public_id("adn"),
        "name": name,
        "variant_id": variant.id if variant else None,
        "amounts": {"EUR": amount_minor},
        "created_at": rt.now(),
    }
    addon = Addon(**defaults | values)
    save(rt, addon)
    return addon


@repeatable
def make_recipe(
    rt: Runtime,
    plan: Plan,
    *,
    cycle: BoxCycle | None = None,
    variants: Sequence[ProductVariant] = (),
    option_key: str = "",
) -> Recipe:
    """Say what goes into the boxes of ``plan``: for one cycle, or standing."""
    recipe = Recipe(
        public_id=public_id("rec"),
        plan_id=plan.id,
        cycle_id=cycle.id if cycle else None,
        option_key=option_key,
    )
    save(rt, recipe)
    items = [
        RecipeItem(recipe_id=recipe.id, variant_id=variant.id, position=position)
        for position, variant in enumerate(variants or [make_variant(rt)])
    ]
    save(rt, *items)
    return recipe


@repeatable
def make_code(
    rt: Runtime,
    code: str = "LEMON",
    *,
    percent: int | None = 10,
    amount_minor: int = 0,
    duration: str = "once",
    cycles: int = 1,
    **values: Any,
) -> Coupon:
    """Return a coupon that ``code`` stands for: 10 % off the first payment.

    ``percent=None`` takes ``amount_minor`` off instead.
    """
    defaults: dict[str, Any] = {
        "public_id": public_id("cou"),
        "name": f"Coupon {code}",
        "kind": "percent" if percent is not None else "fixed",
        "percent_bp": (percent or 0) * 100,
        "amount_minor": amount_minor,
        "currency": "" if percent is not None else "EUR",
        "duration": duration,
        "duration_cycles": cycles,
        "created_at": rt.now(),
    }
    coupon = Coupon(**defaults | values)
    save(rt, coupon)
    save(
        rt,
        PromotionCode(coupon_id=coupon.id, code=normalise_code(code), created_at=rt.now()),
    )
    return coupon
