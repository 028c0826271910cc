"""Add-ons of subscriptions: read for the price, ended when billed, put into boxes, given back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.addons import AddonTerms, Cadence, is_done, pieces_in_box, sold_beside
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.money import Money
from storefront.domain.rates import TaxClass
from storefront.domain.recurring import SoldBeside
from storefront.domain.tax_treatment import Sale, TaxRules
from storefront.models import Addon, Box, BoxItem, ProductVariant, SubscriptionAddon
from storefront.models.base import public_ids, table_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import (
    AnyRow,
    AnySelect,
    AnySession,
    any_of,
    by_subscription,
    reserve,
)
from storefront.operations.moment import Moment
from storefront.operations.taxes import sale_to


@dataclass(frozen=True, slots=True)
class OfferedAddon:
    """An add-on that can be ordered now; ``amount`` is the price of one."""

    id: int
    public_id: str
    name: str
    hint: str
    amount: Money
    tax_class: TaxClass
    #: Of one piece, for delivery; 0 for a service.
    grams: int = 0


@dataclass(frozen=True, slots=True)
class PickedAddon:
    """An offered add-on, how many of it and how often."""

    addon: OfferedAddon
    quantity: int
    cadence: Cadence

    @property
    def ref(self) -> str:
        """Name of its line while no row exists."""
        return f"{self.addon.public_id}:{self.cadence}"


def running_addons(session: AnySession, subscription_ids: Iterable[int]) -> dict[int, list[AnyRow]]:
    """Return the add-ons still to be billed, by subscription; no statement for no subscription."""
    asked = sorted(set(subscription_ids))
    return by_subscription(session.execute(addons_statement(), {"ids": asked})) if asked else {}


def has_addons(subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the column that says whether a subscription has add-ons still to be billed."""
    table = table_of(SubscriptionAddon)
    return sa.exists().where(
        table.c.subscription_id == subscription.c.id, table.c.ended_at.is_(None)
    )


@cache
def addons_statement() -> AnySelect:
    """The add-ons of the subscriptions ``ids`` that are still to be billed; built once."""
    table, addon = table_of(SubscriptionAddon), table_of(Addon)
    variant = table_of(ProductVariant)
    return (
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.subscription_id,
            table.c.addon_id,
            table.c.quantity,
            table.c.unit_minor,
            table.c.cadence,
            addon.c.public_id.label("addon_ref"),
            addon.c.name,
            addon.c.tax_class,
            sa.func.coalesce(variant.c.weight_grams, 0).label("grams"),
        )
        .join(addon, addon.c.id == table.c.addon_id)
        .outerjoin(variant, variant.c.id == addon.c.variant_id)
        .where(any_of(table.c.subscription_id), table.c.ended_at.is_(None))
        .order_by(table.c.id)
    )


def beside_of(
    row: AnyRow, addons: Sequence[AnyRow], boxes: int, taxes: TaxRules, on: date, ahead: int = 0
) -> tuple[SoldBeside, ...]:
    """Return what ``running_addons`` add to the period of ``row`` that starts ``on``.

    ``row`` as ``terms_of`` wants it; the period is the ``ahead``-th billed one after the next.
    Raises ``NoRate``.
    """
    terms = terms_of_addons(addons, row.currency, sale_to(row, taxes), on) if addons else []
    return sold_beside(terms, boxes, is_next=not ahead)


def terms_of_addons(
    addons: Sequence[AnyRow], currency: str, sale: Sale, on: date
) -> list[AddonTerms]:
    """Return ``running_addons`` with their tax rates on the day ``on``. Raises ``NoRate``."""
    return [
        AddonTerms(
            one.name,
            f"addon-{one.id}",
            Money(one.unit_minor, currency),
            one.quantity,
            sale.tax(cast(TaxClass, one.tax_class), on).rate,
            Cadence(one.cadence),
            one.grams,
            one.addon_id,
        )
        for one in addons
    ]


def offered_addons(session: AnySession, plan_code: str, currency: str) -> tuple[OfferedAddon, ...]:
    """Return the add-ons on sale with a plan, in order; without those that ran out of stock."""
    return offered_with(addons_on_sale(session), plan_code, currency)


def addons_on_sale(session: AnySession) -> Sequence[AnyRow]:
    """Return the add-ons on sale with any plan, for ``offered_with``."""
    return session.execute(_addons_on_sale()).all()


def offered_with(rows: Sequence[AnyRow], plan_code: str, currency: str) -> tuple[OfferedAddon, ...]:
    """Return those of ``addons_on_sale`` that come with a plan, in order."""
    return tuple(
        OfferedAddon(
            row.id,
            row.public_id,
            row.name,
            row.hint,
            Money(row.amounts[currency], currency),
            row.tax_class,
            row.grams,
        )
        for row in rows
        if currency in row.amounts and (not row.plans or plan_code in row.plans)
    )


@cache
def _addons_on_sale() -> AnySelect:
    table, variant = table_of(Addon), table_of(ProductVariant)
    return (
        sa.select(table, sa.func.coalesce(variant.c.weight_grams, 0).label("grams"))
        .outerjoin(variant, variant.c.id == table.c.variant_id)
        .where(
            table.c.archived_at.is_(None),
            sa.or_(
                table.c.variant_id.is_(None),
                variant.c.is_counted.is_(False),
                variant.c.may_oversell,
                variant.c.on_hand > 0,
            ),
        )
        .order_by(table.c.position, table.c.id)
    )


