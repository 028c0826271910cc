"""What a subscription can change to, and what became of the payment of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    Address,
    ChargeAttempt,
    Invoice,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.choice_losses import Loss, losses_of
from storefront.operations.choosing import open_boxes
from storefront.operations.discounts import Place, resting, running_discounts
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import Question, read_questions
from storefront.operations.places_for_changes import invited_of
from storefront.operations.skips import read_coming
from storefront.operations.sold_prices import sold_to_subscribers
from storefront.queries.places import sold_out


@dataclass(frozen=True, slots=True)
class Target:
    """A price version that a subscription could change to; ``is_now`` marks the present one."""

    price: str
    plan: str
    tagline: str
    interval: Interval
    amount: Money
    is_now: bool
    plan_id: int
    code: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that waits for its day (``invoice`` empty) or for a payment."""

    plan: str
    interval: Interval
    amount: Money
    on: date
    invoice: str
    price: str
    #: The merchant's new price, which the customer may refuse; else their own wish.
    is_price_change: bool = False


def targets(session: AnySession, customer_id: int, subscription: str, today: date) -> list[Target]:
    """Return the present price first, then what is on sale to change to.

    Not the same plan and interval for more than its subscriber pays: nothing would be better.
    Raises ``LookupError`` for what is not the customer's.
    """
    table, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    address = table_of(Address)
    own = session.execute(
        sa.select(
            price.c.id,
            price.c.public_id,
            price.c.plan_id,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            plan.c.name,
            plan.c.tagline,
            plan.c.code,
            table.c.quantity,
            address.c.country,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == price.c.plan_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    ).one_or_none()
    if own is None:
        raise LookupError(subscription)
    sold = sold_to_subscribers(session, own.currency, own.country or "", today, [own.plan_id])
    return [
        Target(
            row.public_id,
            row.name,
            row.tagline,
            Interval(row.unit, row.unit_count),
            Money(row.amount_minor * own.quantity, row.currency),
            row.id == own.id,
            row.plan_id,
            row.code,
        )
        for row in (own, *(row for row in sold if row.id != own.id and not _is_dearer(row, own)))
    ]


def _is_dearer(row: AnyRow, own: AnyRow) -> bool:
    alike = (row.plan_id, row.unit, row.unit_count) == (own.plan_id, own.unit, own.unit_count)
    return alike and row.amount_minor >= own.amount_minor


def sold_out_of(
    session: AnySession, customer_id: int, found: Sequence[Target], moment: Moment
) -> dict[str, str]:
    """Return code and name of the plans to change to that are sold out for this customer."""
    here = {one.plan_id for one in found if one.is_now}
    full = sold_out(session, {one.plan_id for one in found} - here, moment)
    if full:
        full -= invited_of(session, full, customer_id, moment.now)
    return {one.code: one.plan for one in found if one.plan_id in full}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan asks about its box; the present quantity, and answers by code of question."""

    questions: tuple[Question, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    quantity: int = 1


def asked(session: AnySession, customer_id: int, subscription: str, wished: str) -> Asked:
    """Return what the plan of the price ``wished`` asks; without one the present plan does."""
    table, price = table_of(Subscription), table_of(Price)
    which = price.c.public_id == wished if wished else price.c.id == table.c.price_id
    row = session.execute(
        sa.select(price.c.plan_id, price.c.currency, table.c.options, table.c.quantity)
        .join(price, which)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    ).one_or_none()
    if row is None:
        return Asked()
    questions = read_questions(session, row.plan_id, row.currency)
    answers = {code: str(choice) for code, choice in (row.options or {}).items()}
    return Asked(questions, answers, row.quantity)


def resting_codes(
    session: AnySession, customer_id: int, subscription: str, wished: str, home: str
) -> tuple[str, ...]:
    """Return the codes of a subscription that would lower nothing with the price ``wished``.

    ``home`` is the seller's country, for who has no address.
    """
    table, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    address = table_of(Address)
    own = session.execute(
        sa.select(table.c.id, table.c.next_on, address.c.country)
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    ).one_or_none()
    target = session.execute(
        sa.select(plan.c.code, price.c.unit, price.c.count.label("unit_count"))
        .join(plan, plan.c.id == price.c.plan_id)
        .where(price.c.public_id == wished)
    ).one_or_none()
    if own is None or target is None:
        return ()
    interval = Interval(target.unit, target.unit_count)
    place = Place(target.code, interval, own.country or home, own.next_on)
    return resting(running_discounts(session, [own.id]).get(own.id, []), place)


def lost_choices(
    session: AnySession,
    customer_id: int,
    subscription: str,
    wished: str,
    answers: Mapping[str, str] | None,
    today: date,
    *,
    at_once: bool,
) -> list[Loss]:
    """Return what was chosen for coming boxes and would not come with the price ``wished``.

    Boxes that are paid for stay as they are unless it changes ``at_once``.
    """
    table, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    own = table_of(Plan).alias()
    row = session.execute(
        sa.select(
            table.c.id,
            table.c.options,
            price.c.plan_id,
            (plan.c.cycle_group_id == own.c.cycle_group_id).label("is_same_group"),
        )
        .join(own, own.c.id == table.c.plan_id)
        .join(price, price.c.public_id == wished)
        .join(plan, plan.c.id == price.c.plan_id)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    ).one_or_none()
    found = read_coming(session, table.c.id == row.id, today) if row else []
    if row is None or not found:
        return []
    options = dict(row.options or {}) if answers is None else dict(answers)
    changed = [
        (box, replace(box, plan_id=row.plan_id, options=options) if row.is_same_group else None)
        for box in open_boxes(session, found[0], today)
        if at_once or box.box_id is None
    ]
    return losses_of(session, row.id, changed)


def waiting(session: AnySession, customer_id: int, subscription: str) -> Waiting | None:
    """Return the change of a subscription that waits, if one does."""
    table, change, invoice = table_of(Subscription), table_of(ScheduledChange), table_of(Invoice)
    price, plan = table_of(Price), table_of(Plan)
    row = session.execute(
        sa.select(
            plan.c.name,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            price.c.public_id.label("price"),
            table.c.quantity,
            change.c.data,
            change.c.effective_on,
            invoice.c.public_id.label("invoice"),
        )
        .join(table, table.c.id == change.c.subscription_id)
        .join(price, price.c.id == change.c.price_id)
        .join(plan, plan.c.id == price.c.plan_id)
        .outerjoin(invoice, invoice.c.id == change.c.invoice_id)
        .where(
            table.c.public_id == subscription,
            table.c.customer_id == customer_id,
            change.c.state == "waiting",
            change.c.kind == "price",
        )
    ).one_or_none()
    if row is None:
        return None
    return Waiting(
        row.name,
        Interval(row.unit, row.unit_count),
        Money(row.amount_minor * (row.data or {}).get("quantity", row.quantity), row.currency),
        row.effective_on,
        row.invoice or "",
        row.price,
        "migration" in (row.data or {}),
    )


def attempt_of(session: AnySession, customer_id: int, invoice: str) -> tuple[int, str] | None:
    """Return (attempt, subscription it changes or "") of the last try to pay an invoice."""
    attempt, table = table_of(ChargeAttempt), table_of(Invoice)
    change, subscription = table_of(ScheduledChange), table_of(Subscription)
    row = session.execute(
        sa.select(attempt.c.id, subscription.c.public_id)
        .join(table, table.c.id == attempt.c.invoice_id)
        .outerjoin(change, change.c.invoice_id == table.c.id)
        .outerjoin(subscription, subscription.c.id == change.c.subscription_id)
        .where(table.c.public_id == invoice, table.c.payer_id == customer_id)
        .order_by(attempt.c.number.desc())
        .limit(1)
    ).one_or_none()
    return (row.id, row.public_id or "") if row else None
