"""One customer as staff see them: who, what they have, what they paid, what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.money import Money
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Box,
    BoxCycle,
    ChargeAttempt,
    Customer,
    DunningCase,
    Invoice,
    InvoiceLine,
    NumberSeries,
    ParkedWork,
    PaymentMethod,
    Plan,
    Price,
    Shipment,
    Staff,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.consents import marketing_since
from storefront.operations.guard import Announced, refusal, times
from storefront.operations.moment import Moment
from storefront.queries.account import SubscriptionView
from storefront.queries.account_home import home
from storefront.queries.answers import asks_of
from storefront.queries.credit import Credit, credit_of
from storefront.queries.document_groups import subjects_of
from storefront.queries.invoices import NoteRow, notes_of
from storefront.queries.ledger import CustomerBalance, customer_balances
from storefront.queries.subscribers import Happening

#: Rows shown of each list.
INVOICES, BOXES, EVENTS = 12, 12, 40


@dataclass(frozen=True, slots=True)
class Person:
    """The customer."""

    id: int
    public_id: str
    name: str
    email: str
    since: datetime
    is_verified: bool
    source: str
    #: In all, per currency.
    paid: tuple[Money, ...]
    tax_id: str
    #: pending, valid, invalid or empty.
    tax_id_state: str
    is_tax_exempt: bool
    #: gateway or bank, and the days to pay by bank; None: the shop's.
    pays_by: str = "gateway"
    payment_days: int | None = None
    #: Since when mails about offers are wanted; None: they are not.
    marketing_since: datetime | None = None
    #: Whom invoices are made out to where it is not who gets the box; else empty.
    billing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What staff see of a subscription beside what its customer sees."""

    held_at: datetime | None
    hold_reason: str
    #: Key of the parked work to try again; None when nothing is parked.
    parked_id: int | None
    parked_why: str
    #: What the chase does next: retry or last_action; empty when there is none.
    chase: str
    chase_at: datetime | None
    created_at: datetime
    #: Ordered under this e-mail without signing in: taxed as its order was shown.
    is_taxed_as_ordered: bool
    #: Its plan asks about its boxes, or it answered once.
    asks: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One question to the bank."""

    at: datetime | None
    state: str
    reason: str
    amount: Money
    card: str


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One invoice with every try to collect it."""

    public_id: str
    number: str
    day: date
    text: str
    state: str
    total: Money
    due: Money
    attempts: tuple[Attempt, ...]
    notes: tuple[NoteRow, ...]
    #: An extra charge that was never finalised: a draft, or a discarded one.
    is_draft: bool


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One paid box and its parcel."""

    public_id: str
    plan: str
    state: str
    problem: str
    ship_from: date | None
    cycle: str
    carrier: str
    tracking: str


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The whole page."""

    person: Person
    subscriptions: tuple[SubscriptionView, ...]
    standings: dict[str, Standing]
    invoices: tuple[InvoiceRow, ...]
    boxes: tuple[BoxRow, ...]
    credit: Credit
    events: tuple[Happening, ...]
    #: How the customer stands in the ledger, per currency.
    balances: tuple[CustomerBalance, ...]


def subscriber(
    session: AnySession,
    ref: str,
    moment: Moment,
    currency: str,
    taxes: TaxRules,
    announced: Announced = (),
) -> Subscriber | None:
    """Return the page of the customer ``ref``, or None.

    ``announced`` are the gateways that require a notice before a debit.
    """
    customer = person(session, ref, currency)
    if customer is None:
        return None
    found = home(session, customer.id, moment, taxes)
    return Subscriber(
        customer,
        found.subscriptions,
        standings(session, customer.id),
        _invoices(session, customer.id, moment, announced),
        _boxes(session, customer.id),
        credit_of(session, customer.id),
        events(session, customer.id),
        tuple(customer_balances(session, customer.id)),
    )


