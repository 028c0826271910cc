"""Turn a checkout into rows: the boxes' subscriptions and one invoice for all of them.

A second try of the same checkout, with another card after a decline, finds what the first
one wrote. Only what changed is written again: the offered invoice stays as long as its
document would read the same, otherwise it is discarded and another one offered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from storefront.domain.baskets import BasketQuote
from storefront.domain.charging import AttemptState
from storefront.domain.credit import is_too_small
from storefront.domain.gifts import destination_of
from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, Checkout, GatewaySetup, Invoice, InvoiceLine
from storefront.models.base import table_of
from storefront.operations.billing import parts_of
from storefront.operations.carrying import Minimums, Small, carry
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.checkout import Order
from storefront.operations.consents import keep_order_health, keep_order_wish
from storefront.operations.coupon_uses import give_back_redemptions
from storefront.operations.coupons import Use, redeem
from storefront.operations.customer_credit import Owing, apply_credit, give_back_applied
from storefront.operations.gifts import drop_gifts, write_gift
from storefront.operations.invoices import InvoiceDraft, LinesOf, content_hash, offer_invoices
from storefront.operations.kept_methods import Card
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_rows import (
    ADDRESS_COLUMNS,
    Owners,
    WrittenBox,
    write_address,
    write_boxes,
    write_customer,
    write_method,
)
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import StaleSubscription
from storefront.operations.taxes import note_of, number_shown


@dataclass(frozen=True, slots=True)
class Booked:
    """What was written. ``attempt_id`` is None when nothing is due and all is settled."""

    customer_id: int
    is_new_customer: bool
    #: In the order of the boxes.
    subscription_ids: tuple[int, ...]
    #: None for a trial that asks for no payment method.
    method_id: int | None
    attempt_id: int | None
    #: Hash of the invoice's document, to tell whether a later try reads the same.
    document: str


def book_order(
    session: AnySession,
    order: Order,
    quote: BasketQuote,
    card: Card | None,
    seller: Mapping[str, Any],
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
    *,
    key: str = "",
) -> Booked:
    """Write everything an order is, with its charge marked sent; the caller commits, then asks.

    ``key`` is the shop's own, from which the code of a gift is derived.

    A total of zero, or one that credit pays, is settled here, without a charge; so is one
    under the gateway's of ``minimums``, which is asked for with the next charge. Raises
    ``CreditGone`` when the credit that was agreed on was used elsewhere meanwhile.
    """
    customer_id, is_new = write_customer(session, order, moment)
    keep_order_wish(session, customer_id, order.checkout.consent, moment)
    keep_order_health(session, customer_id, order.checkout.consent, moment)
    method_id = None if card is None else write_method(session, customer_id, card, moment)
    address_id = None
    if order.gift is None or order.gift.address:
        where = destination_of(order.checkout.address, order.checkout.gift)
        given_by = None if order.gift is None else order.checkout.id
        address_id = write_address(session, customer_id, where, moment, given_by=given_by)
    owners = Owners(customer_id, address_id, method_id)
    boxes = write_boxes(session, order, owners, moment)
    if order.gift is not None:
        giver = (customer_id, str(order.checkout.address["name"]))
        locale = order.checkout.locale
        write_gift(session, boxes[0].subscription_id, order.gift, giver, locale, key)
    elif order.checkout.quote.get("document"):
        # An earlier try of the order may have been a gift.
        drop_gifts(session, [box.subscription_id for box in boxes])
    snapshot = _snapshot(order, boxes, seller)
    document = content_hash({"quote": order.checkout.quote_hash, "snapshot": snapshot})
    invoice_id, number = _reusable(session, order, document)
    if invoice_id is None:
        discard_offered(session, order.checkout.id, moment)
        invoice_id = _offer(session, order, quote, boxes, customer_id, snapshot, moment)
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
    subscriptions = tuple(box.subscription_id for box in boxes)
    return Booked(customer_id, is_new, subscriptions, method_id, attempt_id, document)


def _snapshot(
    order: Order, boxes: Sequence[WrittenBox], seller: Mapping[str, Any]
) -> dict[str, Any]:
    checkout = order.checkout
    firsts = [box.quote.first for box in boxes]
    sources = {one.tax_source: note_of(one) for one in firsts}
    return {
        "seller": dict(seller),
        "buyer": {
            "name": checkout.address.get("name", ""),
            "email": checkout.email,
            **parts_of(checkout.billing),
            **number_shown(firsts[0], checkout.tax_id),
        },
        "ship_to": _ship_to(order),
        # Where rates came from several sources, all of them are named.
        "tax": note_of(firsts[0]) | {"source": ", ".join(sorted(sources))},
    }


def _ship_to(order: Order) -> dict[str, str]:
    """Return where the boxes go; of a gift at least who gets it and in which country."""
    where = destination_of(order.checkout.address, order.checkout.gift)
    typed = {name: str(where.get(name, "")) for name in ADDRESS_COLUMNS}
    return typed if order.gift is None else typed | {"name": order.gift.name}


def _offer(
    session: AnySession,
    order: Order,
    quote: BasketQuote,
    boxes: Sequence[WrittenBox],
    customer_id: int,
    snapshot: Mapping[str, Any],
    moment: Moment,
) -> int:
    """Offer one invoice for all boxes and put the discounts of each to work; returns its key."""
    checkout, first = order.checkout, boxes[0]
    draft = InvoiceDraft(
        payer_id=customer_id,
        quote=quote.document,
        subscription_id=first.subscription_id,
        period_id=first.period_id,
        service_from=first.quote.period.start,
        service_to=first.quote.period.end,
        due_on=moment.today,
        snapshot=snapshot,
        tax_treatment=quote.treatment,
        checkout_id=checkout.id,
        parts=tuple(
            LinesOf(
                len(box.quote.first.quote.lines),
                box.subscription_id,
                box.period_id,
                box.quote.period.start,
                box.quote.period.end,
            )
            for box in boxes
        ),
    )
    invoice_id = offer_invoices(session, [draft], moment)[0].id
    taken = {(coupon, code) for coupon, code in checkout.quote.get("uses", ())}
    for box in boxes:
        held = {(one.coupon_id, one.promotion_code_id) for one in box.item.working}
        redeem(
            session,
            box.item.discounts,
            dict(box.quote.first.taken),
            Use(box.subscription_id, customer_id, invoice_id),
            moment.now,
            is_paid=box.quote.is_paid,
            held=held & taken,
        )
    return invoice_id


def note_booked(session: AnySession, row: AnyRow, setup_id: int | None, booked: Booked) -> None:
    """Keep on checkout and set-up what a later try, the page and expiry need to know."""
    quote: dict[str, Any] = {**row.quote, "document": booked.document}
    if booked.is_new_customer:
        quote["new_customer"] = booked.customer_id
    checkout, setup = table_of(Checkout), table_of(GatewaySetup)
    session.execute(
        sa.update(checkout)
        .where(checkout.c.id == row.id)
        .values(quote=quote, customer_id=booked.customer_id)
    )
    if setup_id is None:
        return
    session.execute(
        sa.update(setup)
        .where(setup.c.id == setup_id)
        .values(
            state=AttemptState.SUCCEEDED,
            payment_method_id=booked.method_id,
            customer_id=booked.customer_id,
        )
    )


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
