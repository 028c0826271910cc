"""One box with its parcel and what replaced it, and what replacements cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.address_lines import address_lines
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.invoices import InvoiceState
from storefront.domain.money import Money
from storefront.domain.replacements import OUTCOMES
from storefront.models import (
    Box,
    BoxCycle,
    BoxItem,
    BoxReplacement,
    Customer,
    FulfilmentBatch,
    Invoice,
    InvoiceLine,
    Plan,
    Product,
    ProductVariant,
    Shipment,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.operations.replacements import live_replacement, next_cycle
from storefront.operations.shared_parcels import beside

#: Replacements shown in a list.
LISTED = 100


@dataclass(frozen=True, slots=True)
class Content:
    """A product in a box; its cost is None where it is not known."""

    ref: str
    name: str
    sku: str
    pieces: int
    cost: Money | None
    #: Pieces on the shelf; None where it is not counted or made all the same.
    on_hand: int | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Reason and cost of a replacement."""

    reason: str
    note: str
    goods: Money
    shipping: Money
    has_unknown_cost: bool


@dataclass(frozen=True, slots=True)
class BoxPage:
    """A box as its page shows it."""

    public_id: str
    state: BoxState
    kind: BoxKind
    problem: str
    plan: str
    customer: str
    customer_ref: str
    cycle_ref: str
    cycle_key: str
    ship_from: date | None
    batch_ref: str
    batch_number: int
    #: Where it went; empty before the lock.
    address: tuple[str, ...]
    carrier: str
    tracking: str
    #: The other boxes in its parcel: public id and plan.
    beside: tuple[tuple[str, str], ...]
    contents: tuple[Content, ...]
    #: The box that this one replaces, and the one that replaces it.
    replaces: str
    replaced_by: str
    why: Why | None
    #: The next cycle that takes a box: its key and ship day.
    next_cycle: tuple[str, date] | None
    #: Public id of the paid invoice that it gives money back on; empty where none did pay for it.
    invoice: str = ""

    @property
    def has_left(self) -> bool:
        """True once it is out of the house."""
        return self.state in OUTCOMES

    @property
    def can_be_taken_back(self) -> bool:
        """True for a replacement that the packers do not have."""
        waits = self.state in {BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED}
        return self.kind is BoxKind.REPLACEMENT and waits and not self.batch_ref


def box_page(session: AnySession, ref: str, moment: Moment) -> BoxPage | None:
    """Return a box, None if there is no such box."""
    row = session.execute(_statement().where(table_of(Box).c.public_id == ref)).one_or_none()
    if row is None:
        return None
    cycle = next_cycle(session, row.cycle_group_id, moment)
    return BoxPage(
        public_id=row.public_id,
        state=row.state,
        kind=row.kind,
        problem=row.problem,
        plan=row.plan,
        customer=row.customer or "",
        customer_ref=row.customer_ref or "",
        cycle_ref=row.cycle_ref or "",
        cycle_key=row.cycle_key or "",
        ship_from=row.ship_from,
        batch_ref=row.batch_ref or "",
        batch_number=row.batch_number or 0,
        address=tuple(address_lines(row.ship_to or {})),
        carrier=row.carrier or "",
        tracking=row.tracking_number or "",
        beside=tuple(
            (one.public_id, one.packing["plan"])
            for one in beside(session, [row.id]).get(row.id, ())
        ),
        contents=_contents(session, row.id),
        replaces=row.replaces or "",
        replaced_by=live_replacement(session, row.id) or "",
        why=_why(row),
        next_cycle=(cycle.key, cycle.ship_from) if cycle is not None else None,
        invoice=row.invoice or "",
    )


