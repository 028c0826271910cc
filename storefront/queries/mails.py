"""What mails are written from, read when they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.gifts import destination_of
from storefront.domain.money import Money
from storefront.domain.order_law import OrderLaw, law_of_order
from storefront.domain.periods import Interval
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Box,
    BoxCycle,
    BoxShortage,
    CarriedAmount,
    ChargeAttempt,
    Checkout,
    Customer,
    DunningCase,
    FirstBoxPlace,
    Gift,
    Invoice,
    InvoiceLine,
    NumberSeries,
    OutboxMessage,
    PaymentMethod,
    Plan,
    Price,
    Staff,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.kept_orders import kept_boxes, kept_days, last_free_day
from storefront.operations.kept_places import leaves_now
from storefront.operations.keys import AnySession
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.skips import read_coming
from storefront.operations.trials import is_first_after_trial
from storefront.queries.next_payment import next_charge, read_costs


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a mail goes to."""

    name: str
    email: str
    locale: str


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription as a mail speaks of it."""

    public_id: str
    plan: str
    interval: Interval
    cancel_on: date | None
    #: First ship day of the next paid box; None when none waits.
    ships_on: date | None
    choose_until: date | None
    #: False for a plan that sends nothing.
    ships: bool = True
    #: Of a free trial the last day on which leaving costs nothing, as its order was shown it.
    last_free_on: date | None = None
    #: Whether who goes on after a trial may withdraw a second time.
    second_withdrawal: bool = False


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """One payment, or the try at one."""

    invoice_ref: str
    #: As the document shows it, with its series; empty before it has one.
    number: str
    amount: Money
    brand: str
    last4: str
    paid_at: datetime | None
    retry_at: datetime | None
    checkout_ref: str
    #: The gateway that was asked; empty where none was.
    gateway: str = ""
    is_after_trial: bool = False
    #: Too little to be charged alone: settled, and asked for with the next payment.
    is_carried: bool = False


def person(session: AnySession, customer_id: int | None) -> Person | None:
    """Return who a customer is, or None when there is nobody to write to."""
    row = session.execute(
        sa.select(Customer.name, Customer.email, Customer.locale).where(Customer.id == customer_id)
    ).one_or_none()
    return Person(row.name, row.email, row.locale) if row else None


def staff_person(session: AnySession, public_id: str) -> Person | None:
    """Return who a staff user is, in the shop's language; None for one who is locked out."""
    row = session.execute(
        sa.select(Staff.name, Staff.email).where(
            Staff.public_id == public_id, Staff.disabled_at.is_(None)
        )
    ).one_or_none()
    return Person(row.name, row.email, "") if row else None


def subscription_facts(session: AnySession, public_id: str) -> SubscriptionFacts | None:
    """Return what a mail says of a subscription."""
    table, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    row = session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.cancel_on,
            plan.c.name,
            plan.c.ships,
            plan.c.second_withdrawal,
            price.c.unit,
            price.c.count.label("unit_count"),
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .join(price, price.c.id == table.c.price_id)
        .where(table.c.public_id == public_id)
    ).one_or_none()
    if row is None:
        return None
    box, cycle, first = table_of(Box), table_of(BoxCycle), table_of(FirstBoxPlace)
    # A box that leaves now may be locked before its order is confirmed by mail.
    is_late = sa.and_(first.c.rule.is_not(None), box.c.state.in_([BoxState.HELD, BoxState.LOCKED]))
    coming = session.execute(
        sa.select(
            sa.func.coalesce(first.c.ships_on, cycle.c.ship_from).label("ship_from"),
            cycle.c.cutoff_on,
        )
        .join(box, box.c.cycle_id == cycle.c.id)
        .outerjoin(first, leaves_now(first, box))
        .where(
            box.c.subscription_id == row.id,
            sa.or_(box.c.state == BoxState.PLANNED, is_late),
        )
        .order_by(cycle.c.ship_from)
        .limit(1)
    ).one_or_none()
    return SubscriptionFacts(
        row.public_id,
        row.name,
        Interval(row.unit, row.unit_count),
        row.cancel_on,
        coming.ship_from if coming else None,
        coming.cutoff_on if coming else None,
        row.ships,
        second_withdrawal=row.second_withdrawal,
    )


