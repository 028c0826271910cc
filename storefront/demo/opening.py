"""Open the demo shop: write its settings, plans, products, stock, recipes, codes and staff."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.adapters.html import plain_html
from storefront.demo import catalogue, pages
from storefront.demo.catalogue import CodeData, PlanData, ProductData
from storefront.demo.words import (
    ADDON_HINTS,
    ALLERGEN_WORDS,
    CAFFEINE_WORDS,
    PLAN_WORDS,
    PRODUCT_WORDS,
)
from storefront.domain.carriers.presets import PRESETS
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.shipping import Area, Band, Tariff
from storefront.models import (
    BoxCycle,
    CycleGroup,
    NumberSeries,
    Option,
    OptionGroup,
    Plan,
    Price,
    Product,
    ProductVariant,
    ShopSettings,
    Staff,
)
from storefront.models.base import public_id, table_of
from storefront.operations.audit import Who
from storefront.operations.invoices import CREDIT_NOTES, INVOICES
from storefront.runtime import Runtime
from storefront.services.addon_catalogue import AddonDraft, save_addon
from storefront.services.content import PageDraft, QuestionDraft, save_page, save_question
from storefront.services.export_formats import save_format
from storefront.services.leaving_offers import OfferDraft, add_offer
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.places import set_places
from storefront.services.plans import save_plan, set_price
from storefront.services.promotions import CouponDraft, add_coupon
from storefront.services.shipping import ZoneDraft, save_weights, save_zone
from storefront.services.staff import add_staff, ensure_roles
from storefront.services.stock import adjust_stock

#: Pieces of each product that the shop opens with, and that a delivery brings.
FIRST_STOCK = 260
DELIVERY = 320
#: A delivery is ordered when fewer are left than the next boxes may need.
REORDER_AT = 300


def open_shop(rt: Runtime, last_day: date) -> None:
    """Write the whole shop as of the present instant; ``last_day`` is where its story ends.

    Prices are the early ones (see ``change_prices``). Commits.
    """
    rt.session.merge(ShopSettings(id=1, **catalogue.SHOP))
    rt.session.merge(NumberSeries(code=INVOICES, prefix="NK-", next_number=1))
    rt.session.merge(NumberSeries(code=CREDIT_NOTES, prefix="NKC-", next_number=1))
    rt.session.commit()
    rt.forget_shop()
    group = CycleGroup(
        public_id=public_id("grp"), anchor_on=rt.today().replace(day=1), **catalogue.GROUP
    )
    rt.session.add(group)
    rt.session.flush()
    for position, data in enumerate(catalogue.PLANS):
        _add_plan(rt, data, group.id, position)
    for product in catalogue.PRODUCTS:
        _add_product(rt, product)
    rt.session.commit()
    for product in catalogue.PRODUCTS:
        receive(rt, product.sku, FIRST_STOCK, "First delivery")
    save_recipes(rt, None, 0)
    ensure_roles(rt)
    for person in catalogue.STAFF:
        add_staff(
            rt,
            email=person.email,
            name=person.name,
            password=catalogue.PASSWORD,
            role=person.role,
        )
    owner = owner_of(rt)
    for code in catalogue.CODES:
        _add_code(rt, owner, code, last_day)
    _add_addons(rt, owner)
    _add_format(rt, owner)
    _add_zones(rt, owner)
    # Seen on the page that cancels, by who gets boxes in Austria or the Netherlands.
    plans = refs_of(rt, Plan, "code")
    rt.session.rollback()
    smaller = OfferDraft("plan", rest_days=180, plan=plans["table"], to_plan=plans["pot"])
    add_offer(rt, owner, smaller)
    add_offer(rt, owner, OfferDraft("pause", rest_days=180, boxes=2))
    _write_pages(rt, owner)


def _write_pages(rt: Runtime, owner: Who) -> None:
    """Say who the shop is, and answer what people ask it."""
    for slug, written in pages.PAGES.items():
        said = {code: {"title": one[0], "text": one[1]} for code, one in written.items()}
        save_page(rt, owner, PageDraft(slug, said, "footer", is_public=True))
    for plan, asked in pages.QUESTIONS:
        said = {code: {"question": one[0], "answer": one[1]} for code, one in asked.items()}
        save_question(rt, owner, QuestionDraft(said, is_public=True, plan=plan))


def _add_plan(rt: Runtime, data: PlanData, group_id: int, position: int) -> None:
    plan = Plan(
        public_id=public_id("plan"),
        code=data.code,
        name=data.name,
        tagline=data.tagline,
        description=data.description,
        benefits=list(data.benefits),
        translations=PLAN_WORDS.get(data.code, {}),
        is_recommended=data.is_recommended,
        position=position,
        cycle_group_id=group_id,
        tax_class="reduced",
        retry_days=catalogue.RETRY_DAYS,
        created_at=rt.now(),
    )
    rt.session.add(plan)
    rt.session.flush()
    for unit, count, minor in catalogue.version_of(data, is_early=True):
        rt.session.add(
            Price(
                public_id=public_id("pri"),
                plan_id=plan.id,
                currency=catalogue.SHOP["currency"],
                unit=unit,
                count=count,
                version=1,
                amount_minor=minor,
                created_at=rt.now(),
            )
        )
    if data.asks_caffeine:
        code, name, hint = catalogue.CAFFEINE
        told = CAFFEINE_WORDS
        question = OptionGroup(
            plan_id=plan.id, code=code, name=name, hint=hint, translations=told[code]
        )
        rt.session.add(question)
        rt.session.flush()
        for place, (answer, words, more) in enumerate(catalogue.CAFFEINE_CHOICES):
            given = Option(group_id=question.id, code=answer, name=words, hint=more)
            given.position, given.translations = place, told[answer]
            rt.session.add(given)


def open_limited(rt: Runtime) -> None:
    """Put the plan with few places on sale. Commits."""
    data, group = catalogue.LIMITED, table_of(CycleGroup)
    _add_plan(rt, data, rt.session.scalars(sa.select(group.c.id)).one(), len(catalogue.PLANS))
    rt.session.commit()
    owner = owner_of(rt)
    plan = refs_of(rt, Plan, "code")[data.code]
    variant = refs_of(rt, ProductVariant, "sku")[catalogue.LIMITED_TEA]
    save_recipe(rt, plan, None, "", [Ingredient(variant, 4)])
    save_weights(rt, owner, data.code, {"": catalogue.LIMITED_GRAMS})
    set_places(rt, owner, plan, catalogue.LIMITED_PLACES, sells_by_stock=False)


def open_private(rt: Runtime) -> None:
    """Put a plan on sale that only a code opens. Commits."""
    data, group = catalogue.PRIVATE, table_of(CycleGroup)
    _add_plan(rt, data, rt.session.scalars(sa.select(group.c.id)).one(), len(catalogue.PLANS) + 1)
    rt.session.commit()
    owner, plan = owner_of(rt), refs_of(rt, Plan, "code")[data.code]
    save_plan(rt, owner, plan, {"is_public": False, "access_code": catalogue.PRIVATE_CODE})
    variants = refs_of(rt, ProductVariant, "sku")
    teas = [Ingredient(variants[sku], 4) for sku in catalogue.PRIVATE_TEAS]
    save_recipe(rt, plan, None, "", teas)
    save_weights(rt, owner, data.code, {"": catalogue.PRIVATE_GRAMS})


def change_prices(rt: Runtime) -> None:
    """Have the owner put today's prices on sale; who subscribes already keeps the old ones."""
    plans, owner = refs_of(rt, Plan, "code"), owner_of(rt)
    for data in catalogue.PLANS:
        for unit, count, minor in catalogue.version_of(data, is_early=False):
            amount = Money(minor, catalogue.SHOP["currency"])
            set_price(rt, owner, plans[data.code], amount, Interval(unit, count))
    rt.forget_shop()


