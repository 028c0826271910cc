"""What the checkout's pages show of one order, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.money import Money
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    CarriedAmount,
    ChargeAttempt,
    Customer,
    FirstBoxPlace,
    Gift,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Plan,
    Price,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.allergens import said_last
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, Order, find_checkout, read_order
from storefront.operations.kept_orders import kept_boxes, kept_days
from storefront.operations.kept_places import leaves_now
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import fits, opened_by, read_plan, read_prices, sold_on
from storefront.operations.order_items import BoxWish, next_ref, wishes_of
from storefront.operations.order_rows import ADDRESS_COLUMNS


@dataclass(frozen=True, slots=True)
class Choosable:
    """A plan that can be ordered and the price of the interval that was asked for."""

    plan_id: int
    price_id: int


def find_plan(
    session: AnySession,
    code: str,
    market: Market,
    today: date,
    unit_count: tuple[str, int] | None,
    codes: Sequence[str] = (),
) -> Choosable | None:
    """Return the plan with this code that is on sale, in the interval wished or the shortest.

    ``codes`` are those of private plans that the shopper knows.
    """
    table = table_of(Plan)
    plan_id = session.execute(
        sa.select(table.c.id).where(
            table.c.code == code, sold_on(table, today), opened_by(table, codes)
        )
    ).scalar_one_or_none()
    if plan_id is None:
        return None
    plan = read_plan(session, plan_id)
    on_sale = read_prices(session, plan_id, market.currency, market.country_of({}))
    prices = [price for price in on_sale if fits(plan, price)]
    if not prices:
        return None
    wished = [
        price
        for price in prices
        if (price.interval.unit, price.interval.count) == (unit_count or ("", 0))
    ]
    return Choosable(plan_id, (wished or prices)[0].id)


def preview(
    session: AnySession,
    chosen: Choosable,
    market: Market,
    moment: Moment,
    like: BoxWish | None = None,
    more: Sequence[BoxWish] = (),
) -> Order:
    """Return the order as it would be, before anything is written.

    ``like`` is a box of the same plan whose answers and add-ons are chosen already, ``more``
    the boxes that come with it.
    """
    row: Any = _Unwritten(
        plan_id=chosen.plan_id,
        price_id=chosen.price_id,
        options=like.options if like else {},
        addons=like.addons if like else (),
        more=[one.kept() for one in more],
    )
    return read_order(session, row, market, moment)


def begun_with(session: AnySession, start: Start, market: Market, moment: Moment) -> Order:
    """Return the order that ``start`` would begin, before anything is written."""
    row: Any = _Unwritten(
        plan_id=start.plan_id,
        price_id=start.price_id,
        options=start.options,
        email=start.email,
        quantity=start.quantity,
        tax_id=start.tax_id[0],
        tax_id_state=start.tax_id[1],
        customer_id=start.customer_id,
        address=start.address,
        quote={"continues": start.continues, "owner": start.customer_id},
    )
    return read_order(session, row, market, moment)


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """Looks like a row of ``checkout`` that is not written yet."""

    plan_id: int
    price_id: int
    options: Mapping[str, Any]
    state: str = "open"
    email: str = ""
    quantity: int = 1
    promotion_code_id: int | None = None
    quote_hash: str = ""
    id: int = 0
    tax_id: str = ""
    tax_id_state: str = ""
    customer_id: int | None = None
    addons: Sequence[Mapping[str, Any]] = ()
    more: Sequence[Mapping[str, Any]] = ()
    version: int = 0
    address: Mapping[str, Any] = field(default_factory=dict)
    billing: Mapping[str, Any] = field(default_factory=dict)
    quote: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gift(self) -> dict[str, Any]:
        return {}


def order_page(
    session: AnySession,
    key: str,
    market: Market,
    moment: Moment,
    instead: BoxWish | None = None,
) -> Order | None:
    """Return the order with this id, priced as of now, or None.

    ``instead``: as if this were chosen of the box with its ``ref``.
    """
    row = find_checkout(session, key)
    return None if row is None else read_order(session, row, market, moment, instead=instead)


def with_another(
    session: AnySession,
    key: str,
    chosen: Choosable,
    market: Market,
    moment: Moment,
    picked: BoxWish | None = None,
) -> Order | None:
    """Return the order with one more box at its end, not yet written, or None.

    ``picked`` is what is picked for that box by now, none: what its page opens with.
    """
    row = find_checkout(session, key)
    if row is None:
        return None
    more = picked or BoxWish(chosen.plan_id, chosen.price_id, ref=next_ref(wishes_of(row)))
    return read_order(session, row, market, moment, also=[more])


@dataclass(frozen=True, slots=True)
class KnownDelivery:
    """What a signed-in customer need not type again."""

    email: str
    address: dict[str, str]
    #: VAT number and its state.
    tax_id: tuple[str, str] = ("", "")
    #: What they said last not to tolerate, of whichever subscription.
    avoids: tuple[str, ...] = ()
    #: Of an expired order; a customer's own is taken without asking.
    billing: Mapping[str, Any] = field(default_factory=dict)


def known_delivery(session: AnySession, customer_id: int) -> KnownDelivery:
    """Return what is known of a customer: the address of the newest subscription, else the newest.

    What one box alone was sent to is nobody's usual address, nor where a gift of theirs went.
    """
    customer, address = table_of(Customer), table_of(Address)
    who = session.execute(
        sa.select(
            customer.c.email, customer.c.name, customer.c.tax_id, customer.c.tax_id_state
        ).where(customer.c.id == customer_id)
    ).one()
    subscription = table_of(Subscription)
    usual = sa.select(sa.func.max(subscription.c.id)).where(
        subscription.c.customer_id == customer_id, subscription.c.address_id == address.c.id
    )
    is_used = sa.exists().where(
        subscription.c.customer_id == customer_id, subscription.c.address_id == address.c.id
    )
    gives = sa.exists().where(table_of(Gift).c.giver_id == customer_id)
    is_own = sa.or_(is_used, sa.not_(gives))
    row = session.execute(
        sa.select(*[address.c[name] for name in ADDRESS_COLUMNS])
        .where(address.c.customer_id == customer_id, is_own)
        .order_by(sa.func.coalesce(usual.scalar_subquery(), 0).desc(), address.c.id.desc())
        .limit(1)
    ).one_or_none()
    known = dict(row._mapping) if row else {"name": who.name}
    avoids = said_last(session, customer_id)
    return KnownDelivery(who.email, known, (who.tax_id, who.tax_id_state), avoids)


@dataclass(frozen=True, slots=True)
class ConfirmedBox:
    """One box of an order that is paid, and what comes next of it."""

    #: Public id of its subscription.
    subscription: str
    plan_name: str
    unit: str
    count: int
    due: Money
    charges: tuple[tuple[date, Money], ...]
    ships_on: date | None
    cutoff_on: date | None


#: What an order was paid for: kind, text, how many, amount in minor units, tax in it.
PaidLine = tuple[LineKind, str, int, int]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An order that is paid: what was charged, to which card, and its boxes."""

    name: str
    email: str
    address: dict[str, str]
    paid: Money
    tax: Money
    card: str
    boxes: tuple[ConfirmedBox, ...]
    #: Of the total, what is too little to be charged alone and comes with the next payment.
    carried: Money
    lines: tuple[PaidLine, ...] = ()

    @property
    def ships_on(self) -> date | None:
        """The day the first of the boxes leaves."""
        return min((box.ships_on for box in self.boxes if box.ships_on), default=None)


