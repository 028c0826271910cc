"""Write a change of plan down: for its day, or as an offered invoice that has to be paid first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from storefront.domain.changes import ChangeQuote, ConsentMissing, Restart
from storefront.domain.charging import AttemptState
from storefront.domain.checkout import OrderQuote
from storefront.domain.events import Actor, EventKind
from storefront.models import ScheduledChange
from storefront.models.base import table_of
from storefront.operations.change_facts import ChangeFacts
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.consents import Given, write_consent
from storefront.operations.invoices import InvoiceDraft, IssuedInvoice, offer_invoices, ship_to_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.taxes import note_of, number_shown
from storefront.operations.timeline import Entry, record


def book_change(
    session: AnySession,
    facts: ChangeFacts,
    quote: ChangeQuote,
    seller: Mapping[str, Any],
    agreed: Given | None,
    moment: Moment,
) -> int | None:
    """Write the change; returns the attempt to ask, 0 when it is applied, None when scheduled.

    The attempt is marked sent: commit, then ask the gateway. ``seller`` goes onto the
    invoice; ``agreed`` is kept where the quote asks for it. Raises ``ConsentMissing`` and,
    when the subscription changed since it was read, ``StaleSubscription``.
    """
    if quote.asks_consent:
        if agreed is None:
            raise ConsentMissing(subscription=facts.row.public_id)
        owner = (facts.row.customer_id, facts.row.id)
        write_consent(session, owner, agreed, quote.amount, quote.interval, moment)
    if not quote.at_once or facts.restart is None or facts.order is None:
        _schedule(session, facts, quote, moment)
        return None
    return _restart(session, facts, (facts.restart, facts.order), quote, seller, moment)


def note_change(session: AnySession, row: AnyRow, data: dict[str, Any], moment: Moment) -> None:
    """Put what the customer decided about a change onto the timeline."""
    entry = Entry(row.id, row.public_id, EventKind.SUBSCRIPTION_CHANGED, Actor.CUSTOMER, data=data)
    record(session, [entry], moment)


def _schedule(session: AnySession, facts: ChangeFacts, quote: ChangeQuote, moment: Moment) -> None:
    row = facts.row
    _insert(session, facts, quote, moment, data={})
    # A renewal that has read the batch without the change must read it again.
    change_subscriptions(session, [SubscriptionChange(row.id, row.version, {})])
    data = {"to": facts.plan.name, "on": quote.effective_on.isoformat()}
    note_change(session, row, data, moment)


def _restart(
    session: AnySession,
    facts: ChangeFacts,
    anew: tuple[Restart, OrderQuote],
    quote: ChangeQuote,
    seller: Mapping[str, Any],
    moment: Moment,
) -> int:
    row, (restarted, order) = facts.row, anew
    # Not claimed by the renewal run while its change is being paid.
    change_subscriptions(session, [SubscriptionChange(row.id, row.version, {"renews_at": None})])
    draft = InvoiceDraft(
        payer_id=row.payer,
        quote=restarted.quote,
        subscription_id=row.id,
        period_id=row.period_id,
        service_from=row.start_on,
        service_to=order.period.end,
        due_on=moment.today,
        tax_treatment=facts.period.treatment,
        snapshot={
            "tax": note_of(facts.period),
            "seller": dict(seller),
            "ship_to": ship_to_of(row),
            "buyer": {
                "name": row.payer_name,
                "email": row.payer_email,
                **number_shown(facts.period, row.tax_id),
            },
        },
    )
    invoice = offer_invoices(session, [draft], moment)[0]
    data = {
        "period_id": row.period_id,
        "end_on": order.period.end.isoformat(),
        "boxes": order.boxes,
        "mrr_minor": facts.period.mrr.minor,
        "anchor_on": order.renewal_on.isoformat(),
        "anchor_day": order.anchor_day,
        "credited": [list(pair) for pair in restarted.credited],
    }
    _insert(session, facts, quote, moment, data=data, invoice_id=invoice.id)
    if invoice.total_minor:
        return _plan(session, row, invoice, moment)
    settle_invoices(session, [Settlement(invoice.id, 0)], moment)
    return 0


def _insert(
    session: AnySession, facts: ChangeFacts, quote: ChangeQuote, moment: Moment, **values: Any
) -> None:
    session.execute(
        sa.insert(table_of(ScheduledChange)).values(
            subscription_id=facts.row.id,
            kind="price",
            effective_on=quote.effective_on,
            price_id=facts.price.id,
            state="waiting",
            created_at=moment.now,
            **values,
        )
    )


def _plan(session: AnySession, row: AnyRow, invoice: IssuedInvoice, moment: Moment) -> int:
    draft = AttemptDraft(
        invoice_id=invoice.id,
        number=1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.method_id,
        fingerprint=row.fingerprint,
        amount_minor=invoice.total_minor,
        currency=invoice.currency,
        on_session=True,
    )
    return plan_attempts(session, [draft], moment, AttemptState.SENT)[0][0]
