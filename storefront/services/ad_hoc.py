"""Charge something extra once, on the stored card or as an invoice for a bank customer.

Source: docs/decisions/0095-extra-charges.md.
"""

from __future__ import annotations

import sqlalchemy as sa

from storefront import charges, tax_desk
from storefront.database import retrying
from storefront.extras import (
    Charged,
    Extra,
    ExtraChanged,
    ExtraQuote,
    NotChargeable,
    Outcome,
    charge_issued,
    invoice_draft,
    issue,
    price_extra,
    quoted,
    read_subscription,
)
from storefront.models import Customer, OutboxMessage, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.operations.invoices import finalise_invoices
from storefront.runtime import Runtime


def currency_of(rt: Runtime, customer: str, subscription: str) -> str:
    """Return the currency a subscription is charged in. Raises ``LookupError``."""
    table, owner, price = table_of(Subscription), table_of(Customer), table_of(Price)
    currency = rt.session.scalar(
        sa.select(price.c.currency)
        .join(table, table.c.price_id == price.c.id)
        .join(owner, owner.c.id == table.c.customer_id)
        .where(table.c.public_id == subscription, owner.c.public_id == customer)
    )
    rt.session.rollback()
    if currency is None:
        raise LookupError(subscription)
    return str(currency)


def quote_extra(rt: Runtime, customer: str, subscription: str, extra: Extra) -> ExtraQuote:
    """Price it. Raises ``LookupError``, ``NotChargeable``, ``BadExtra``."""
    tax_desk.prepare_extra(rt, subscription, extra.tax_class)
    row = read_subscription(rt, customer, subscription)
    taxed, priced = price_extra(rt, row, extra)
    rt.session.rollback()
    return quoted(row, taxed, priced)


def charge_extra(
    rt: Runtime, who: Who, customer: str, subscription: str, extra: Extra, shown: str, once: str
) -> Charged:
    """Invoice it and charge the card once; ``once`` names the form, ``shown`` its preview.

    The customer's consent to renewals covers it only because staff agreed on it with them:
    the page says so. Declined, the invoice stays open and can be paid in the account.
    Raises as ``quote_extra``, ``ExtraChanged``, and ``TriedTooOften``.
    """
    if not charges.may_charge(rt):
        raise NotChargeable(reason="charging_held")
    tax_desk.prepare_extra(rt, subscription, extra.tax_class)
    found, attempt_id = retrying(
        rt.session, lambda: _book(rt, who, customer, subscription, extra, shown, once)
    )
    return charge_issued(rt, found, attempt_id)


def _book(
    rt: Runtime,
    who: Who,
    customer: str,
    subscription: str,
    extra: Extra,
    shown: str,
    once: str,
) -> tuple[Charged, int | None]:
    moment, key = rt.moment(), f"mail:extra:{once}"
    row = read_subscription(rt, customer, subscription, for_update=True)
    message = table_of(OutboxMessage)
    known = rt.session.execute(
        sa.select(message.c.payload).where(message.c.key == key)
    ).scalar_one_or_none()
    if known is not None:
        rt.session.rollback()
        return Charged(known["invoice"], Outcome.REPEATED), None
    taxed, priced = price_extra(rt, row, extra)
    if quoted(row, taxed, priced).quote_hash != shown:
        rt.session.rollback()
        raise ExtraChanged(subscription=subscription)
    draft = invoice_draft(rt, row, taxed, priced, moment)
    issued = finalise_invoices(rt.session, [draft], moment)[0]
    return issue(rt, who, customer, row, extra.text, issued, key)
