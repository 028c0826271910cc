"""What can be put into boxes that are paid for, and what was: for the page, the mail, staff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.addons import Cadence
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.money import Money
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Addon,
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxCycle,
    BoxItem,
    ChargeAttempt,
    Invoice,
    Product,
    ProductVariant,
    Subscription,
    SubscriptionAddon,
)
from storefront.models.base import table_of
from storefront.operations.added_stock import is_open
from storefront.operations.additions import AdditionFacts, read_additions
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.queries.addons import Beside

#: Refusals with which the page still shows what could be added.
_TOLD = ("", "no_card", "paying", "changing")
#: Boxes that have not left.
_TO_LEAVE = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED)


@dataclass(frozen=True, slots=True)
class PaidFor:
    """Something that lies in a box that is paid for, bought with its payment or apart."""

    name: str
    quantity: int
    #: None while its day is not known yet.
    ships_on: date | None


@dataclass(frozen=True, slots=True)
class BeingPaid:
    """Something that is in the box as soon as its payment arrives.

    ``invoice`` leads to its payment; ``confirm_url`` is where the bank wants a confirmation, or
    empty.
    """

    name: str
    quantity: int
    invoice: str
    confirm_url: str


@dataclass(frozen=True, slots=True)
class PaidBoxes:
    """The paid boxes of a subscription that something can still be put into.

    ``refused`` as ``NothingToAddTo``; without boxes, and for other reasons, nothing is offered.
    """

    ships_on: tuple[date | None, ...]
    offered: tuple[Beside, ...]
    added: tuple[PaidFor, ...]
    refused: str
    paying: BeingPaid | None
    #: Later payments can bring it too.
    goes_on: bool


def paid_boxes(
    session: AnySession, customer_id: int, subscription: str, moment: Moment, taxes: TaxRules
) -> PaidBoxes:
    """Return what the page "In your box" says of paid boxes. Raises ``LookupError``."""
    facts = read_additions(session, customer_id, subscription, moment, taxes)
    own = facts.own
    offered = tuple(
        Beside(one.public_id, one.name, one.hint, one.amount, 0, Cadence.ONCE)
        for one in own.offered
    )
    refused = facts.refused or _needs_card(facts)
    can = refused in _TOLD
    row = own.coming.row
    return PaidBoxes(
        tuple(box.ship_from for box in facts.boxes) if can else (),
        offered if can else (),
        tuple(_lying(session, row.id)),
        refused if can else "no_box",
        _being_paid(session, row.id),
        not own.refused and not row.is_gift,
    )


def _needs_card(facts: AdditionFacts) -> str:
    """Return a refusal where nothing that is offered could be paid without a card."""
    has_means = facts.payer.method_id is not None or facts.balance.minor > 0
    is_free = any(one.amount.is_zero for one in facts.own.offered)
    return "" if has_means or is_free else "no_card"


def _being_paid(session: AnySession, subscription_id: int) -> BeingPaid | None:
    table, addon, invoice = table_of(BoxAddition), table_of(Addon), table_of(Invoice)
    attempt = table_of(ChargeAttempt)
    row = session.execute(
        sa.select(
            addon.c.name,
            table.c.quantity,
            invoice.c.public_id.label("invoice"),
            attempt.c.state,
            attempt.c.action_url,
        )
        .join(addon, addon.c.id == table.c.addon_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .outerjoin(attempt, attempt.c.invoice_id == invoice.c.id)
        .where(table.c.subscription_id == subscription_id, table.c.state == "waiting")
        .order_by(table.c.id.desc(), attempt.c.number.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    asks = row.state == AttemptState.ACTION_REQUIRED
    return BeingPaid(row.name, row.quantity, row.invoice, row.action_url if asks else "")


def subscription_added_to(session: AnySession, customer_id: int, invoice: str) -> str:
    """Return the subscription that an invoice of the customer adds something to, or ""."""
    table, own, paid = table_of(BoxAddition), table_of(Subscription), table_of(Invoice)
    found = session.scalar(
        sa.select(own.c.public_id)
        .join(table, table.c.subscription_id == own.c.id)
        .join(paid, paid.c.id == table.c.invoice_id)
        .where(paid.c.public_id == invoice, own.c.customer_id == customer_id)
    )
    return str(found or "")


def _lying(session: AnySession, subscription_id: int) -> list[PaidFor]:
    """Return what lies in the boxes: what was added to them, and what came with their payment."""
    added = _added(session, subscription_id)
    mine = Counter({(row.box_id, row.variant_id): row.pieces for row in added})
    rows = [(row, int(row.pieces)) for row in added]
    for row in session.execute(_sold_beside(subscription_id)):
        # What was added lies with the rest: a box holds each product once.
        more = int(row.pieces) - (mine[row.box_id, row.variant_id] if row.is_together else 0)
        if more > 0:
            rows.append((row, more))
    rows.sort(key=lambda one: (one[0].ship_from or date.max, one[0].box_id))
    return [PaidFor(row.name, pieces, row.ship_from) for row, pieces in rows]


def _added(session: AnySession, subscription_id: int) -> Sequence[AnyRow]:
    table, part, addon = table_of(BoxAddition), table_of(BoxAdditionBox), table_of(Addon)
    box, cycle = table_of(Box), table_of(BoxCycle)
    return session.execute(
        sa.select(
            addon.c.name,
            table.c.variant_id,
            sa.func.sum(table.c.quantity).label("pieces"),
            box.c.id.label("box_id"),
            cycle.c.ship_from,
        )
        .join(part, part.c.addition_id == table.c.id)
        .join(box, box.c.id == part.c.box_id)
        .join(addon, addon.c.id == table.c.addon_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            table.c.subscription_id == subscription_id,
            table.c.state == "applied",
            part.c.returned_at.is_(None),
            box.c.state.in_(_TO_LEAVE),
        )
        .group_by(addon.c.id, addon.c.name, table.c.variant_id, box.c.id, cycle.c.ship_from)
        .order_by(addon.c.id)
    ).all()


def _sold_beside(subscription_id: int) -> sa.CompoundSelect[Any]:
    """Select the add-ons in boxes: what lies in those not packed, what was billed with the others.

    In a packed box the pieces of an add-on lie together with those of its recipe.
    """
    table, addon, box, cycle = (
        table_of(SubscriptionAddon),
        table_of(Addon),
        table_of(Box),
        table_of(BoxCycle),
    )
    item, variant, product = table_of(BoxItem), table_of(ProductVariant), table_of(Product)
    called = (
        sa.select(sa.func.min(addon.c.name))
        .join(table, table.c.addon_id == addon.c.id)
        .where(table.c.subscription_id == subscription_id, addon.c.variant_id == item.c.variant_id)
        .scalar_subquery()
    )
    own = sa.func.trim(product.c.name + " " + variant.c.name)
    lying = (
        sa.select(
            sa.func.coalesce(called, own).label("name"),
            item.c.variant_id,
            item.c.quantity.label("pieces"),
            box.c.id.label("box_id"),
            cycle.c.ship_from,
            sa.literal(1).label("is_together"),
        )
        .join(box, box.c.id == item.c.box_id)
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.subscription_id == subscription_id, item.c.origin == "addon", is_open(box))
    )
    billed = (
        sa.select(
            addon.c.name,
            addon.c.variant_id,
            table.c.quantity.label("pieces"),
            box.c.id.label("box_id"),
            cycle.c.ship_from,
            sa.literal(0).label("is_together"),
        )
        .join(table, table.c.addon_id == addon.c.id)
        .join(box, box.c.period_id == table.c.period_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            table.c.subscription_id == subscription_id,
            addon.c.variant_id.is_not(None),
            sa.or_(table.c.cadence == Cadence.EVERY.value, box.c.ordinal == 1),
            box.c.kind == BoxKind.REGULAR,
            box.c.state.in_(_TO_LEAVE),
            sa.not_(is_open(box)),
        )
    )
    return sa.union_all(lying, billed)


@dataclass(frozen=True, slots=True)
class Addition:
    """A paid addition as its mail tells it."""

    name: str
    quantity: int
    ships_on: tuple[date, ...]
    boxes: int
    total: Money
    goes_on: bool


def addition(session: AnySession, public_id: str) -> Addition | None:
    """Return one, or None where it is not there."""
    table, addon, invoice = table_of(BoxAddition), table_of(Addon), table_of(Invoice)
    owner = table_of(Subscription)
    row = session.execute(
        sa.select(
            table.c.id,
            table.c.quantity,
            sa.and_(table.c.goes_on_from.is_not(None), owner.c.cancel_on.is_(None)).label(
                "goes_on"
            ),
            addon.c.name,
            invoice.c.total_minor,
            invoice.c.currency,
        )
        .join(addon, addon.c.id == table.c.addon_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .join(owner, owner.c.id == table.c.subscription_id)
        .where(table.c.public_id == public_id)
    ).one_or_none()
    if row is None:
        return None
    part, box, cycle = table_of(BoxAdditionBox), table_of(Box), table_of(BoxCycle)
    days = session.scalars(
        sa.select(cycle.c.ship_from)
        .select_from(part)
        .join(box, box.c.id == part.c.box_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(part.c.addition_id == row.id)
        .order_by(cycle.c.ship_from, box.c.id)
    ).all()
    known = tuple(day for day in days if day is not None)
    total = Money(row.total_minor, row.currency)
    return Addition(row.name, row.quantity, known, len(days), total, bool(row.goes_on))
