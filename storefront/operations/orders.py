"""Turn a checkout into rows: customer, address, method, subscription, first period, invoice.

A second try of the same checkout, with another card after a decline, finds what the first
one wrote. Only what changed is written again: the offered invoice stays as long as its
document would read the same, otherwise it is discarded and another one offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.charging import AttemptState
from storefront.domain.checkout import OrderQuote
from storefront.domain.credit import is_too_small
from storefront.domain.gateways import VaultedMethod
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import RUNNING, PeriodState, SubscriptionState
from storefront.domain.periods import add_interval
from storefront.models import (
    Address,
    ChargeAttempt,
    Checkout,
    Customer,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import public_id, table_of
from storefront.operations.addons import write_picked
from storefront.operations.carrying import Minimums, Small, carry
from storefront.operations.change_data import OF_THE_TERM
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.checkout import Order
from storefront.operations.consents import Given, write_consent
from storefront.operations.coupons import Use, give_back_redemptions, redeem
from storefront.operations.customer_credit import Owing, apply_credit, give_back_applied
from storefront.operations.invoices import InvoiceDraft, content_hash, offer_invoices
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.offers import most_boxes
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import StaleSubscription
from storefront.operations.taxes import note_of, number_shown

ADDRESS_COLUMNS = ("name", "company", "street", "extra", "postcode", "city", "region", "country")


@dataclass(frozen=True, slots=True)
class Card:
    """A stored method and the gateway account its token belongs to."""

    gateway: str
    account: str
    method: VaultedMethod


@dataclass(frozen=True, slots=True)
class Booked:
    """What was written. ``attempt_id`` is None when nothing is due and all is settled."""

    customer_id: int
    is_new_customer: bool
    subscription_id: int
    #: None for a trial that asks for no payment method.
    method_id: int | None
    attempt_id: int | None
    #: Hash of the invoice's document, to tell whether a later try reads the same.
    document: str


def book_order(
    session: AnySession,
    order: Order,
    quote: OrderQuote,
    card: Card | None,
    seller: Mapping[str, Any],
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
) -> Booked:
    """Write everything an order is, with its charge marked sent; the caller commits, then asks.

    A total of zero, or one that credit pays, is settled here, without a charge; so is one
    under the gateway's of ``minimums``, which is asked for with the next charge. Raises
    ``CreditGone`` when the credit that was agreed on was used elsewhere meanwhile.
    """
    checkout = order.checkout
    customer_id, is_new = _customer(session, order, moment)
    method_id = None if card is None else _method(session, customer_id, card, moment)
    address_id = _address(session, customer_id, order, moment)
    known = _subscription_of(session, checkout.id)
    values = _subscription_values(order, quote, customer_id, address_id, method_id)
    subscription_id = _write_subscription(session, known, values, checkout.id, moment)
    period_id = _write_period(session, subscription_id, order, quote, moment)
    _write_after_term(session, subscription_id, order, quote, moment)
    billed_with = period_id if quote.is_paid else None
    write_picked(session, subscription_id, order.picked, billed_with, moment)
    _write_consent(session, order, quote, customer_id, subscription_id, moment)
    snapshot = {
        "seller": dict(seller),
        "buyer": {
            "name": checkout.address.get("name", ""),
            "email": checkout.email,
            **number_shown(quote.first, checkout.tax_id),
        },
        "ship_to": {name: checkout.address.get(name, "") for name in ADDRESS_COLUMNS},
        "tax": note_of(quote.first),
    }
    document = content_hash({"quote": checkout.quote_hash, "snapshot": snapshot})
    invoice_id, number = _reusable(session, order, document)
    if invoice_id is None:
        discard_offered(session, checkout.id, moment)
        draft = InvoiceDraft(
            payer_id=customer_id,
            quote=quote.first.quote,
            subscription_id=subscription_id,
            period_id=period_id,
            service_from=quote.period.start,
            service_to=quote.period.end,
            due_on=moment.today,
            snapshot=snapshot,
            tax_treatment=quote.first.treatment,
            checkout_id=checkout.id,
        )
        invoice_id = offer_invoices(session, [draft], moment)[0].id
        redeem(
            session,
            order.discounts,
            dict(quote.first.taken),
            Use(subscription_id, customer_id, invoice_id),
            moment.now,
            is_paid=quote.is_paid,
            held={(coupon, code) for coupon, code in checkout.quote.get("uses", ())},
        )
        _set_credit_aside(session, order, customer_id, invoice_id, moment)
    attempt_id = None
    if order.to_pay.is_zero:
        settle_invoices(session, [Settlement(invoice_id, 0)], moment)
    else:
        if card is None or method_id is None:
            raise ValueError("an order that costs something needs a payment method")
        due, currency = order.to_pay.minor, order.to_pay.currency
        attempt = AttemptDraft(
            invoice_id=invoice_id,
            number=number,
            gateway=card.gateway,
            account=card.account,
            payment_method_id=method_id,
            fingerprint=card.method.fingerprint,
            amount_minor=due,
            currency=currency,
            on_session=True,
        )
        if is_too_small(due, minimums, card.gateway, currency):
            carry(session, [Small(invoice_id, customer_id, currency, due)], moment)
        else:
            attempt_id = plan_attempts(session, [attempt], moment, AttemptState.SENT)[0][0]
    return Booked(customer_id, is_new, subscription_id, method_id, attempt_id, document)


class CreditGone(StaleSubscription):
    """The customer's credit is less than the order says: show it again."""