def picked_of(
    kept: Sequence[Mapping[str, Any]], offered: Sequence[OfferedAddon]
) -> tuple[PickedAddon, ...]:
    """Return what a checkout keeps as picked, as far as it is still offered, in that order."""
    wanted = {one["addon"]: one for one in kept}
    return tuple(
        PickedAddon(
            one, wanted[one.public_id]["quantity"], Cadence(wanted[one.public_id]["cadence"])
        )
        for one in offered
        if one.public_id in wanted
    )


def bill_addons(
    session: AnySession, billed: Sequence[tuple[int, Sequence[AnyRow]]], moment: Moment
) -> None:
    """Note the period each of ``running_addons`` was billed with; those that come once end."""
    pairs = [(period, row) for period, rows in billed for row in rows]
    if not pairs:
        return
    table = table_of(SubscriptionAddon)
    ended = sa.case((table.c.cadence == Cadence.ONCE, moment.now), else_=table.c.ended_at)
    session.connection().execute(
        sa.update(table)
        .where(table.c.id == sa.bindparam("key"))
        .values(period_id=sa.bindparam("period"), ended_at=ended),
        [{"key": row.id, "period": period} for period, row in pairs],
    )


def write_picked(
    session: AnySession,
    subscription_id: int,
    picked: Sequence[PickedAddon],
    period_id: int | None,
    moment: Moment,
) -> None:
    """Write the add-ons of an order anew; ``period_id`` is the period they are billed with.

    None while nothing is billed, as in a trial. Only for a subscription that never ran.
    """
    table = table_of(SubscriptionAddon)
    session.execute(sa.delete(table).where(table.c.subscription_id == subscription_id))
    rows = [
        {
            "public_id": public,
            "subscription_id": subscription_id,
            "addon_id": one.addon.id,
            "quantity": one.quantity,
            "unit_minor": one.addon.amount.minor,
            "cadence": one.cadence.value,
            "created_at": moment.now,
            "ended_at": moment.now if period_id is not None and is_done(one.cadence) else None,
            "period_id": period_id,
        }
        for public, one in zip(public_ids("sad", len(picked)), picked, strict=True)
    ]
    if rows:
        session.execute(sa.insert(table), rows)


def fill_boxes(session: AnySession, boxes: Sequence[Mapping[str, Any]]) -> None:
    """Put what was billed with the periods of new ``boxes`` (as rows of ``box``) into them."""
    table, addon = table_of(SubscriptionAddon), table_of(Addon)
    of_period: dict[int, list[AnyRow]] = defaultdict(list)
    for row in session.execute(
        sa.select(table.c.period_id, table.c.quantity, table.c.cadence, addon.c.variant_id)
        .join(addon, addon.c.id == table.c.addon_id)
        .where(
            table.c.period_id.in_({box["period_id"] for box in boxes}),
            addon.c.variant_id.is_not(None),
        )
        .order_by(table.c.id)
    ):
        of_period[row.period_id].append(row)
    pieces: Counter[tuple[int, int]] = Counter()
    for box in boxes:
        for row in of_period.get(box["period_id"], ()):
            lying = pieces_in_box(Cadence(row.cadence), row.quantity, box["ordinal"])
            if lying:
                pieces[box["id"], row.variant_id] += lying
    _insert(session, [(*key, number) for key, number in pieces.items()])


def _insert(session: AnySession, items: Sequence[tuple[int, int, int]]) -> None:
    """Insert (box, variant, pieces); their stock is taken when the box is locked."""
    keys = reserve(session, BoxItem, len(items))
    rows = [
        {"id": key, "box_id": box, "variant_id": variant, "quantity": pieces, "origin": "addon"}
        for key, (box, variant, pieces) in zip(keys, items, strict=True)
    ]
    insert_many(session, BoxItem, rows)


def rescue_items(session: AnySession, spare: Sequence[int], kept: Sequence[int]) -> None:
    """Put add-ons of the boxes that a change takes away into the last one that stays."""
    if not spare or not kept:
        return
    item = table_of(BoxItem)
    mine = sa.and_(item.c.box_id.in_([*spare, kept[-1]]), item.c.origin == "addon")
    rows = session.execute(sa.select(item).where(mine)).all()
    if not any(row.box_id in spare for row in rows):
        return
    pieces: Counter[int] = Counter()
    for row in rows:
        pieces[row.variant_id] += row.quantity
    session.execute(sa.delete(item).where(mine))
    _insert(session, [(kept[-1], *one) for one in pieces.items()])


def give_back_addons(session: AnySession, period_ids: Sequence[int]) -> None:
    """Let what was billed once with void periods wait again, unless a box of them is under way."""
    table, box = table_of(SubscriptionAddon), table_of(Box)
    under_way = sa.exists().where(
        box.c.period_id == table.c.period_id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state != BoxState.CANCELED,
    )
    session.execute(
        sa.update(table)
        .where(
            table.c.period_id.in_(period_ids),
            table.c.cadence == Cadence.ONCE,
            sa.not_(under_way),
        )
        .values(ended_at=None, period_id=None)
    )