def next_charge_of(
    session: AnySession, public_id: str, moment: Moment, taxes: TaxRules
) -> tuple[date, Money] | None:
    """Return day and amount of the next charge, as the renewal will price it; None: no more."""
    which = table_of(Subscription).c.public_id == public_id
    found = read_coming(session, which, moment.today)
    costs = read_costs(session, found, taxes)
    return next((next_charge(one, costs, moment) for one in found), None)


def boxes_of(session: AnySession, invoice: str) -> list[SubscriptionFacts]:
    """Return what a mail says of each subscription an invoice is for, in its lines' order.

    One that is paid for later has no box yet: of it the days that its order was shown.
    """
    table, line, paper = table_of(Subscription), table_of(InvoiceLine), table_of(Invoice)
    refs = session.execute(
        sa.select(table.c.public_id)
        .join(line, line.c.subscription_id == table.c.id)
        .join(paper, paper.c.id == line.c.invoice_id)
        .where(paper.c.public_id == invoice, sa.not_(line.c.is_void))
        .order_by(line.c.position)
    ).scalars()
    facts = (subscription_facts(session, ref) for ref in dict.fromkeys(refs))
    found = [one for one in facts if one is not None]
    shown = _promised(session, [one.public_id for one in found])
    return [_as_shown(one, shown.get(one.public_id, {})) for one in found]


def _as_shown(one: SubscriptionFacts, kept: Mapping[str, Any]) -> SubscriptionFacts:
    """Return the facts with what the order was shown and nothing says yet."""
    free = last_free_day(kept)
    if one.ships_on is not None:
        return replace(one, last_free_on=free)
    ships_on, choose_until = kept_days(kept)
    return replace(one, ships_on=ships_on, choose_until=choose_until, last_free_on=free)