def _set_credit_aside(
    session: AnySession, order: Order, customer_id: int, invoice_id: int, moment: Moment
) -> None:
    """Hold the credit for this invoice until it is paid or withdrawn."""
    if order.credit is None:
        return
    owing = Owing(invoice_id, "", customer_id, order.credit.currency, order.credit.minor)
    applied = apply_credit(session, [owing], moment, is_booked=False)
    if applied.get(invoice_id) != order.credit.minor:
        raise CreditGone(str(order.credit))


def _customer(session: AnySession, order: Order, moment: Moment) -> tuple[int, bool]:
    """Return the customer with the order's e-mail, made if there is none, locked until commit."""
    table = table_of(Customer)
    checkout = order.checkout
    values = {
        "public_id": public_id("cus"),
        "email": checkout.email,
        "name": checkout.address.get("name", ""),
        "locale": checkout.locale,
        "source": source_of(checkout),
        "created_at": moment.now,
    }
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert: Any = dialect.insert(table).values(**values)
    made = session.execute(
        insert.on_conflict_do_nothing(index_elements=["email"]).returning(table.c.id)
    ).scalar_one_or_none()
    if made is not None:
        # Known before the order is paid, which may be in this transaction.
        table = table_of(Checkout)
        quote = {**checkout.quote, "new_customer": int(made)}
        session.execute(sa.update(table).where(table.c.id == checkout.id).values(quote=quote))
        return int(made), True
    statement = sa.select(table.c.id).where(table.c.email == checkout.email)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    found = session.execute(statement).scalar_one()
    return int(found), checkout.quote.get("new_customer") == found


def source_of(checkout: AnyRow) -> str:
    """Return where the shopper came from in one word: the campaign's source, else the site."""
    return str(checkout.source.get("utm_source") or checkout.source.get("ref") or "")[:80]


def _method(session: AnySession, customer_id: int, card: Card, moment: Moment) -> int:
    """Store the card; it becomes the default unless something running relies on another."""
    table = table_of(PaymentMethod)
    known = session.execute(
        sa.select(table.c.id).where(
            table.c.gateway == card.gateway,
            table.c.account == card.account,
            table.c.token == card.method.token,
        )
    ).scalar_one_or_none()
    if known is not None:
        return int(known)
    is_default = _may_be_default(session, customer_id)
    if is_default:
        session.execute(
            sa.update(table)
            .where(table.c.customer_id == customer_id, table.c.is_default)
            .values(is_default=False)
        )
    key = reserve(session, PaymentMethod, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            public_id=public_id("pm"),
            customer_id=customer_id,
            gateway=card.gateway,
            account=card.account,
            token=card.method.token,
            brand=card.method.brand,
            last4=card.method.last4,
            exp_month=card.method.exp_month,
            exp_year=card.method.exp_year,
            fingerprint=card.method.fingerprint,
            is_default=is_default,
            created_at=moment.now,
        )
    )
    return key


