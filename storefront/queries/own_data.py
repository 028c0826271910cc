"""Everything the shop holds about a customer, as plain values for a file they take away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import (
    Addon,
    Address,
    AllergyAnswer,
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxAddress,
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    BoxItem,
    BoxSwap,
    ChargeAttempt,
    Checkout,
    Consent,
    CreditMove,
    CreditNote,
    Customer,
    CustomerCredit,
    Declaration,
    Dispute,
    ErasureRequest,
    Gift,
    HostIdentity,
    Inquiry,
    InquiryMessage,
    Invoice,
    InvoiceLine,
    LateChange,
    LoginSession,
    OptionAnswer,
    OutboxMessage,
    PaymentMethod,
    Plan,
    ProductVariant,
    Refund,
    Shipment,
    Subscription,
    SubscriptionAddon,
    SubscriptionEvent,
    SubscriptionPeriod,
    SuggestionDismissal,
    TwoStep,
    WaitingPlace,
)
from storefront.models.base import Base, table_of
from storefront.operations.erasure import accounts_of

#: What opens something or means something only inside the database.
_INSIDE = frozenset(
    {
        "id",
        "token",
        "token_hash",
        "code_hash",
        "password_hash",
        "fingerprint",
        "gateway_customer",
        "agreement",
        "fence",
        "version",
        "content_hash",
        "lease",
        # Of a gift: when its recipient pays for themselves, which is not the giver's to know.
        "follows_on",
    }
)
Rows = list[dict[str, Any]]


def everything_of(session: AnySession, customer_id: int) -> dict[str, Any]:
    """Return what the shop holds about a customer; amounts are in minor units, as booked.

    A constant number of statements. No token, hash or number of a row is among it; nor, of a
    gift they got, what somebody else paid for it.
    """
    subscription, plan = table_of(Subscription), table_of(Plan)
    mine = sa.or_(subscription.c.customer_id == customer_id, subscription.c.payer_id == customer_id)
    owned = sa.select(subscription.c.id).where(subscription.c.customer_id == customer_id)
    invoice, line, box = table_of(Invoice), table_of(InvoiceLine), table_of(Box)
    item, variant, credit = table_of(BoxItem), table_of(ProductVariant), table_of(CustomerCredit)
    invoices = sa.select(invoice.c.id).where(invoice.c.payer_id == customer_id)
    boxes = sa.select(box.c.id).where(box.c.subscription_id.in_(owned))
    credits_of = sa.select(credit.c.id).where(credit.c.customer_id == customer_id)
    shipment, message = table_of(Shipment), table_of(OutboxMessage)
    customer = table_of(Customer).c.id == customer_id

    def by_customer(model: type[Base], column: str = "customer_id") -> Rows:
        return _rows(session, model, table_of(model).c[column] == customer_id)

    given = set(
        session.scalars(owned.where(subscription.c.is_gift, _is_paid_by_another(subscription)))
    )

    def of_subscriptions(model: type[Base]) -> Rows:
        table = table_of(model)
        chosen = sa.select(table.c.subscription_id.label("of"), *_open(table))
        rows = _select(
            session, chosen.where(table.c.subscription_id.in_(owned)).order_by(table.c.id)
        )
        return [_without_price(row) if row.pop("of") in given else row for row in rows]

    return {
        "you": _rows(session, Customer, customer),
        "other_shops": by_customer(HostIdentity),
        "addresses": by_customer(Address),
        "subscriptions": [
            _without_price(row) if row.pop("of") in given else row
            for row in _select(
                session,
                sa.select(
                    plan.c.name.label("plan"), subscription.c.id.label("of"), *_open(subscription)
                )
                .join(plan, plan.c.id == subscription.c.plan_id)
                .where(mine)
                .order_by(subscription.c.id),
            )
        ],
        "periods": of_subscriptions(SubscriptionPeriod),
        "preferences": of_subscriptions(OptionAnswer),
        "allergies": of_subscriptions(AllergyAnswer),
        "timeline": of_subscriptions(SubscriptionEvent),
        "box_addresses": _select(session, _box_addresses(owned)),
        "boxes": of_subscriptions(Box),
        "contents": _select(
            session,
            sa.select(box.c.public_id.label("box"), variant.c.sku, item.c.quantity)
            .join(box, box.c.id == item.c.box_id)
            .join(variant, variant.c.id == item.c.variant_id)
            .where(box.c.id.in_(boxes))
            .order_by(item.c.id),
        ),
        "add_ons": [
            _without_price(row) if row.pop("of") in given else row
            for row in _select(session, _addons(owned))
        ],
        "additions": _select(session, _additions(owned)),
        "parcels": _select(
            session,
            sa.select(box.c.public_id.label("box"), *_open(shipment))
            .join(shipment, shipment.c.id == box.c.shipment_id)
            .where(box.c.id.in_(boxes))
            .order_by(box.c.id),
        ),
        "invoices": by_customer(Invoice, "payer_id"),
        "invoice_lines": _rows(session, InvoiceLine, line.c.invoice_id.in_(invoices)),
        "credit": _rows(
            session, CreditMove, table_of(CreditMove).c.customer_credit_id.in_(credits_of)
        ),
        "payment_methods": by_customer(PaymentMethod),
        "gifts_given": by_customer(Gift, "giver_id"),
        "consents": _rows(
            session, Consent, table_of(Consent).c.customer_id.in_(accounts_of(session, customer_id))
        ),
        "declarations": _declarations(session, customer_id),
        "inquiries": _inquiries(session, customer_id),
        "sign_ins": by_customer(LoginSession),
        "suggestions_put_away": by_customer(SuggestionDismissal),
        "two_step_sign_in": _some(
            session,
            TwoStep,
            table_of(TwoStep).c.customer_id == customer_id,
            ("created_at", "confirmed_at"),
        ),
        "mails": _select(
            session,
            sa.select(
                message.c.topic, message.c.created_at, message.c.delivered_at, message.c.read_at
            )
            .where(message.c.customer_id == customer_id, message.c.kind == "mail")
            .order_by(message.c.id),
        ),
        "late_changes": _late_changes(session, boxes),
        "choices": _select(session, _choices(owned)),
        "swaps": _select(session, _swaps(owned)),
        "gifts_received": _some(
            session,
            Gift,
            table_of(Gift).c.subscription_id.in_(owned),
            ("giver_name", "recipient_name", "recipient_email", "message", "send_on", "claimed_at"),
        ),
        **_orders_and_lists(session, customer_id),
        **_money(session, invoices),
        "erasure_requests": by_customer(ErasureRequest),
    }


def _declarations(session: AnySession, customer_id: int) -> Rows:
    """Return what was declared about contracts under an e-mail of theirs."""
    table = table_of(Declaration)
    mine = table.c.customer_id.in_(accounts_of(session, customer_id))
    said = ("kind", "is_for_cause", "name", "email", "contract", "reason", "wished_on")
    return _some(session, Declaration, mine, (*said, "received_at"))


def _inquiries(session: AnySession, customer_id: int) -> Rows:
    """Return what was written to the shop and answered; not what staff noted for themselves."""
    table, message = table_of(Inquiry), table_of(InquiryMessage)
    return _select(
        session,
        sa.select(
            table.c.public_id.label("inquiry"),
            table.c.topic,
            table.c.subject,
            table.c.about_ref,
            table.c.state,
            message.c.author,
            message.c.text,
            message.c.at,
        )
        .join(message, message.c.inquiry_id == table.c.id)
        .where(table.c.customer_id == customer_id, message.c.author != "note")
        .order_by(message.c.id),
    )


def _orders_and_lists(session: AnySession, customer_id: int) -> dict[str, Rows]:
    """Return orders that were begun, and plans waited for, also without having signed in.

    What opens an order again is not among it.
    """
    order, place, plan = table_of(Checkout), table_of(WaitingPlace), table_of(Plan)
    customer = table_of(Customer)
    email = sa.select(customer.c.email).where(customer.c.id == customer_id).scalar_subquery()
    told = ("state", "quantity", "options", "email", "address", "billing", "gift", "tax_id")
    return {
        "orders": _some(
            session,
            Checkout,
            sa.or_(order.c.customer_id == customer_id, order.c.email == email),
            (*told, "locale", "avoids", "consent", "source", "created_at"),
        ),
        "waiting_lists": _select(
            session,
            sa.select(
                plan.c.name.label("plan"), place.c.email, place.c.created_at, place.c.invited_at
            )
            .join(plan, plan.c.id == place.c.plan_id)
            .where(place.c.email == email)
            .order_by(place.c.id),
        ),
    }


def _money(session: AnySession, invoices: sa.Select[Any]) -> dict[str, Rows]:
    """Return what came back for these invoices, and each try to charge them."""
    attempt, refund, dispute = table_of(ChargeAttempt), table_of(Refund), table_of(Dispute)
    charged = attempt.c.invoice_id.in_(invoices)
    tries = sa.select(attempt.c.id).where(charged)
    amount = ("amount_minor", "currency", "state", "reason")
    return {
        "credit_notes": _rows(session, CreditNote, table_of(CreditNote).c.invoice_id.in_(invoices)),
        "payments": _some(
            session, ChargeAttempt, charged, ("gateway", *amount, "network", "created_at")
        ),
        "refunds": _some(session, Refund, refund.c.attempt_id.in_(tries), (*amount, "created_at")),
        "disputes": _some(
            session, Dispute, dispute.c.attempt_id.in_(tries), (*amount, "opened_at", "closed_at")
        ),
    }


def _choices(owned: sa.Select[Any]) -> sa.Select[Any]:
    choice, item, cycle = table_of(BoxChoice), table_of(BoxChoiceItem), table_of(BoxCycle)
    variant = table_of(ProductVariant)
    return (
        sa.select(cycle.c.ship_from, variant.c.sku, item.c.quantity, choice.c.chosen_at)
        .join(item, item.c.choice_id == choice.c.id)
        .join(cycle, cycle.c.id == choice.c.cycle_id)
        .join(variant, variant.c.id == item.c.variant_id)
        .where(choice.c.subscription_id.in_(owned))
        .order_by(item.c.id)
    )


def _addons(owned: sa.Select[Any]) -> sa.Select[Any]:
    """Return what was agreed to with payments, by name, and of which subscription it is."""
    table, addon, subscription = (
        table_of(SubscriptionAddon),
        table_of(Addon),
        table_of(Subscription),
    )
    return (
        sa.select(
            subscription.c.public_id.label("subscription"),
            addon.c.name,
            *_open(table),
            table.c.subscription_id.label("of"),
        )
        .join(addon, addon.c.id == table.c.addon_id)
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .where(table.c.subscription_id.in_(owned))
        .order_by(table.c.id)
    )


def _additions(owned: sa.Select[Any]) -> sa.Select[Any]:
    """Return what was bought for paid boxes, a row for each box; also of a gift its own."""
    table, part, box = table_of(BoxAddition), table_of(BoxAdditionBox), table_of(Box)
    addon, invoice = table_of(Addon), table_of(Invoice)
    return (
        sa.select(
            addon.c.name,
            table.c.quantity,
            table.c.unit_minor,
            table.c.reach,
            table.c.goes_on_from,
            table.c.state,
            table.c.created_at,
            box.c.public_id.label("box"),
            part.c.gross_minor,
            part.c.returned_at,
            invoice.c.public_id.label("paid_with"),
        )
        .join(part, part.c.addition_id == table.c.id)
        .join(box, box.c.id == part.c.box_id)
        .join(addon, addon.c.id == table.c.addon_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(table.c.subscription_id.in_(owned))
        .order_by(part.c.id)
    )


def _swaps(owned: sa.Select[Any]) -> sa.Select[Any]:
    swap, cycle, own = table_of(BoxSwap), table_of(BoxCycle), table_of(ProductVariant)
    other = own.alias()
    return (
        sa.select(
            cycle.c.ship_from,
            own.c.sku,
            other.c.sku.label("instead"),
            swap.c.is_standing,
            swap.c.swapped_at,
        )
        .join(cycle, cycle.c.id == swap.c.from_id)
        .join(own, own.c.id == swap.c.variant_id)
        .outerjoin(other, other.c.id == swap.c.instead_id)
        .where(swap.c.subscription_id.in_(owned))
        .order_by(swap.c.id)
    )


def _some(
    session: AnySession, model: type[Base], where: sa.ColumnElement[bool], names: Sequence[str]
) -> Rows:
    table = table_of(model)
    columns = [table.c[name] for name in names]
    return _select(session, sa.select(*columns).where(where).order_by(table.c.id))


def _late_changes(session: AnySession, boxes: sa.Select[Any]) -> Rows:
    """Return what was asked of boxes after their cut-off, and what became of it."""
    wish, variant = table_of(LateChange), table_of(ProductVariant)
    told = ("kind", "address", "contents", "note", "state", "asked_at", "decided_at", "reason")
    rows = _some(session, LateChange, wish.c.box_id.in_(boxes), (*told, "credit_minor"))
    # What lay there when it was asked, and what was to; how it was picked says no more.
    listed = [{part: row["contents"].get(part, ()) for part in ("was", "then")} for row in rows]
    keys = {key for one in listed for pairs in one.values() for key, _pieces in pairs}
    found = session.execute(sa.select(variant.c.id, variant.c.sku).where(variant.c.id.in_(keys)))
    skus = {row.id: row.sku for row in found}
    for row, parts in zip(rows, listed, strict=True):
        row["contents"] = {
            part: [{"sku": skus[key], "quantity": pieces} for key, pieces in pairs]
            for part, pairs in parts.items()
            if pairs
        }
    return rows


def _box_addresses(owned: sa.Select[Any]) -> sa.Select[Any]:
    """Return which box, by its ship day, was given which of ``addresses`` alone."""
    given, cycle, address = table_of(BoxAddress), table_of(BoxCycle), table_of(Address)
    return (
        sa.select(cycle.c.ship_from, address.c.public_id.label("address"), given.c.given_at)
        .join(cycle, cycle.c.id == given.c.cycle_id)
        .join(address, address.c.id == given.c.address_id)
        .where(given.c.subscription_id.in_(owned))
        .order_by(given.c.id)
    )


def _is_paid_by_another(subscription: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        subscription.c.payer_id.is_not(None), subscription.c.payer_id != subscription.c.customer_id
    )


def _without_price(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row, with what its event says, without amounts and documents."""
    return {
        key: _without_price(value) if isinstance(value, dict) else value
        for key, value in row.items()
        if not key.endswith("_minor") and key not in ("currency", "invoice")
    }


def _open(table: sa.Table) -> list[sa.Column[Any]]:
    return [
        column
        for column in table.c
        if (column.name not in _INSIDE and not column.name.endswith("_id"))
        or column.name in ("public_id", "tax_id", "order_tax_id", "imported_id")
    ]


def _rows(session: AnySession, model: type[Base], where: sa.ColumnElement[bool]) -> Rows:
    table = table_of(model)
    return _select(session, sa.select(*_open(table)).where(where).order_by(table.c.id))


def _select(session: AnySession, statement: sa.Select[Any]) -> Rows:
    return [dict(row._mapping) for row in session.execute(statement)]