def person(session: AnySession, ref: str, currency: str) -> Person | None:
    """Return the customer ``ref`` with what they paid in all, or None.

    Currencies are never added up; who paid nothing has paid none of ``currency``.
    """
    customer, invoice = table_of(Customer), table_of(Invoice)
    paid = sa.func.sum(invoice.c.paid_minor)
    rows = session.execute(
        sa.select(
            customer,
            invoice.c.currency,
            paid.label("paid"),
            marketing_since(customer.c.id).label("marketing_since"),
        )
        .outerjoin(invoice, invoice.c.payer_id == customer.c.id)
        .where(customer.c.public_id == ref)
        .group_by(customer.c.id, invoice.c.currency)
        .order_by(paid.desc())
    ).all()
    if not rows:
        return None
    row = rows[0]
    sums = tuple(Money(int(one.paid), one.currency) for one in rows if one.paid)
    return Person(
        row.id,
        row.public_id,
        row.name,
        row.email,
        row.created_at,
        row.email_verified_at is not None,
        row.source,
        sums or (Money.zero(currency),),
        row.tax_id,
        row.tax_id_state,
        row.is_tax_exempt,
        row.pays_by,
        row.payment_days,
        row.marketing_since,
        row.billing or {},
    )


def standings(session: AnySession, customer_id: int) -> dict[str, Standing]:
    """Return how each subscription of a customer stands, by its public id."""
    table, work, case = table_of(Subscription), table_of(ParkedWork), table_of(DunningCase)
    invoice, line = table_of(Invoice), table_of(InvoiceLine)
    chased = (
        sa.select(case.c.id)
        .join(invoice, invoice.c.id == case.c.invoice_id)
        .join(line, line.c.invoice_id == invoice.c.id)
        .where(
            line.c.subscription_id == table.c.id, sa.not_(line.c.is_void), case.c.state == "open"
        )
        .order_by(case.c.id)
        .limit(1)
        .correlate(table)
        .scalar_subquery()
    )
    parked = sa.and_(
        work.c.subject == table.c.public_id, work.c.kind == "renewal", work.c.resolved_at.is_(None)
    )
    rows = session.execute(
        sa.select(
            table.c.public_id,
            table.c.held_at,
            table.c.hold_reason,
            table.c.created_at,
            table.c.is_taxed_as_ordered,
            asks_of(table).label("asks"),
            work.c.id.label("parked_id"),
            work.c.reason.label("parked_why"),
            case.c.next_action,
            case.c.next_at,
        )
        .outerjoin(work, parked)
        .outerjoin(case, case.c.id == chased)
        .where(table.c.customer_id == customer_id)
        .order_by(table.c.id, work.c.id)
    )
    return {
        row.public_id: Standing(
            row.held_at,
            str(getattr(row.hold_reason, "value", row.hold_reason) or ""),
            row.parked_id,
            row.parked_why or "",
            row.next_action if row.next_at else "",
            row.next_at,
            row.created_at,
            row.is_taxed_as_ordered,
            bool(row.asks),
        )
        for row in rows
    }


def _invoices(
    session: AnySession, customer_id: int, moment: Moment, announced: Announced
) -> tuple[InvoiceRow, ...]:
    invoice, series = table_of(Invoice), table_of(NumberSeries)
    line = table_of(InvoiceLine)
    rows = session.execute(
        sa.select(
            invoice.c.id,
            invoice.c.public_id,
            invoice.c.number,
            sa.func.coalesce(series.c.prefix, "").label("prefix"),
            invoice.c.tax_point_on,
            invoice.c.state,
            invoice.c.total_minor,
            invoice.c.due_minor,
            invoice.c.currency,
            subjects_of(invoice).label("text"),
            sa.exists()
            .where(line.c.invoice_id == invoice.c.id, line.c.kind == LineKind.EXTRA)
            .label("is_extra"),
        )
        .outerjoin(series, series.c.code == invoice.c.series)
        .where(invoice.c.payer_id == customer_id)
        .order_by(invoice.c.id.desc())
        .limit(INVOICES)
    ).all()
    tries = _attempts(session, [row.id for row in rows], moment, announced)
    notes = notes_of(session, [row.id for row in rows])
    return tuple(
        InvoiceRow(
            row.public_id,
            f"{row.prefix}{row.number}" if row.number is not None else "",
            row.tax_point_on,
            row.text or "",
            InvoiceState(row.state).value,
            Money(row.total_minor, row.currency),
            Money(row.due_minor, row.currency),
            tuple(tries.get(row.id, ())),
            tuple(notes.get(row.id, ())),
            row.number is None and bool(row.is_extra),
        )
        for row in rows
    )