def owner_of(rt: Runtime) -> Who:
    """Return the owner as somebody who acts."""
    return _acting(rt, catalogue.STAFF[0].email)


def packer_of(rt: Runtime) -> Who:
    """Return who packs the boxes as somebody who acts."""
    return _acting(rt, catalogue.STAFF[1].email)


def _acting(rt: Runtime, email: str) -> Who:
    table = table_of(Staff)
    row = rt.session.execute(
        sa.select(table.c.id, table.c.public_id).where(table.c.email == email)
    ).one()
    rt.session.rollback()
    return Who(row.id, row.public_id)


def _said(data: ProductData) -> dict[str, Any]:
    """Return the name and the allergens of a product in other languages."""
    return {
        code: {**texts, **_allergens(data, code)}
        for code, texts in PRODUCT_WORDS.get(data.sku, {}).items()
    }


def _allergens(data: ProductData, code: str) -> dict[str, Any]:
    told = {word: ALLERGEN_WORDS[code][word] for word in data.allergens}
    return {"allergens": told} if told else {}


def _add_product(rt: Runtime, data: ProductData) -> None:
    product = Product(
        public_id=public_id("prod"),
        name=data.name,
        description=plain_html(data.text),
        vendor=data.vendor,
        category=data.category,
        tags=list(data.tags),
        allergens=list(data.allergens),
        picture=data.picture,
        source_ref=data.sku,
        translations=_said(data),
        created_at=rt.now(),
    )
    rt.session.add(product)
    rt.session.flush()
    rt.session.add(
        ProductVariant(
            public_id=public_id("var"),
            product_id=product.id,
            sku=data.sku,
            weight_grams=data.grams,
            cost_minor=data.cost_minor,
            price_minor=data.price_minor,
            currency=catalogue.SHOP["currency"],
        )
    )


