"""Write an addition to paid boxes down: an offered invoice that has to be paid first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.changes import ConsentMissing, QuoteChanged
from storefront.domain.charging import AttemptState
from storefront.domain.money import split_minor
from storefront.domain.tax_treatment import Treatment
from storefront.models import BoxAddition, BoxAdditionBox
from storefront.models.base import public_id, table_of
from storefront.operations.added_stock import are_open
from storefront.operations.additions import AdditionFacts, PricedAddition
from storefront.operations.billing import billed_to
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.consents import Given, write_consent
from storefront.operations.customer_credit import Owing, apply_credit
from storefront.operations.invoices import InvoiceDraft, IssuedInvoice, offer_invoices, ship_to_of
from storefront.operations.keys import AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions


def book_addition(
    session: AnySession,
    facts: AdditionFacts,
    priced: PricedAddition,
    once: str,
    seller: Mapping[str, Any],
    agreed: Given | None,
    moment: Moment,
) -> int:
    """Write the offer; returns the attempt to ask, marked sent, or 0 when it is paid already.

    Raises ``ConsentMissing``, ``QuoteChanged`` when credit went elsewhere or a box was locked
    meanwhile, and ``StaleSubscription``.
    """
    row, shown = facts.own.coming.row, priced.shown
    # Whoever decides about the subscription at the same moment reads it again.
    change_subscriptions(session, [SubscriptionChange(row.id, row.version, {})])
    if shown.asks_consent and shown.later is not None:
        if agreed is None:
            raise ConsentMissing(subscription=row.public_id)
        owner = (facts.payer.id, row.id)
        write_consent(session, owner, agreed, shown.later.full, shown.later.interval, moment)
    invoice = offer_invoices(session, [_draft(facts, priced, seller, moment)], moment)[0]
    _insert(session, facts, priced, once, invoice, moment)
    due = _after_credit(session, facts, priced, invoice, moment)
    if not due:
        # What is paid by a charge is asked for this again when the money comes.
        if not are_open(session, [box.id for box in priced.boxes]):
            raise QuoteChanged
        settle_invoices(session, [Settlement(invoice.id, 0)], moment)
        return 0
    return _plan(session, facts, invoice, due, moment)


def _draft(
    facts: AdditionFacts, priced: PricedAddition, seller: Mapping[str, Any], moment: Moment
) -> InvoiceDraft:
    payer, taxed = facts.payer, priced.taxed
    shown = taxed.treatment is Treatment.REVERSE_CHARGE and payer.tax_id
    return InvoiceDraft(
        payer_id=payer.id,
        quote=priced.document,
        subscription_id=facts.own.coming.row.id,
        # It belongs to boxes, not to a period: the shares of these in it stay as they are.
        period_id=None,
        service_from=moment.today,
        service_to=moment.today + timedelta(days=1),
        due_on=moment.today,
        snapshot={
            "tax": {"treatment": taxed.treatment.value, "source": taxed.source},
            "seller": dict(seller),
            "ship_to": ship_to_of(payer),
            "buyer": {
                **billed_to(payer),
                **({"tax_id": payer.tax_id} if shown else {}),
            },
        },
        tax_treatment=taxed.treatment.value,
    )


def _insert(
    session: AnySession,
    facts: AdditionFacts,
    priced: PricedAddition,
    once: str,
    invoice: IssuedInvoice,
    moment: Moment,
) -> None:
    row, wish = facts.own.coming.row, priced.shown.wish
    key = reserve(session, BoxAddition, 1)[0]
    session.execute(
        sa.insert(table_of(BoxAddition)).values(
            id=key,
            public_id=public_id("bad"),
            subscription_id=row.id,
            addon_id=priced.addon.id,
            variant_id=priced.variant_id,
            quantity=wish.quantity,
            unit_minor=priced.addon.amount.minor,
            reach=wish.reach.value,
            goes_on_from=None if priced.shown.later is None else row.next_on,
            invoice_id=invoice.id,
            state="waiting",
            once=once,
            created_at=moment.now,
        )
    )
    shares = split_minor(invoice.total_minor, [1] * len(priced.boxes))
    session.execute(
        sa.insert(table_of(BoxAdditionBox)),
        [
            {"addition_id": key, "box_id": box.id, "gross_minor": minor}
            for box, minor in zip(priced.boxes, shares, strict=True)
        ],
    )


def _after_credit(
    session: AnySession,
    facts: AdditionFacts,
    priced: PricedAddition,
    invoice: IssuedInvoice,
    moment: Moment,
) -> int:
    """Set the credit aside that the quote says, and return what is left for the card."""
    wanted = priced.shown.from_credit.minor
    if not wanted:
        return invoice.total_minor
    owing = Owing(invoice.id, invoice.public_id, facts.payer.id, invoice.currency, wanted)
    if apply_credit(session, [owing], moment, is_booked=False).get(invoice.id) != wanted:
        raise QuoteChanged
    return invoice.total_minor - wanted


def _plan(
    session: AnySession, facts: AdditionFacts, invoice: IssuedInvoice, due: int, moment: Moment
) -> int:
    payer = facts.payer
    draft = AttemptDraft(
        invoice_id=invoice.id,
        number=1,
        gateway=payer.gateway,
        account=payer.account,
        payment_method_id=payer.method_id,
        fingerprint=payer.fingerprint,
        amount_minor=due,
        currency=invoice.currency,
        on_session=True,
    )
    return plan_attempts(session, [draft], moment, AttemptState.SENT)[0][0]