def confirmation(session: AnySession, key: str) -> Confirmation | None:
    """Return the paid order with this id, or None while it is not paid."""
    row = find_checkout(session, key)
    if row is None or row.state != "done":
        return None
    found = _paid(session, row)
    if not found:
        return None
    first = found[0]
    return Confirmation(
        name=str(row.address.get("name", "")),
        email=row.email,
        address={name: str(row.address.get(name, "")) for name in ADDRESS_COLUMNS},
        paid=Money(first.paid_minor, first.currency),
        tax=Money(first.tax_minor if first.paid_minor else 0, first.currency),
        card=_card(first),
        boxes=tuple(
            _confirmed(session, box, kept)
            for box, kept in zip(found, kept_boxes(row.quote), strict=True)
        ),
        carried=Money(first.carried_minor, first.currency),
        lines=_paid_lines(session, row.id) if first.paid_minor else (),
    )


def _paid_lines(session: AnySession, checkout_id: int) -> tuple[PaidLine, ...]:
    """Return (kind, text, how many, amount with tax) of what an order was paid for."""
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    rows = session.execute(
        sa.select(line.c.kind, line.c.text, line.c.quantity, line.c.gross_minor)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(invoice.c.checkout_id == checkout_id, invoice.c.state == InvoiceState.PAID)
        .order_by(invoice.c.id, line.c.position)
    )
    return tuple((row.kind, row.text, row.quantity, row.gross_minor) for row in rows)


