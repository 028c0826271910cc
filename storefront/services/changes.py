"""Change plan or interval: at once on the first day of a period, else at the next boundary."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.boxes import BoxState, boxes_per_period
from storefront.domain.changes import PaidLine, Restart, restart
from storefront.domain.charging import AttemptState
from storefront.domain.checkout import NoCycle, OrderQuote, quote_order
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.gateways import CancelAnswer
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.lifecycle import PeriodKind, PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.rates import rate_for
from storefront.domain.recurring import PeriodTerms, PricedPeriod, price_period
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    ChargeAttempt,
    Customer,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Price,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.changes import set_state, withdraw_unpaid
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.invoices import InvoiceDraft, offer_invoices
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    OrderPlan,
    OrderPrice,
    fits,
    open_slots,
    order_terms,
    price_from,
    read_plan,
)
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.terms import (
    option_texts,
    running,
    running_discounts,
    surcharges_of,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: A customer who is asked to confirm a change with their bank has this long.
CONFIRM_WITHIN = timedelta(hours=1)
_TRIES = 4
T = TypeVar("T")


class NotChangeable(DomainError):
    """Nothing can be changed now; ``params["reason"]`` says why."""

    code = "not_changeable"


class QuoteChanged(DomainError):
    """What was shown is not what it would cost now; show it again."""

    code = "quote_changed"


@dataclass(frozen=True, slots=True)
class ChangeQuote:
    """What a change costs, shown before and booked as shown.

    ``at_once``: today, for ``due_today``; otherwise on ``effective_on`` and nothing now.
    """

    at_once: bool
    effective_on: date
    plan: str
    interval: Interval
    amount: Money
    credit: Money
    due_today: Money
    next_charge_on: date
    quote_hash: str


@dataclass(frozen=True, slots=True)
class Changed:
    """How a change stands: applied, scheduled, action (at ``url``), waiting or declined."""

    outcome: str
    url: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Facts:
    row: AnyRow
    price: OrderPrice
    plan: OrderPlan
    #: A period of what is changed to, with the options and discounts there are.
    period: PricedPeriod
    order: OrderQuote | None
    restart: Restart | None


def quote_change(rt: Runtime, customer_id: int, subscription: str, price: str) -> ChangeQuote:
    """Say what changing to the price version ``price`` costs; changes nothing.

    Raises ``LookupError`` for what is not the customer's or not on sale, and
    ``NotChangeable``.
    """
    with reading():
        facts = _read(rt, customer_id, subscription, price, rt.moment())
        rt.session.rollback()
    return _quote(facts, rt.moment())


def change(
    rt: Runtime, customer_id: int, subscription: str, price: str, quote_hash: str
) -> Changed:
    """Do what ``quote_change`` showed. Raises as it does, and ``QuoteChanged``.

    At once: valid only when paid. Declined or left, the subscription is as it was.
    """
    if not charges.may_charge(rt):
        raise NotChangeable(reason="held")
    try:
        booked = _again(rt, partial(_book, rt, customer_id, subscription, price, quote_hash))
    except StaleSubscription as error:
        raise QuoteChanged from error
    if booked is None:
        return Changed("scheduled")
    if booked == 0:
        return Changed("applied")
    charges.charge_now(rt, [booked])
    return standing(rt, booked)


def standing(rt: Runtime, attempt_id: int) -> Changed:
    """Say what became of the payment of a change."""
    table = table_of(ChargeAttempt)
    with reading():
        row = rt.session.execute(
            sa.select(table.c.state, table.c.reason, table.c.action_url).where(
                table.c.id == attempt_id
            )
        ).one()
        rt.session.rollback()
    if row.state == AttemptState.SUCCEEDED:
        return Changed("applied")
    if row.state == AttemptState.ACTION_REQUIRED:
        return Changed("action", url=row.action_url)
    if row.state in (AttemptState.DECLINED, AttemptState.ABANDONED):
        return Changed("declined", reason=row.reason)
    return Changed("waiting")


def withdraw(rt: Runtime, customer_id: int, subscription: str) -> bool:
    """Drop a change that waits for its day; False when none does."""

    def work() -> bool:
        row = _subscription(rt, customer_id, subscription)
        table = table_of(ScheduledChange)
        ids = list(
            rt.session.scalars(
                sa.select(table.c.id).where(
                    table.c.subscription_id == row.id,
                    table.c.state == "waiting",
                    table.c.kind == "price",
                    table.c.invoice_id.is_(None),
                )
            )
        )
        set_state(rt.session, ids, "withdrawn")
        if ids:
            # A renewal that has read the change already must not apply it any more.
            change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {})])
            _note(rt, row, {"withdrawn": True})
        rt.session.commit()
        return bool(ids)

    return _again(rt, work)


def expire_changes(rt: Runtime) -> int:
    """Give up changes whose customer never confirmed with the bank; returns how many.

    Only what the gateway says can never succeed any more is dropped.
    """
    attempt, change_ = table_of(ChargeAttempt), table_of(ScheduledChange)
    with reading():
        rows = rt.session.execute(
            sa.select(
                attempt.c.id,
                attempt.c.public_id,
                attempt.c.gateway,
                attempt.c.account,
                attempt.c.invoice_id,
            )
            .join(change_, change_.c.invoice_id == attempt.c.invoice_id)
            .where(
                # Withdrawn ones too: their subscription was cancelled while they were paid.
                change_.c.state.in_(["waiting", "withdrawn"]),
                change_.c.kind == "price",
                attempt.c.state == AttemptState.ACTION_REQUIRED,
                attempt.c.created_at <= rt.now() - CONFIRM_WITHIN,
            )
            .order_by(change_.c.subscription_id)
            .limit(100)
        ).all()
        rt.session.rollback()
    return sum(retrying(rt.session, partial(_give_up, rt, row)) for row in rows if _stops(rt, row))


def _stops(rt: Runtime, row: AnyRow) -> bool:
    gateway = rt.gateways.get(row.gateway)
    if gateway is None or gateway.account != row.account:
        return False
    try:
        answer = gateway.cancel(row.public_id)
    except Exception:
        log.exception("gateway %s could not cancel %s", row.gateway, row.public_id)
        return False
    if answer is CancelAnswer.SUCCEEDED:
        charges.look_up(rt, row.id)
    return answer is CancelAnswer.CANCELLED


def _give_up(rt: Runtime, row: AnyRow) -> bool:
    moment, table = rt.moment(), table_of(ChargeAttempt)
    ended = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state == AttemptState.ACTION_REQUIRED)
        .values(
            state=AttemptState.ABANDONED,
            reason="not_confirmed",
            answered_at=moment.now,
            check_at=None,
        )
        .returning(table.c.id)
    ).all()
    if ended:
        withdraw_unpaid(rt.session, [row.invoice_id], moment)
    rt.session.commit()
    return bool(ended)


def _book(
    rt: Runtime, customer_id: int, subscription: str, price: str, quote_hash: str
) -> int | None:
    """Write the change; returns the attempt to ask, 0 when it is applied, None when scheduled."""
    moment = rt.moment()
    facts = _read(rt, customer_id, subscription, price, moment)
    quote = _quote(facts, moment)
    if quote.quote_hash != quote_hash:
        raise QuoteChanged
    row = facts.row
    values = {
        "subscription_id": row.id,
        "kind": "price",
        "effective_on": quote.effective_on,
        "price_id": facts.price.id,
        "state": "waiting",
        "created_at": moment.now,
    }
    if not quote.at_once or facts.restart is None or facts.order is None:
        rt.session.execute(sa.insert(table_of(ScheduledChange)).values(data={}, **values))
        # A renewal that has read the batch without the change must read it again.
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {})])
        _note(rt, row, {"to": facts.plan.name, "on": quote.effective_on.isoformat()})
        rt.session.commit()
        return None
    # Not claimed by the renewal run while its change is being paid.
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {"renews_at": None})])
    invoice = offer_invoices(rt.session, [_draft(rt, facts, moment)], moment)[0]
    data = {
        "period_id": row.period_id,
        "end_on": facts.order.period.end.isoformat(),
        "boxes": facts.order.boxes,
        "mrr_minor": facts.period.mrr.minor,
        "anchor_on": facts.order.renewal_on.isoformat(),
        "anchor_day": facts.order.anchor_day,
        "credited": [list(pair) for pair in facts.restart.credited],
    }
    rt.session.execute(
        sa.insert(table_of(ScheduledChange)).values(data=data, invoice_id=invoice.id, **values)
    )
    attempt = 0
    if invoice.total_minor:
        attempt = _plan(rt, row, invoice.id, invoice.total_minor, invoice.currency, moment)
    else:
        settle_invoices(rt.session, [Settlement(invoice.id, 0)], moment)
    rt.session.commit()
    return attempt


def _plan(
    rt: Runtime, row: AnyRow, invoice_id: int, minor: int, currency: str, moment: Moment
) -> int:
    draft = AttemptDraft(
        invoice_id=invoice_id,
        number=1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.method_id,
        fingerprint=row.fingerprint,
        amount_minor=minor,
        currency=currency,
        on_session=True,
    )
    return plan_attempts(rt.session, [draft], moment, AttemptState.SENT)[0][0]


def _draft(rt: Runtime, facts: _Facts, moment: Moment) -> InvoiceDraft:
    row, shop = facts.row, rt.shop
    assert facts.restart is not None
    assert facts.order is not None
    seller = {
        "name": shop.seller_name,
        "address": shop.seller_address,
        "tax_id": shop.seller_tax_id,
        "country": shop.seller_country,
    }
    return InvoiceDraft(
        payer_id=row.payer,
        quote=facts.restart.quote,
        subscription_id=row.id,
        period_id=row.period_id,
        service_from=row.start_on,
        service_to=facts.order.period.end,
        due_on=moment.today,
        snapshot={"seller": seller, "buyer": {"name": row.payer_name, "email": row.payer_email}},
    )


def _note(rt: Runtime, row: AnyRow, data: dict[str, Any]) -> None:
    entry = Entry(row.id, row.public_id, EventKind.SUBSCRIPTION_CHANGED, Actor.CUSTOMER, data=data)
    record(rt.session, [entry], rt.moment())


def _read(rt: Runtime, customer_id: int, subscription: str, price: str, moment: Moment) -> _Facts:
    row = _subscription(rt, customer_id, subscription)
    found = rt.session.execute(
        sa.select(table_of(Price)).where(
            table_of(Price).c.public_id == price, table_of(Price).c.retired_at.is_(None)
        )
    ).one_or_none()
    if found is None or found.currency != row.currency:
        raise LookupError(price)
    target = price_from(found)
    plan = read_plan(rt.session, found.plan_id)
    if not fits(plan, target):
        raise LookupError(price)
    _check(rt, row, target)
    country = row.country or rt.shop.seller_country
    period = price_period(_terms(rt, row, target, plan, country, moment))
    order = restarted = None
    if row.start_on == moment.today and _is_untouched(rt, row, moment):
        try:
            order = quote_order(
                order_terms(
                    plan,
                    target,
                    country,
                    moment.today,
                    open_slots(rt.session, plan.group_id, moment.today),
                    quantity=row.quantity,
                )
            )
        except NoCycle:
            order = None
    if order is not None and order.boxes >= row.box_count:
        restarted = restart(_paid_lines(rt, row.period_id), period.quote)
    return _Facts(row, target, plan, period, order, restarted)


def _terms(
    rt: Runtime, row: AnyRow, target: OrderPrice, plan: OrderPlan, country: str, moment: Moment
) -> PeriodTerms:
    """Return the terms of the next period after the change, as the renewal would have them."""
    options = option_texts(rt.session, {plan.id} if row.options else set())
    discounts = running_discounts(rt.session, [row.id]).get(row.id, [])
    return PeriodTerms(
        plan_name=plan.name,
        plan_ref=plan.code,
        amount=target.amount,
        interval=target.interval,
        boxes=boxes_per_period(target.interval, plan.shipping) if plan.shipping else 0,
        quantity=row.quantity,
        tax_rate=rate_for(country, plan.tax_class, moment.today),
        inclusive=target.inclusive,
        surcharges=surcharges_of(row.options, plan.id, row.currency, options),
        discounts=tuple(running(discount) for discount in discounts),
    )


def _quote(facts: _Facts, moment: Moment) -> ChangeQuote:
    row, order = facts.row, facts.order
    boundary = max(row.next_on, row.anchor_on)
    zero = Money.zero(row.currency)
    if order is not None and facts.restart is not None:
        at_once, effective, next_on = True, moment.today, order.renewal_on
        due = facts.restart.quote.total
        credit = Money(sum(minor for _, minor in facts.restart.credited), row.currency)
    else:
        at_once, effective, next_on, due, credit = False, boundary, boundary, zero, zero
    amount = facts.period.quote.total
    shown = [at_once, effective.isoformat(), facts.price.public_id, due.minor, next_on.isoformat()]
    shown.append(amount.minor)
    return ChangeQuote(
        at_once,
        effective,
        facts.plan.name,
        facts.price.interval,
        amount,
        credit,
        due,
        next_on,
        sha256(json.dumps([*shown, row.public_id]).encode()).hexdigest(),
    )


def _check(rt: Runtime, row: AnyRow, target: OrderPrice) -> None:
    if SubscriptionState(row.state) is not SubscriptionState.ACTIVE or row.held_at is not None:
        raise NotChangeable(reason=str(row.state))
    if row.cancel_on is not None:
        raise NotChangeable(reason="cancelled")
    if row.price_id == target.id:
        raise NotChangeable(reason="same")
    if row.method_id is None:
        raise NotChangeable(reason="no_method")
    table = table_of(ScheduledChange)
    waits = rt.session.scalar(
        sa.select(sa.func.count()).where(
            table.c.subscription_id == row.id, table.c.state == "waiting"
        )
    )
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    owes = rt.session.scalar(
        sa.select(sa.func.count())
        .select_from(line.join(invoice, invoice.c.id == line.c.invoice_id))
        .where(line.c.subscription_id == row.id, invoice.c.state == InvoiceState.OPEN)
    )
    if waits:
        raise NotChangeable(reason="waiting")
    if owes:
        raise NotChangeable(reason="unpaid")


def _is_untouched(rt: Runtime, row: AnyRow, moment: Moment) -> bool:
    """Return whether the period is a paid one, and each of its boxes can still be changed."""
    if row.period_kind != PeriodKind.BILLED or row.period_state != PeriodState.PAID:
        return False
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = rt.session.execute(
        sa.select(box.c.state, cycle.c.cutoff_on)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.period_id == row.period_id)
    ).all()
    return all(
        each.state == BoxState.PLANNED
        and (each.cutoff_on is None or each.cutoff_on >= moment.today)
        for each in rows
    )


def _paid_lines(rt: Runtime, period_id: int) -> list[PaidLine]:
    """Return the live lines of a period; what a change took back of them is off already."""
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    rows = rt.session.execute(
        sa.select(line)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(line.c.period_id == period_id, invoice.c.state == InvoiceState.PAID)
        .order_by(line.c.id)
    ).all()
    return [
        PaidLine(
            row.id,
            LineKind(row.kind),
            row.text,
            row.gross_minor - row.credited_minor,
            Decimal(row.tax_rate_bp) / 100,
        )
        for row in rows
        if row.kind != LineKind.PRORATION_CREDIT and row.credited_minor < abs(row.gross_minor)
    ]


def _subscription(rt: Runtime, customer_id: int, subscription: str) -> AnyRow:
    table, price, period = table_of(Subscription), table_of(Price), table_of(SubscriptionPeriod)
    address, method, payer = table_of(Address), table_of(PaymentMethod), table_of(Customer)
    pays = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    chosen = sa.or_(
        method.c.id == table.c.payment_method_id,
        sa.and_(
            table.c.payment_method_id.is_(None), method.c.customer_id == pays, method.c.is_default
        ),
    )
    usable = sa.and_(method.c.detached_at.is_(None), method.c.refused_at.is_(None))
    statement = (
        sa.select(
            table,
            pays.label("payer"),
            price.c.currency,
            address.c.country,
            payer.c.name.label("payer_name"),
            payer.c.email.label("payer_email"),
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            period.c.id.label("period_id"),
            period.c.kind.label("period_kind"),
            period.c.state.label("period_state"),
            period.c.start_on,
            period.c.box_count,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(payer, payer.c.id == pays)
        .join(
            period,
            sa.and_(
                period.c.subscription_id == table.c.id, period.c.number == table.c.next_number - 1
            ),
        )
        .outerjoin(address, address.c.id == table.c.address_id)
        .outerjoin(method, sa.and_(chosen, usable))
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    )
    row = rt.session.execute(statement).one_or_none()
    if row is None:
        raise LookupError(subscription)
    return row


def _again(rt: Runtime, work: Callable[[], T]) -> T:
    """Run ``work`` anew when a worker was faster: it decides again on what is true then."""
    for left in range(_TRIES, 0, -1):
        try:
            return retrying(rt.session, work)
        except StaleSubscription:
            if left == 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")