def _may_be_default(session: AnySession, customer_id: int) -> bool:
    method, subscription = table_of(PaymentMethod), table_of(Subscription)
    has_default = sa.exists().where(
        method.c.customer_id == customer_id,
        method.c.is_default,
        method.c.detached_at.is_(None),
    )
    has_running = sa.exists().where(
        subscription.c.customer_id == customer_id, subscription.c.state.in_(RUNNING)
    )
    row = session.execute(sa.select(has_default, has_running)).one()
    return not (row[0] and row[1])


def _address(session: AnySession, customer_id: int, order: Order, moment: Moment) -> int:
    """Return the customer's address that reads the same, else write a new one."""
    table = table_of(Address)
    typed = {name: str(order.checkout.address.get(name, "")) for name in ADDRESS_COLUMNS}
    known = session.execute(
        sa.select(table.c.id)
        .where(
            table.c.customer_id == customer_id,
            *[table.c[name] == value for name, value in typed.items()],
        )
        .limit(1)
    ).scalar_one_or_none()
    if known is not None:
        return int(known)
    key = reserve(session, Address, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            public_id=public_id("adr"),
            customer_id=customer_id,
            created_at=moment.now,
            phone="",
            **typed,
        )
    )
    return key


def _subscription_of(session: AnySession, checkout_id: int) -> AnyRow | None:
    table = table_of(Subscription)
    return session.execute(
        sa.select(table.c.id, table.c.version).where(table.c.checkout_id == checkout_id)
    ).one_or_none()


def _subscription_values(
    order: Order, quote: OrderQuote, customer_id: int, address_id: int, method_id: int | None
) -> dict[str, Any]:
    assert order.price is not None
    return {
        "customer_id": customer_id,
        "plan_id": order.plan.id,
        "price_id": order.price.id,
        "quantity": order.checkout.quantity,
        "options": dict(order.chosen),
        "address_id": address_id,
        "payment_method_id": method_id,
        "anchor_on": quote.renewal_on,
        # Free days up to a fixed billing day are a period of their own.
        "anchor_number": 2 if quote.free else 1,
        "anchor_day": quote.anchor_day,
        "next_on": quote.period.end,
        "billed_count": int(quote.is_paid),
        "boxes_billed": max(quote.boxes, 1) if quote.is_paid else 0,
        "min_boxes": order.plan.min_boxes,
        "max_boxes": most_boxes(order.plan, order.price),
        "ends_on": order.plan.ends_on,
        "source": source_of(order.checkout),
    }


def _write_subscription(
    session: AnySession,
    known: AnyRow | None,
    values: Mapping[str, Any],
    checkout_id: int,
    moment: Moment,
) -> int:
    table = table_of(Subscription)
    if known is not None:
        session.execute(
            sa.update(table)
            .where(table.c.id == known.id, table.c.state == SubscriptionState.INCOMPLETE)
            .values(**values, version=table.c.version + 1)
        )
        return int(known.id)
    key = reserve(session, Subscription, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            public_id=public_id("sub"),
            checkout_id=checkout_id,
            state=SubscriptionState.INCOMPLETE,
            next_number=1,
            renews_at=None,
            mrr_minor=0,
            cohort="",
            created_at=moment.now,
            fence=0,
            version=1,
            **values,
        )
    )
    return key