def _confirmed(session: AnySession, row: AnyRow, kept: Mapping[str, Any]) -> ConfirmedBox:
    first = _first_box(session, row.subscription_id)
    # What is paid later has no box yet: the order keeps the days it was shown.
    ships_on, cutoff_on = (first.ship_from, first.cutoff_on) if first else kept_days(kept)
    charges = [
        (date.fromisoformat(on), Money(minor, row.currency)) for on, minor in kept["charges"]
    ]
    return ConfirmedBox(
        subscription=row.subscription_ref,
        plan_name=row.plan_name,
        unit=row.unit,
        count=row.unit_count,
        due=Money(kept["due_minor"], row.currency),
        charges=tuple(charges),
        ships_on=ships_on,
        cutoff_on=cutoff_on,
    )


def _card(row: AnyRow) -> str:
    return f"{row.brand.capitalize()} •••• {row.last4}" if row.last4 else ""


def _whole(total: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return a sum of minor units as a whole number, which PostgreSQL's is not; none is 0."""
    return sa.cast(sa.func.coalesce(total, 0), sa.BigInteger)


def _paid(session: AnySession, checkout: AnyRow) -> Sequence[AnyRow]:
    """Return the boxes of a paid order, each with the invoice and the card of all."""
    invoice, subscription, plan = table_of(Invoice), table_of(Subscription), table_of(Plan)
    price, method = table_of(Price), table_of(PaymentMethod)
    attempt, small = table_of(ChargeAttempt), table_of(CarriedAmount)
    charged = sa.select(_whole(sa.func.sum(attempt.c.amount_minor))).where(
        attempt.c.invoice_id == invoice.c.id, attempt.c.settles
    )
    carried = sa.select(_whole(sa.func.sum(small.c.amount_minor))).where(
        small.c.invoice_id == invoice.c.id
    )
    return session.execute(
        sa.select(
            charged.scalar_subquery().label("paid_minor"),
            carried.scalar_subquery().label("carried_minor"),
            invoice.c.tax_minor,
            invoice.c.currency,
            subscription.c.id.label("subscription_id"),
            subscription.c.public_id.label("subscription_ref"),
            plan.c.name.label("plan_name"),
            price.c.unit,
            price.c.count.label("unit_count"),
            method.c.brand,
            method.c.last4,
        )
        .select_from(
            invoice.join(subscription, subscription.c.checkout_id == invoice.c.checkout_id)
            .join(plan, plan.c.id == subscription.c.plan_id)
            .join(price, price.c.id == subscription.c.price_id)
            .outerjoin(method, method.c.id == subscription.c.payment_method_id)
        )
        .where(
            invoice.c.checkout_id == checkout.id,
            invoice.c.state.not_in([InvoiceState.OFFERED, InvoiceState.DISCARDED]),
        )
        .order_by(subscription.c.checkout_position)
    ).all()


def _first_box(session: AnySession, subscription_id: int) -> AnyRow | None:
    box, cycle, first = table_of(Box), table_of(BoxCycle), table_of(FirstBoxPlace)
    # One that leaves now joined a cycle whose cut-off is over: nothing of it can change.
    is_open = first.c.rule.is_(None)
    return session.execute(
        sa.select(
            sa.func.coalesce(first.c.ships_on, cycle.c.ship_from).label("ship_from"),
            sa.case((is_open, cycle.c.cutoff_on)).label("cutoff_on"),
        )
        .select_from(
            box.join(cycle, cycle.c.id == box.c.cycle_id).outerjoin(first, leaves_now(first, box))
        )
        .where(box.c.subscription_id == subscription_id)
        .order_by(box.c.id)
        .limit(1)
    ).one_or_none()


def payment_sent_at(session: AnySession, key: str) -> Any:
    """Return when the last charge of an order left, None if none did."""
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    row = find_checkout(session, key)
    if row is None:
        return None
    return session.execute(
        sa.select(sa.func.max(attempt.c.sent_at))
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(invoice.c.checkout_id == row.id)
    ).scalar_one()
