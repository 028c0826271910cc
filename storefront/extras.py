"""Something charged once beside a subscription: read, priced, and asked of who pays.

Shared by the use-cases that charge it at once and that keep it as a draft first.
Source: docs/decisions/0095-extra-charges.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import cast

import sqlalchemy as sa

from storefront import charges, tax_desk
from storefront.domain.charging import AttemptState
from storefront.domain.credit import is_too_small
from storefront.domain.errors import DomainError
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import RUNNING
from storefront.domain.money import Money
from storefront.domain.pricing import PricedItem, Quote, quote
from storefront.domain.rates import TaxClass
from storefront.domain.tax_treatment import Taxed, Treatment
from storefront.models import (
    Address,
    Consent,
    Customer,
    PaymentMethod,
    Price,
    ShopSettings,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.billing import billed_to
from storefront.operations.carrying import Small, carry
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.customer_credit import Owing, apply_credit
from storefront.operations.invoices import InvoiceDraft, IssuedInvoice, ship_to_of
from storefront.operations.keys import AnyRow
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.taxes import buyer_columns, tax_on
from storefront.runtime import Runtime

#: Longest text of the line, and the most that is charged without an order, in minor units.
LONGEST, MOST = 120, 100_000
TAX_CLASSES = tax_desk.TAX_CLASSES


class NotChargeable(DomainError):
    """The subscription does not run, is on hold, or nobody agreed to charges (``reason``)."""

    code = "not_chargeable"


class BadExtra(DomainError):
    """It cannot be charged as typed; ``reason``: text, amount, limit, currency, tax_class."""

    code = "bad_extra"


class ExtraChanged(DomainError):
    """It would cost something else than was shown."""

    code = "extra_changed"


class Outcome(StrEnum):
    """What became of the invoice."""

    PAID = "paid"
    OPEN = "open"
    DECLINED = "declined"
    WAITING = "waiting"
    CARRIED = "carried"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Extra:
    """What is charged: a text for the invoice, an amount as prices are, a tax class."""

    text: str
    amount: Money
    tax_class: str


@dataclass(frozen=True, slots=True)
class ExtraQuote:
    """What it costs, and who is asked for it."""

    total: Money
    tax: Money
    by_bank: bool
    brand: str
    last4: str
    quote_hash: str


@dataclass(frozen=True, slots=True)
class Charged:
    """The invoice that was written and what became of it."""

    invoice: str
    outcome: Outcome


def issue(
    rt: Runtime, who: Who, customer: str, row: AnyRow, text: str, issued: IssuedInvoice, key: str
) -> tuple[Charged, int | None]:
    """Ask for an invoice that was just written, tell the customer, and commit.

    ``key`` is that of the mail, once for ever. Returns the attempt to charge, if one is.
    """
    moment = rt.moment()
    outcome, attempt_id = _ask(rt, row, issued, moment)
    payload = {
        "invoice": issued.public_id,
        "text": text,
        "amount_minor": issued.total_minor,
        "currency": issued.currency,
        "by_bank": row.pays_by == "bank",
    }
    enqueue(rt.session, [Message("mail", "extra_charge", key, payload, row.payer)], moment.now)
    after = {"invoice": issued.public_id, "total_minor": issued.total_minor, "text": text}
    audit.write(rt.session, who.id, "invoice.extra", customer, {}, after, moment, who.ip)
    rt.session.commit()
    return Charged(issued.public_id, outcome), attempt_id


def charge_issued(rt: Runtime, found: Charged, attempt_id: int | None) -> Charged:
    """Charge the planned attempt, outside any transaction, and say what became of it."""
    if attempt_id is None:
        return found
    recorded = charges.charge_now(rt, [attempt_id])
    if recorded.settled:
        return Charged(found.invoice, Outcome.PAID)
    declined = recorded.declined or recorded.action_required
    return Charged(found.invoice, Outcome.DECLINED if declined else Outcome.WAITING)


def _ask(
    rt: Runtime, row: AnyRow, issued: IssuedInvoice, moment: Moment
) -> tuple[Outcome, int | None]:
    """Use credit, then plan the charge, wait for the transfer, or carry what is too small."""
    session, currency = rt.session, issued.currency
    owing = Owing(issued.id, issued.public_id, row.payer, currency, issued.total_minor)
    due = issued.total_minor - apply_credit(session, [owing], moment).get(issued.id, 0)
    if not due:
        settle_invoices(session, [Settlement(issued.id, 0)], moment)
        return Outcome.PAID, None
    if row.pays_by == "bank":
        return Outcome.OPEN, None
    if is_too_small(due, rt.minimums, row.gateway, currency):
        carry(session, [Small(issued.id, row.payer, currency, due)], moment)
        return Outcome.CARRIED, None
    draft = AttemptDraft(
        issued.id,
        1,
        row.gateway,
        row.account,
        row.method_id,
        row.fingerprint,
        due,
        currency,
    )
    return Outcome.WAITING, plan_attempts(session, [draft], moment, AttemptState.SENT)[0][0]


def read_subscription(
    rt: Runtime,
    customer: str,
    subscription: str,
    *,
    for_update: bool = False,
    is_asked: bool = True,
) -> AnyRow:
    """Return the subscription with who pays and how. ``is_asked``: it is to be charged now.

    Raises ``LookupError``, and ``NotChargeable`` for what cannot be charged now.
    """
    table, payer, price = table_of(Subscription), table_of(Customer), table_of(Price)
    address, method, consent = table_of(Address), table_of(PaymentMethod), table_of(Consent)
    owner, settings = payer.alias("owner"), table_of(ShopSettings)
    pays = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    statement = (
        sa.select(
            table.c.id,
            table.c.state,
            table.c.held_at,
            pays.label("payer"),
            payer.c.name.label("payer_name"),
            payer.c.email.label("payer_email"),
            payer.c.pays_by,
            sa.func.coalesce(
                payer.c.payment_days, sa.select(settings.c.payment_days).scalar_subquery()
            ).label("payment_days"),
            *buyer_columns(payer, table),
            payer.c.billing,
            price.c.currency,
            price.c.tax_inclusive,
            address.c.name.label("ship_name"),
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.postcode,
            address.c.city,
            address.c.country,
            address.c.region,
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            method.c.brand,
            method.c.last4,
            sa.exists().where(consent.c.subscription_id == table.c.id).label("has_consent"),
        )
        .join(owner, owner.c.id == table.c.customer_id)
        .join(payer, payer.c.id == pays)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .outerjoin(method, paying_method(usable=True))
        .where(table.c.public_id == subscription, owner.c.public_id == customer)
    )
    if for_update and rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table)
    row = rt.session.execute(statement).one_or_none()
    if row is None:
        rt.session.rollback()
        raise LookupError(subscription)
    refusal = _refusal(row) if is_asked else ""
    if refusal:
        rt.session.rollback()
        raise NotChargeable(reason=refusal)
    return row


def _refusal(row: AnyRow) -> str:
    if row.state not in RUNNING:
        return "ended"
    if row.held_at is not None:
        return "held"
    if row.pays_by == "bank":
        return ""
    if not row.has_consent:
        return "no_consent"
    return "" if row.method_id is not None else "no_method"


def price_extra(rt: Runtime, row: AnyRow, extra: Extra) -> tuple[Taxed, Quote]:
    """Return its tax and price, taxed today. Raises ``BadExtra``."""
    wrong = _wrong(extra, row.currency)
    if wrong:
        rt.session.rollback()
        raise BadExtra(reason=wrong)
    amount = extra.amount
    tax_class = cast(TaxClass, extra.tax_class)
    taxes = rt.shop.taxes
    taxed = tax_on(row, tax_class, rt.today(), taxes)
    item = PricedItem(LineKind.EXTRA, extra.text[:LONGEST], 1, amount, taxed.rate)
    return taxed, quote([item], inclusive=bool(row.tax_inclusive), rounding=taxes.rounding)


def _wrong(extra: Extra, currency: str) -> str:
    checks = {
        "text": bool(extra.text),
        "amount": extra.amount.minor > 0,
        "limit": extra.amount.minor <= MOST,
        "currency": extra.amount.currency == currency,
        "tax_class": extra.tax_class in TAX_CLASSES,
    }
    return next((reason for reason, fits in checks.items() if not fits), "")


def quoted(row: AnyRow, taxed: Taxed, priced: Quote) -> ExtraQuote:
    """Return what is shown before it is charged; the hash changes with anything shown."""
    by_bank = row.pays_by == "bank"
    said = f"{priced.content_hash}:{taxed.treatment.value}:{by_bank}:{row.method_id}"
    return ExtraQuote(priced.total, priced.tax, by_bank, row.brand or "", row.last4 or "", said)


def invoice_draft(
    rt: Runtime, row: AnyRow, taxed: Taxed, priced: Quote, moment: Moment
) -> InvoiceDraft:
    """Return the invoice over it, supplied and taxed today."""
    shown = taxed.treatment is Treatment.REVERSE_CHARGE and row.tax_id
    by_bank = row.pays_by == "bank"
    return InvoiceDraft(
        payer_id=row.payer,
        quote=priced,
        subscription_id=row.id,
        period_id=None,
        service_from=moment.today,
        service_to=moment.today + timedelta(days=1),
        due_on=moment.today + timedelta(days=row.payment_days if by_bank else 0),
        snapshot={
            "tax": {"treatment": taxed.treatment.value, "source": taxed.source},
            "seller": rt.shop.seller,
            "ship_to": ship_to_of(row),
            "buyer": {
                **billed_to(row),
                **({"tax_id": row.tax_id} if shown else {}),
            },
        },
        tax_treatment=taxed.treatment.value,
        pay_by=row.pays_by,
    )