def _promised(session: AnySession, refs: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return what the order of each subscription keeps of it, as it was shown."""
    table, checkout = table_of(Subscription), table_of(Checkout)
    rows = session.execute(
        sa.select(table.c.public_id, table.c.checkout_position, checkout.c.quote)
        .join(checkout, checkout.c.id == table.c.checkout_id)
        .where(table.c.public_id.in_(refs))
    )
    found = {}
    for row in rows:
        boxes = kept_boxes(row.quote)
        if row.checkout_position < len(boxes):
            found[row.public_id] = boxes[row.checkout_position]
    return found


def law_of(session: AnySession, invoice: str) -> OrderLaw | None:
    """Return the law that the order paid by an invoice follows; None for one without an order."""
    paper, checkout = table_of(Invoice), table_of(Checkout)
    row = session.execute(
        sa.select(checkout.c.address, checkout.c.billing, checkout.c.gift)
        .join(paper, paper.c.checkout_id == checkout.c.id)
        .where(paper.c.public_id == invoice)
    ).one_or_none()
    if row is None:
        return None
    country = str(destination_of(row.address, row.gift).get("country", ""))
    return law_of_order(country, row.address, row.billing)


def has_card(session: AnySession, public_id: str) -> bool:
    """Return whether a card is there that a subscription can be charged to."""
    table, method = table_of(Subscription), table_of(PaymentMethod)
    found = session.execute(
        sa.select(method.c.id)
        .select_from(table.join(method, paying_method(usable=True)))
        .where(table.c.public_id == public_id)
        .limit(1)
    )
    return found.scalar_one_or_none() is not None


def refused_before(session: AnySession, invoice: str) -> str:
    """Return the last four digits of the card for which a backup paid an invoice; empty: none."""
    paper, attempt, method = table_of(Invoice), table_of(ChargeAttempt), table_of(PaymentMethod)
    paid = attempt.alias()
    found = session.execute(
        sa.select(method.c.last4)
        .join(attempt, attempt.c.payment_method_id == method.c.id)
        .join(paid, paid.c.invoice_id == attempt.c.invoice_id)
        .join(paper, paper.c.id == paid.c.invoice_id)
        .where(
            paper.c.public_id == invoice,
            paid.c.settles,
            sa.not_(paid.c.on_session),
            attempt.c.number == paid.c.number - 1,
            attempt.c.payment_method_id != paid.c.payment_method_id,
            # The backup's charge is planned in the transaction that wrote the refusal down.
            attempt.c.answered_at == paid.c.created_at,
        )
        .limit(1)
    ).scalar_one_or_none()
    return str(found or "")


def payment_facts(session: AnySession, payload: Mapping[str, Any]) -> PaymentFacts | None:
    """Return the payment named by ``invoice`` (paid) or ``attempt`` (tried) of a payload."""
    invoice, attempt = table_of(Invoice), table_of(ChargeAttempt)
    method, case, checkout = table_of(PaymentMethod), table_of(DunningCase), table_of(Checkout)
    small, series = table_of(CarriedAmount), table_of(NumberSeries)
    if "attempt" in payload:
        which: sa.ColumnElement[bool] = attempt.c.public_id == payload["attempt"]
        tied: sa.ColumnElement[bool] = attempt.c.invoice_id == invoice.c.id
    else:
        which = invoice.c.public_id == payload["invoice"]
        tied = sa.and_(attempt.c.invoice_id == invoice.c.id, attempt.c.settles)
    row = session.execute(
        sa.select(
            invoice.c.public_id,
            invoice.c.number,
            sa.func.coalesce(attempt.c.amount_minor, invoice.c.total_minor).label("minor"),
            invoice.c.currency,
            invoice.c.paid_at,
            method.c.brand,
            method.c.last4,
            case.c.next_at,
            case.c.next_action,
            checkout.c.public_id.label("checkout_ref"),
            series.c.prefix,
            attempt.c.gateway,
            is_first_after_trial(attempt).label("is_after_trial"),
            sa.exists().where(small.c.invoice_id == invoice.c.id).label("is_carried"),
        )
        .select_from(invoice)
        .outerjoin(attempt, tied)
        .outerjoin(method, method.c.id == attempt.c.payment_method_id)
        .outerjoin(case, case.c.invoice_id == invoice.c.id)
        .outerjoin(checkout, checkout.c.id == invoice.c.checkout_id)
        .outerjoin(series, series.c.code == invoice.c.series)
        .where(which)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return PaymentFacts(
        row.public_id,
        "" if row.number is None else f"{row.prefix or ''}{row.number}",
        Money(row.minor, row.currency),
        row.brand or "",
        row.last4 or "",
        row.paid_at,
        row.next_at if row.next_action == "retry" else None,
        row.checkout_ref or "",
        row.gateway or "",
        bool(row.is_after_trial),
        row.is_carried,
    )


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """A box as a mail speaks of it."""

    subscription: str
    #: First day on which it leaves; None while it has no cycle.
    ships_on: date | None


def box_facts(session: AnySession, public_id: str) -> BoxFacts | None:
    """Return the box, None if there is no such box."""
    box, subscription, cycle = table_of(Box), table_of(Subscription), table_of(BoxCycle)
    row = session.execute(
        sa.select(subscription.c.public_id, cycle.c.ship_from)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.public_id == public_id)
    ).one_or_none()
    return BoxFacts(row.public_id, row.ship_from) if row else None


def gift_of_box(session: AnySession, public_id: str) -> tuple[str, str]:
    """Return plan of a box and whom it was given to; the latter empty for no gift."""
    box, plan, gift = table_of(Box), table_of(Plan), table_of(Gift)
    row = session.execute(
        sa.select(plan.c.name, sa.func.coalesce(gift.c.recipient_name, "").label("recipient"))
        .join(box, box.c.plan_id == plan.c.id)
        .outerjoin(gift, gift.c.subscription_id == box.c.subscription_id)
        .where(box.c.public_id == public_id)
    ).one_or_none()
    return (row.name, row.recipient) if row else ("", "")


def went_to(session: AnySession, public_id: str) -> str:
    """Return street and town that a packed box was sent to, empty where nobody knows any more."""
    box = table_of(Box)
    found = session.scalar(sa.select(box.c.ship_to).where(box.c.public_id == public_id)) or {}
    return ", ".join(part for part in (found.get("street"), found.get("city")) if part)


def was_worth_waiting(session: AnySession, box: str) -> bool:
    """Return whether the subscriber of the box was mailed that it waits, and all of it is in it."""
    message, table, short = table_of(OutboxMessage), table_of(Box), table_of(BoxShortage)
    told = sa.exists().where(message.c.key == f"mail:box_waits:{box}")
    lacks = sa.exists().where(short.c.box_id == table.c.id, table.c.public_id == box)
    return bool(session.scalar(sa.select(sa.and_(told, ~lacks))))
