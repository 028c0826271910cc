"""What is sold beside boxes: for the customer's page of one subscription, and for the merchant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.addons import Cadence
from storefront.domain.money import Money
from storefront.domain.tax_treatment import TaxRules
from storefront.models import Addon, Plan, Price, ProductVariant, SubscriptionAddon
from storefront.models.base import table_of
from storefront.operations.addon_changes import read_addons
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class Beside:
    """An add-on a subscription has (``quantity`` > 0) or may have, with the price of one."""

    addon: str
    name: str
    hint: str
    unit: Money
    quantity: int
    cadence: Cadence


@dataclass(frozen=True, slots=True)
class YourBox:
    """What a subscription has beside its boxes and may have; ``refused`` as ``NotAddable``."""

    running: tuple[Beside, ...]
    offered: tuple[Beside, ...]
    refused: str


def your_box(
    session: AnySession, customer_id: int, subscription: str, moment: Moment, taxes: TaxRules
) -> YourBox:
    """Return what the page "In your box" shows. Raises ``LookupError``."""
    facts = read_addons(session, customer_id, subscription, moment, taxes)
    hints = {one.public_id: one.hint for one in facts.offered}
    running = tuple(
        Beside(
            row.addon_ref,
            row.name,
            hints.get(row.addon_ref, ""),
            Money(row.unit_minor, facts.currency),
            row.quantity,
            Cadence(row.cadence),
        )
        for row in facts.running
    )
    has = {one.addon for one in running}
    offered = tuple(
        Beside(one.public_id, one.name, one.hint, one.amount, 0, Cadence.ONCE)
        for one in facts.offered
        if one.public_id not in has
    )
    return YourBox(running, offered, facts.refused)


@dataclass(frozen=True, slots=True)
class AddonRow:
    """An add-on as the merchant sees it; ``takers`` is how many subscriptions have it now."""

    public_id: str
    name: str
    hint: str
    #: Price of one by currency.
    amounts: Mapping[str, Money]
    tax_class: str
    #: SKU of what goes into the parcel; empty for a service.
    sku: str
    #: Pieces that can be sold; None where nothing is counted.
    on_hand: int | None
    plans: tuple[str, ...]
    position: int
    is_archived: bool
    takers: int
    #: By language: name and hint.
    translations: Mapping[str, Any]


def addon_list(session: AnySession) -> list[AddonRow]:
    """Return all add-ons, those on sale first."""
    return _rows(session, sa.true())


def addon_named(session: AnySession, public_id: str) -> AddonRow | None:
    """Return one add-on, or None."""
    return next(iter(_rows(session, table_of(Addon).c.public_id == public_id)), None)


def _rows(session: AnySession, which: sa.ColumnElement[bool]) -> list[AddonRow]:
    addon, variant = table_of(Addon), table_of(ProductVariant)
    taken = table_of(SubscriptionAddon)
    takers = (
        sa.select(sa.func.count(taken.c.subscription_id.distinct()))
        .where(taken.c.addon_id == addon.c.id, taken.c.ended_at.is_(None))
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(
            addon,
            variant.c.sku,
            variant.c.on_hand,
            variant.c.is_counted,
            takers.label("takers"),
        )
        .outerjoin(variant, variant.c.id == addon.c.variant_id)
        .where(which)
        .order_by(addon.c.archived_at.is_not(None), addon.c.position, addon.c.id)
    )
    return [
        AddonRow(
            row.public_id,
            row.name,
            row.hint,
            {code: Money(minor, code) for code, minor in sorted(row.amounts.items())},
            row.tax_class,
            row.sku or "",
            row.on_hand if row.is_counted else None,
            tuple(row.plans),
            row.position,
            row.archived_at is not None,
            row.takers,
            row.translations,
        )
        for row in rows
    ]


def plan_names(session: AnySession) -> list[tuple[str, str]]:
    """Return (code, name) of the plans on sale."""
    plan = table_of(Plan)
    rows: Sequence[Any] = session.execute(
        sa.select(plan.c.code, plan.c.name)
        .where(plan.c.archived_at.is_(None))
        .order_by(plan.c.position, plan.c.id)
    ).all()
    return [(row.code, row.name) for row in rows]


def currencies(session: AnySession, own: str) -> list[str]:
    """Return the currencies that plans are sold in, the shop's ``own`` first."""
    price = table_of(Price)
    found = set(session.scalars(sa.select(price.c.currency).distinct()))
    return [own, *sorted(found - {own})]
