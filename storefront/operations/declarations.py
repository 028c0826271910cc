"""Find the contract a declaration names, write it down, and take an erased person out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.declarations import (
    REMINDED_AFTER,
    DeclarationKind,
    Right,
    reminder_after,
    words_of,
)
from storefront.domain.lifecycle import ENDED, PeriodKind
from storefront.models import (
    Box,
    Checkout,
    Customer,
    Declaration,
    DeclarationOutcome,
    Invoice,
    OutboxMessage,
    Plan,
    Shipment,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.erasure_rows import blank_messages, set_values
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message

#: Topic of the acknowledgement.
RECEIPT = "declaration_received"
#: Topic of what reminds the shop of money that is to go back.
REFUND_DUE = "withdrawal_due"
#: Topics of the mails that tell of the right of withdrawal, each once for an order.
_TELLING = ("order_confirmed", "gift_ordered")
#: What of a declaration says who it was.
_BLANK = dict.fromkeys(("name", "email", "contract", "reason"), "")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a declaration is about, as far as it can be known."""

    #: Whose e-mail it is; None: nobody's.
    customer_id: int | None = None
    #: Row of the subscription (id, public_id, version, state, held_at, is_gift); None: not found.
    row: AnyRow | None = None
    #: A number that cannot be guessed names it, and the e-mail is its owner's.
    is_sure: bool = False


def find_contract(session: AnySession, email: str, contract: str) -> Contract:
    """Return what a normalised e-mail and the name of a contract lead to; one statement.

    Numbers of orders and subscriptions name one for sure. Without such a number the only one
    that runs is likely meant, and a person decides.
    """
    customer, subscription = table_of(Customer), table_of(Subscription)
    order = table_of(Checkout)
    rows = session.execute(
        sa.select(
            customer.c.id.label("customer_id"),
            subscription.c.id,
            subscription.c.public_id,
            subscription.c.version,
            subscription.c.state,
            subscription.c.held_at,
            subscription.c.is_gift,
            order.c.public_id.label("order_ref"),
        )
        .outerjoin(subscription, subscription.c.customer_id == customer.c.id)
        .outerjoin(order, order.c.id == subscription.c.checkout_id)
        .where(customer.c.email == email)
        .order_by(subscription.c.id)
    ).all()
    if not rows:
        return Contract()
    words, owned = set(words_of(contract)), [row for row in rows if row.id is not None]
    named = [row for row in owned if words & {row.public_id, row.order_ref}]
    if len(named) == 1:
        return Contract(rows[0].customer_id, named[0], is_sure=True)
    running = [row for row in named or owned if row.state not in ENDED]
    likely = running[0] if len(running) == 1 else None
    return Contract(rows[0].customer_id, likely)


def right_columns() -> tuple[sa.ColumnElement[Any], ...]:
    """Return what the right of withdrawal of a row's subscription and plan hangs on."""
    subscription, plan = table_of(Subscription), table_of(Plan)
    return (
        subscription.c.created_at.label("ordered_at"),
        plan.c.ships,
        _first_left_at().label("left_at"),
        _told_at().label("told_at"),
        _converted_on().label("converted_on"),
    )


def right_of(row: AnyRow, moment: Moment) -> Right:
    """Return what ``right_columns`` say, in days of the shop; only of a row with a subscription."""
    left_on, told_on = (moment.day_of(at) if at else None for at in (row.left_at, row.told_at))
    ordered_on = moment.day_of(row.ordered_at)
    return Right(ordered_on, left_on, told_on, row.ships, row.converted_on)


def right_to_withdraw(session: AnySession, subscription_id: int, moment: Moment) -> Right:
    """Return what the right of a subscription hangs on; one statement."""
    subscription, plan = table_of(Subscription), table_of(Plan)
    row = session.execute(
        sa.select(*right_columns())
        .select_from(subscription.join(plan, plan.c.id == subscription.c.plan_id))
        .where(subscription.c.id == subscription_id)
    ).one()
    return right_of(row, moment)


def _first_left_at() -> Any:
    box, shipment = table_of(Box), table_of(Shipment)
    return (
        sa.select(sa.func.min(shipment.c.shipped_at))
        .join(box, box.c.shipment_id == shipment.c.id)
        .where(box.c.subscription_id == table_of(Subscription).c.id)
        .scalar_subquery()
    )


def _told_at() -> Any:
    """Return the column with when the mail left that tells of the right of a row's order.

    NULL where none left: the mail server never took it, or the order was made elsewhere.
    """
    invoice, message = table_of(Invoice), table_of(OutboxMessage)
    keys = [sa.literal(f"mail:{topic}:").concat(invoice.c.public_id) for topic in _TELLING]
    return (
        sa.select(sa.func.min(message.c.delivered_at))
        .join(invoice, message.c.key.in_(keys))
        .where(invoice.c.checkout_id == table_of(Subscription).c.checkout_id)
        .scalar_subquery()
    )