def _add_addons(rt: Runtime, owner: Who) -> None:
    names = {product.sku: product.name for product in catalogue.EXTRAS}
    currency = catalogue.SHOP["currency"]
    for place, (sku, hint, minor, tax_class, plans) in enumerate(catalogue.ADDONS):
        amounts = {currency: Money(minor, currency)}
        told = {
            code: {**PRODUCT_WORDS[sku][code], "hint": line}
            for code, line in ADDON_HINTS[sku].items()
        }
        draft = AddonDraft(names[sku], hint, amounts, tax_class, sku, plans, place, told)
        save_addon(rt, owner, draft)


def _add_zones(rt: Runtime, owner: Who) -> None:
    """Say what boxes weigh and cost to send; where no zone is, the price holds delivery."""
    currency = catalogue.SHOP["currency"]
    for plan, grams in catalogue.WEIGHTS.items():
        save_weights(rt, owner, plan, {"": grams})
    for name, places, prices in catalogue.ZONES:
        bands = tuple(Band(grams, Money(minor, currency)) for grams, minor in prices)
        areas = tuple(Area(*place) for place in places)
        save_zone(rt, owner, ZoneDraft(areas, Tariff(bands) if bands else None, name))


def _add_format(rt: Runtime, owner: Who) -> None:
    """Keep the columns of the shop's parcel service, begun from the ones that come with it."""
    layout = PRESETS["dhl_de"].layout
    columns = tuple(
        replace(one, text=catalogue.SENDER.get(one.heading, one.text)) for one in layout.columns
    )
    save_format(rt, owner, replace(layout, name=catalogue.FORMAT_NAME, columns=columns))


def _add_code(rt: Runtime, owner: Who, data: CodeData, last_day: date) -> None:
    ends_on = None
    if data.ended_months_ago is not None:
        ends_on = catalogue.months_before(last_day, data.ended_months_ago) - timedelta(days=1)
    draft = CouponDraft(
        data.code,
        data.name,
        percent_bp=data.percent * 100,
        duration=data.duration,
        cycles=data.cycles,
        intervals=tuple(Interval(unit, count) for unit, count in data.intervals),
        first_time_only=True,
        ends_on=ends_on,
    )
    add_coupon(rt, owner, draft)


def save_recipes(rt: Runtime, cycle: BoxCycle | None, number: int) -> None:
    """Say what goes into the ``number``-th boxes of every plan; standing without ``cycle``.

    A recipe of the cycle goes before every standing one, so each choice gets one of its own.
    """
    plans, variants = refs_of(rt, Plan, "code"), refs_of(rt, ProductVariant, "sku")
    cycle_ref = cycle.public_id if cycle else None
    for plan in catalogue.PLANS:
        keys = ("", catalogue.CAFFEINE_FREE) if plan.asks_caffeine else ("",)
        for key in keys:
            skus = catalogue.recipe_of(plan.code, number, is_free=bool(key))
            items = [Ingredient(variants[sku], 1) for sku in skus]
            save_recipe(rt, plans[plan.code], cycle_ref, key, items)


def receive(rt: Runtime, sku: str, pieces: int, reason: str) -> None:
    """Enter a delivery of ``pieces``."""
    adjust_stock(rt, refs_of(rt, ProductVariant, "sku")[sku], "receipt", pieces, reason)


def reorder(rt: Runtime) -> None:
    """Enter a delivery of everything that runs low."""
    variant = table_of(ProductVariant)
    low = rt.session.scalars(
        sa.select(variant.c.sku).where(variant.c.on_hand < REORDER_AT).order_by(variant.c.sku)
    ).all()
    rt.session.rollback()
    for sku in low:
        receive(rt, sku, DELIVERY, "Delivery")


def refs_of(rt: Runtime, model: type[Plan | ProductVariant], key: str) -> dict[str, str]:
    """Return public ids by ``key``, in the caller's transaction."""
    table = table_of(model)
    rows = rt.session.execute(sa.select(table.c[key].label("key"), table.c.public_id))
    return {row.key: row.public_id for row in rows}