def _attempts(
    session: AnySession, invoice_ids: Sequence[int], moment: Moment, announced: Announced
) -> dict[int, list[Attempt]]:
    """Return the tries of each invoice; one that is still to be sent, with why it was not yet."""
    attempt, method = table_of(ChargeAttempt), table_of(PaymentMethod)
    why = sa.case(
        (attempt.c.state == AttemptState.PLANNED, refusal(attempt, announced)),
        else_=attempt.c.reason,
    )
    rows: Sequence[Any] = (
        session.execute(
            sa.select(attempt, method.c.brand, method.c.last4, why.label("why"))
            .outerjoin(method, method.c.id == attempt.c.payment_method_id)
            .where(attempt.c.invoice_id.in_(invoice_ids))
            .order_by(attempt.c.id),
            times(moment),
        ).all()
        if invoice_ids
        else ()
    )
    found: dict[int, list[Attempt]] = {}
    for row in rows:
        found.setdefault(row.invoice_id, []).append(
            Attempt(
                row.answered_at or row.sent_at,
                AttemptState(row.state).value,
                row.why,
                Money(row.amount_minor, row.currency),
                f"{row.brand.title()} {row.last4}" if row.brand else "",
            )
        )
    return found


def _boxes(session: AnySession, customer_id: int) -> tuple[BoxRow, ...]:
    box, table, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    cycle, shipment = table_of(BoxCycle), table_of(Shipment)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            plan.c.name.label("plan"),
            box.c.state,
            box.c.problem,
            cycle.c.ship_from,
            cycle.c.public_id.label("cycle"),
            shipment.c.carrier,
            shipment.c.tracking_number,
        )
        .join(table, table.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .where(table.c.customer_id == customer_id)
        .order_by(box.c.id.desc())
        .limit(BOXES)
    )
    return tuple(
        BoxRow(
            row.public_id,
            row.plan,
            BoxState(row.state).value,
            row.problem,
            row.ship_from,
            row.cycle or "",
            row.carrier or "",
            row.tracking_number or "",
        )
        for row in rows
    )


def events(session: AnySession, customer_id: int, limit: int = EVENTS) -> tuple[Happening, ...]:
    """Return what happened to all subscriptions of a customer, newest first."""
    event, table, staff = table_of(SubscriptionEvent), table_of(Subscription), table_of(Staff)
    price = table_of(Price)
    rows = session.execute(
        sa.select(
            event.c.at,
            event.c.kind,
            event.c.actor,
            staff.c.name.label("actor_name"),
            table.c.public_id,
            event.c.data,
            price.c.currency,
        )
        .join(table, table.c.id == event.c.subscription_id)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(staff, staff.c.public_id == event.c.actor_ref)
        .where(table.c.customer_id == customer_id)
        .order_by(event.c.id.desc())
        .limit(limit)
    )
    return tuple(
        Happening(
            row.at,
            row.kind,
            row.actor,
            row.actor_name or "",
            row.public_id,
            row.data,
            row.currency,
        )
        for row in rows
    )


def customer_key(session: AnySession, ref: str) -> int | None:
    """Return the key of the customer with this public id, or None."""
    table = table_of(Customer)
    key: int | None = session.scalar(sa.select(table.c.id).where(table.c.public_id == ref))
    return key