def _converted_on() -> Any:
    """Return the column with the first paid day after a trial, where the plan counts it."""
    paid, trial = table_of(SubscriptionPeriod).alias(), table_of(SubscriptionPeriod).alias()
    return (
        sa.select(sa.func.min(paid.c.start_on))
        .join(trial, trial.c.subscription_id == paid.c.subscription_id)
        .where(
            paid.c.subscription_id == table_of(Subscription).c.id,
            table_of(Plan).c.second_withdrawal,
            paid.c.kind == PeriodKind.BILLED,
            trial.c.kind == PeriodKind.TRIAL,
            trial.c.start_on < paid.c.start_on,
        )
        .scalar_subquery()
    )


def by_once(session: AnySession, once: str) -> AnyRow | None:
    """Return the declaration that was sent with a page before."""
    table = table_of(Declaration)
    return session.execute(sa.select(table).where(table.c.once == once)).one_or_none()


def insert_declaration(session: AnySession, values: Mapping[str, Any]) -> None:
    """Write a declaration down."""
    session.execute(sa.insert(table_of(Declaration)).values(blanked_at=None, **values))


def insert_outcome(session: AnySession, declaration_id: int, **values: Any) -> None:
    """Write down what became of a declaration; an ``IntegrityError`` where somebody has."""
    table = table_of(DeclarationOutcome)
    session.execute(sa.insert(table).values(declaration_id=declaration_id, **values))


def receipt(ref: str, email: str, locale: str, customer_id: int | None) -> Message:
    """Return the acknowledgement of a declaration, to the e-mail that was typed."""
    payload = {"declaration": ref, "to": email, "locale": locale}
    return Message("mail", RECEIPT, _receipt_key(ref), payload, customer_id)


def refund_reminders(
    session: AnySession, moment: Moment, email: str, locale: str, limit: int
) -> list[Message]:
    """Return the reminders to ``email`` of withdrawals that nobody has settled; one statement.

    Of several that are due for one withdrawal, as after a time asleep, only the last.
    """
    table, outcome = table_of(Declaration), table_of(DeclarationOutcome)
    begins = {
        days: moment.start_of(moment.today - timedelta(days=days - 1)) for days in REMINDED_AFTER
    }
    latest_first = sorted(begins.items(), reverse=True)
    prefixes = [(table.c.received_at < at, _reminder_key(days, "")) for days, at in latest_first]
    key = sa.case(*prefixes, else_="").concat(table.c.public_id)
    rows = session.execute(
        sa.select(table.c.public_id, table.c.received_at)
        .where(
            table.c.kind == DeclarationKind.WITHDRAW.value,
            table.c.received_at < begins[REMINDED_AFTER[0]],
            ~sa.exists().where(outcome.c.declaration_id == table.c.id),
            ~sa.exists().where(table_of(OutboxMessage).c.key == key),
        )
        .order_by(table.c.id)
        .limit(limit)
    )
    return [
        _refund_due(row.public_id, after, email, locale)
        for row in rows
        if (after := reminder_after(moment.day_of(row.received_at), moment.today)) is not None
    ]


def _refund_due(ref: str, after: int, email: str, locale: str) -> Message:
    payload = {"declaration": ref, "to": email, "locale": locale}
    return Message("mail", REFUND_DUE, _reminder_key(after, ref), payload)


def _reminder_key(after: int, ref: str) -> str:
    return f"mail:{REFUND_DUE}:{after}:{ref}"


def erase_declarations(
    session: AnySession, ids: Sequence[int], keys: Sequence[int], email: str, now: datetime
) -> None:
    """Leave of what somebody declared that it was, when, and of which contract.

    ``ids`` are their accounts, ``keys`` their subscriptions, ``email`` what they were known by.
    """
    table = table_of(Declaration)
    theirs = sa.and_(
        table.c.blanked_at.is_(None),
        sa.or_(
            table.c.customer_id.in_(ids), table.c.subscription_id.in_(keys), table.c.email == email
        ),
    )
    refs = session.scalars(sa.select(table.c.public_id).where(theirs)).all()
    if refs:
        message = table_of(OutboxMessage).c.key
        blank_messages(session, message.in_([_receipt_key(ref) for ref in refs]))
    set_values(session, Declaration, theirs, blanked_at=now, **_BLANK)


def blank_unmatched(session: AnySession, before: datetime, now: datetime, limit: int) -> int:
    """Take the person out of declarations of before an instant that name nobody we know."""
    table = table_of(Declaration)
    old = (
        sa.select(table.c.id)
        .where(
            table.c.blanked_at.is_(None),
            table.c.customer_id.is_(None),
            table.c.received_at < before,
        )
        .order_by(table.c.id)
        .limit(limit)
    )
    done = session.execute(
        sa.update(table)
        .where(table.c.id.in_(old))
        .values(blanked_at=now, **_BLANK)
        .returning(table.c.id)
    )
    return len(done.all())


def _receipt_key(ref: str) -> str:
    return f"mail:{RECEIPT}:{ref}"