def _statement() -> sa.Select[Any]:
    box, first = table_of(Box), table_of(Box).alias("first")
    subscription, plan, customer = table_of(Subscription), table_of(Plan), table_of(Customer)
    cycle, batch, shipment = table_of(BoxCycle), table_of(FulfilmentBatch), table_of(Shipment)
    why, line, invoice = table_of(BoxReplacement), table_of(InvoiceLine), table_of(Invoice)
    is_paid = sa.and_(invoice.c.id == line.c.invoice_id, invoice.c.state == InvoiceState.PAID)
    return (
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.state,
            box.c.kind,
            box.c.problem,
            box.c.ship_to,
            plan.c.name.label("plan"),
            plan.c.cycle_group_id,
            customer.c.name.label("customer"),
            customer.c.public_id.label("customer_ref"),
            cycle.c.public_id.label("cycle_ref"),
            cycle.c.key.label("cycle_key"),
            cycle.c.ship_from,
            batch.c.public_id.label("batch_ref"),
            batch.c.number.label("batch_number"),
            shipment.c.carrier,
            shipment.c.tracking_number,
            first.c.public_id.label("replaces"),
            why.c.reason,
            why.c.note,
            why.c.goods_minor,
            why.c.shipping_minor,
            why.c.currency,
            why.c.has_unknown_cost,
            invoice.c.public_id.label("invoice"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .outerjoin(batch, batch.c.id == box.c.batch_id)
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .outerjoin(line, line.c.id == box.c.invoice_line_id)
        .outerjoin(invoice, is_paid)
        .outerjoin(first, first.c.id == box.c.replaces_id)
        .outerjoin(why, why.c.box_id == box.c.id)
    )


def _why(row: AnyRow) -> Why | None:
    if row.reason is None:
        return None
    return Why(
        row.reason,
        row.note,
        Money(row.goods_minor, row.currency),
        Money(row.shipping_minor, row.currency),
        row.has_unknown_cost,
    )


def _contents(session: AnySession, box_id: int) -> tuple[Content, ...]:
    item, variant, product = table_of(BoxItem), table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(
            variant.c.public_id,
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
            variant.c.sku,
            item.c.quantity,
            variant.c.cost_minor,
            variant.c.currency,
            variant.c.on_hand,
            sa.and_(variant.c.is_counted, sa.not_(variant.c.may_oversell)).label("can_run_out"),
        )
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(item.c.box_id == box_id)
        .order_by(item.c.id)
    )
    return tuple(
        Content(
            row.public_id,
            row.name,
            row.sku,
            row.quantity,
            None if row.cost_minor is None else Money(row.cost_minor, row.currency),
            row.on_hand if row.can_run_out else None,
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Sums:
    """What the replacements for one reason cost."""

    reason: str
    boxes: int
    goods: Money
    shipping: Money
    #: Boxes of which some product has no cost price: their goods cost more.
    unknown: int

    @property
    def total(self) -> Money:
        """Goods and shipping."""
        return self.goods + self.shipping


def by_reason(session: AnySession, since: datetime) -> tuple[Sums, ...]:
    """Return the cost of replacements made since then, by reason, the most frequent first.

    Those that were taken back cost nothing; currencies are never added up.
    """
    why, box = table_of(BoxReplacement), table_of(Box)
    count = sa.func.count()
    rows = session.execute(
        sa.select(
            why.c.reason,
            why.c.currency,
            count.label("boxes"),
            sa.func.sum(why.c.goods_minor).label("goods"),
            sa.func.sum(why.c.shipping_minor).label("shipping"),
            sa.func.sum(sa.case((why.c.has_unknown_cost, 1), else_=0)).label("unknown"),
        )
        .join(box, box.c.id == why.c.box_id)
        .where(why.c.created_at >= since, box.c.state != BoxState.CANCELED)
        .group_by(why.c.reason, why.c.currency)
        .order_by(count.desc(), why.c.reason)
    )
    return tuple(
        Sums(
            row.reason,
            row.boxes,
            Money(int(row.goods), row.currency),
            Money(int(row.shipping), row.currency),
            int(row.unknown),
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class ReplacementRow:
    """One replacement in the list."""

    public_id: str
    customer: str
    plan: str
    state: BoxState
    reason: str
    cost: Money
    created_at: datetime


def latest(session: AnySession) -> Sequence[ReplacementRow]:
    """Return the last replacements, newest first."""
    why, box, plan = table_of(BoxReplacement), table_of(Box), table_of(Plan)
    subscription, customer = table_of(Subscription), table_of(Customer)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            sa.func.coalesce(customer.c.name, "").label("customer"),
            plan.c.name.label("plan"),
            box.c.state,
            why.c.reason,
            (why.c.goods_minor + why.c.shipping_minor).label("minor"),
            why.c.currency,
            why.c.created_at,
        )
        .join(box, box.c.id == why.c.box_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
        .order_by(why.c.id.desc())
        .limit(LISTED)
    )
    return [
        ReplacementRow(
            row.public_id,
            row.customer,
            row.plan,
            row.state,
            row.reason,
            Money(row.minor, row.currency),
            row.created_at,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Resent:
    """A box that is sent again, as its customer sees it."""

    #: Ship day of the first box, and of the new one.
    first_of: date
    ship_from: date
    state: str
    carrier: str
    tracking: str


def has_resent(customer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether anything is sent again from ``resent_since`` on."""
    box, subscription, cycle = table_of(Box), table_of(Subscription), table_of(BoxCycle)
    return sa.exists().where(
        subscription.c.customer_id == customer,
        box.c.subscription_id == subscription.c.id,
        box.c.kind == BoxKind.REPLACEMENT,
        cycle.c.id == box.c.cycle_id,
        cycle.c.ship_from >= sa.bindparam("resent_since", type_=cycle.c.ship_from.type),
    )


def resent_from(rows: Iterable[AnyRow]) -> dict[str, list[Resent]]:
    """Return the replacements that ``resent`` found, by subscription."""
    found: dict[str, list[Resent]] = {}
    for row in rows:
        found.setdefault(row.subscription, []).append(
            Resent(
                row.first_of,
                row.ship_from,
                row.state.value,
                row.carrier or "",
                row.tracking_number or "",
            )
        )
    return found


@cache
def resent() -> AnySelect:
    """The replacements that a ``customer`` gets from ``resent_since`` on, the latest first.

    Those that were taken back are left out. Built once.
    """
    box, first = table_of(Box), table_of(Box).alias("first")
    subscription, shipment = table_of(Subscription), table_of(Shipment)
    cycle, before = table_of(BoxCycle), table_of(BoxCycle).alias("before")
    return (
        sa.select(
            subscription.c.public_id.label("subscription"),
            before.c.ship_from.label("first_of"),
            cycle.c.ship_from,
            box.c.state,
            shipment.c.carrier,
            shipment.c.tracking_number,
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(first, first.c.id == box.c.replaces_id)
        .join(before, before.c.id == first.c.cycle_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .where(
            subscription.c.customer_id == sa.bindparam("customer", type_=sa.BigInteger()),
            box.c.kind == BoxKind.REPLACEMENT,
            box.c.state != BoxState.CANCELED,
            cycle.c.ship_from >= sa.bindparam("resent_since", type_=cycle.c.ship_from.type),
        )
        .order_by(box.c.id.desc())
    )