def _write_period(
    session: AnySession, subscription_id: int, order: Order, quote: OrderQuote, moment: Moment
) -> int:
    """Write period 0, or re-price the row an earlier try has written."""
    assert order.price is not None
    table = table_of(SubscriptionPeriod)
    values = {
        "start_on": quote.period.start,
        "end_on": quote.period.end,
        "plan_id": order.plan.id,
        "price_id": order.price.id,
        "kind": quote.opening.kind,
        "billed_number": int(quote.is_paid),
        "box_count": quote.boxes if quote.is_paid else 0,
        "mrr_minor": quote.first.mrr.minor,
        "opened_at": moment.now,
    }
    known = session.execute(
        sa.update(table)
        .where(table.c.subscription_id == subscription_id, table.c.number == 0)
        .values(**values)
        .returning(table.c.id)
    ).scalar_one_or_none()
    if known is not None:
        return int(known)
    key = reserve(session, SubscriptionPeriod, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            subscription_id=subscription_id,
            number=0,
            state=PeriodState.INVOICED,
            reason="",
            **values,
        )
    )
    return key


def _write_after_term(
    session: AnySession, subscription_id: int, order: Order, quote: OrderQuote, moment: Moment
) -> None:
    """Note the price that a prepaid term falls to; the renewal at the term's end applies it."""
    table = table_of(ScheduledChange)
    session.execute(
        sa.update(table)
        .where(table.c.subscription_id == subscription_id, table.c.state == "waiting")
        .values(state="withdrawn")
    )
    if order.then is None or order.price is None:
        return
    turns = 0 if quote.is_paid else 1
    session.execute(
        sa.insert(table).values(
            subscription_id=subscription_id,
            kind=OF_THE_TERM,
            effective_on=add_interval(
                quote.renewal_on, order.price.interval, turns, day=quote.anchor_day
            ),
            price_id=order.then.id,
            data={"after": "term"},
            state="waiting",
            created_at=moment.now,
        )
    )


def _write_consent(
    session: AnySession,
    order: Order,
    quote: OrderQuote,
    customer_id: int,
    subscription_id: int,
    moment: Moment,
) -> None:
    assert order.price is not None
    kept = order.checkout.consent
    given = Given(kept["text"], kept["version"], kept["ip"], kept["agent"])
    amount, owner = quote.full.quote.total, (customer_id, subscription_id)
    write_consent(session, owner, given, amount, quote.renews_each, moment)


def _reusable(session: AnySession, order: Order, document: str) -> tuple[int | None, int]:
    """Return the offered invoice that says exactly this, and the number of its next attempt."""
    if order.checkout.quote.get("document") != document:
        return None, 1
    table, attempt = table_of(Invoice), table_of(ChargeAttempt)
    invoice_id = session.execute(
        sa.select(table.c.id).where(
            table.c.checkout_id == order.checkout.id, table.c.state == InvoiceState.OFFERED
        )
    ).scalar_one_or_none()
    if invoice_id is None:
        return None, 1
    highest = session.execute(
        sa.select(sa.func.max(attempt.c.number)).where(attempt.c.invoice_id == invoice_id)
    ).scalar_one()
    return int(invoice_id), (highest or 0) + 1


def discard_offered(session: AnySession, checkout_id: int, moment: Moment) -> None:
    table = table_of(Invoice)
    found = session.execute(
        sa.select(table.c.id).where(
            table.c.checkout_id == checkout_id, table.c.state == InvoiceState.OFFERED
        )
    )
    discard_invoices(session, list(found.scalars()), moment)


def discard_invoices(session: AnySession, invoice_ids: list[int], moment: Moment) -> None:
    """Withdraw offered invoices; they never had a number, so nothing is owed a credit note."""
    if not invoice_ids:
        return
    table, line = table_of(Invoice), table_of(InvoiceLine)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(invoice_ids), table.c.state == InvoiceState.OFFERED)
        .values(state=InvoiceState.DISCARDED)
    )
    session.execute(sa.update(line).where(line.c.invoice_id.in_(invoice_ids)).values(is_void=True))
    give_back_redemptions(session, invoice_ids, moment.now)
    give_back_applied(session, invoice_ids, moment)
