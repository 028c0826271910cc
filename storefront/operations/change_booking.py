"""Write a change down: for its day, or as an offered invoice that has to be paid first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from storefront.domain.changes import (
    ChangeQuote,
    ConsentMissing,
    QuoteChanged,
    TakenBack,
    divide,
    settle,
)
from storefront.domain.charging import AttemptState
from storefront.domain.credit import is_too_small
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Way, refundables
from storefront.domain.repaying import draw
from storefront.domain.taxes import Rounding
from storefront.models import Invoice, InvoiceLine, ScheduledChange
from storefront.models.base import table_of
from storefront.operations.billing import billed_to
from storefront.operations.carrying import Minimums, Small, carry
from storefront.operations.change_facts import AtOnce, ChangeFacts
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.consents import Given, write_consent
from storefront.operations.customer_credit import Owing, apply_credit
from storefront.operations.invoices import InvoiceDraft, IssuedInvoice, offer_invoices, ship_to_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of
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
    minimums: Minimums = MappingProxyType({}),
) -> int | None:
    """Write the change; returns the attempt to ask, 0 when it is applied, None when scheduled.

    The attempt is marked sent: commit, then ask the gateway. ``seller`` goes onto the
    invoice; ``agreed`` is kept where the quote asks for it. Raises ``ConsentMissing``,
    ``QuoteChanged`` when credit went elsewhere, and ``StaleSubscription`` when the
    subscription changed since it was read. A total under
    the gateway's of ``minimums`` is carried: applied now, asked for with the next charge.
    """
    if quote.asks_consent:
        if agreed is None:
            raise ConsentMissing(subscription=facts.row.public_id)
        owner = (facts.row.customer_id, facts.row.id)
        write_consent(session, owner, agreed, quote.amount, quote.interval, moment)
    if facts.now is None:
        _schedule(session, facts, quote, moment)
        return None
    return _make_now(session, facts, facts.now, quote, seller, moment, minimums)


def book_downgrade(
    session: AnySession,
    facts: ChangeFacts,
    quote: ChangeQuote,
    seller: Mapping[str, Any],
    agreed: Given | None,
    moment: Moment,
    rounding: Rounding,
) -> list[str]:
    """Make a change today that gives back more than it charges; returns the credit notes.

    What is taken back pays for the rest of the period on a document over nothing; what is
    left of it becomes the customer's credit by a credit note on the lines it comes from, so
    no invoice is ever below zero. ``rounding`` is the shop's. Raises as ``book_change``, and
    ``ValueError`` for a change that gives nothing back.
    """
    owed = facts.owed
    if owed is None:
        raise ValueError("the change gives nothing back")
    if quote.asks_consent:
        if agreed is None:
            raise ConsentMissing(subscription=facts.row.public_id)
        owner = (facts.row.customer_id, facts.row.id)
        write_consent(session, owner, agreed, quote.amount, quote.interval, moment)
    part = owed.settled.quote.total + owed.settled.credit
    within, beyond = divide(owed.settled.credited, part)
    now = replace(owed, settled=settle(within, owed.priced.quote, part, rounding=rounding))
    _make_now(session, facts, now, quote, seller, moment, {})
    return _give_back(session, beyond, moment)


def _give_back(session: AnySession, beyond: Sequence[TakenBack], moment: Moment) -> list[str]:
    """Credit parts of paid lines to their payer; returns the credit notes, one per invoice."""
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    rows = session.execute(
        sa.select(line.c.id, invoice.c.public_id)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(line.c.id.in_([one.line.id for one in beyond]))
    )
    of_line = {row.id: row.public_id for row in rows}
    notes: list[str] = []
    for public in dict.fromkeys(of_line.values()):
        facts = read_refund(session, public, for_update=True)
        wanted: dict[int, int] = defaultdict(int)
        for one in beyond:
            if of_line[one.line.id] == public:
                wanted[_head_of(facts, one.line.id)] += one.gross_minor
        parts = draw(sources_of(facts, Way.CREDIT), wanted)
        reason = CreditReason.CHANGE
        notes += give_parts_back(session, facts, parts, Way.CREDIT, reason, moment)
    return notes


def _head_of(facts: RefundFacts, line_id: int) -> int:
    found = refundables(facts.lines)
    return next(one.head.id for one in found if line_id in {each.id for each in one.members})


def note_change(session: AnySession, row: AnyRow, data: dict[str, Any], moment: Moment) -> None:
    """Put what the customer decided about a change onto the timeline."""
    entry = Entry(row.id, row.public_id, EventKind.SUBSCRIPTION_CHANGED, Actor.CUSTOMER, data=data)
    record(session, [entry], moment)


def what_changes(facts: ChangeFacts) -> dict[str, Any]:
    """Return the quantity and the answers a change brings, as it keeps them."""
    return {"quantity": facts.new.quantity, "options": dict(facts.new.options)}


def _schedule(session: AnySession, facts: ChangeFacts, quote: ChangeQuote, moment: Moment) -> None:
    row = facts.row
    _insert(session, facts, quote, moment, data=what_changes(facts))
    # A renewal that has read the batch without the change must read it again.
    change_subscriptions(session, [SubscriptionChange(row.id, row.version, {})])
    data = {"to": facts.new.plan.name, "on": quote.effective_on.isoformat()}
    note_change(session, row, data, moment)


def _make_now(
    session: AnySession,
    facts: ChangeFacts,
    now: AtOnce,
    quote: ChangeQuote,
    seller: Mapping[str, Any],
    moment: Moment,
    minimums: Minimums,
) -> int:
    row = facts.row
    # Not claimed by the renewal run while its change is being paid.
    change_subscriptions(session, [SubscriptionChange(row.id, row.version, {"renews_at": None})])
    # A period that began today is priced anew; a later restart opens another one.
    opens = now.order is not None and row.start_on < moment.today
    draft = InvoiceDraft(
        payer_id=row.payer,
        quote=now.settled.quote,
        subscription_id=row.id,
        period_id=None if opens else row.period_id,
        credited_period_id=row.period_id,
        service_from=moment.today,
        service_to=now.order.period.end if now.order else row.end_on,
        due_on=moment.today,
        tax_treatment=now.priced.treatment,
        snapshot={
            "tax": note_of(now.priced),
            "seller": dict(seller),
            "ship_to": ship_to_of(row),
            "buyer": {
                **billed_to(row),
                **number_shown(now.priced, row.tax_id),
            },
        },
    )
    invoice = offer_invoices(session, [draft], moment)[0]
    data = _kept(facts, now, moment, opens=opens)
    _insert(session, facts, quote, moment, data=data, invoice_id=invoice.id)
    due, currency = _after_credit(session, row, invoice, quote, moment), invoice.currency
    if is_too_small(due, minimums, row.gateway or "", currency):
        carry(session, [Small(invoice.id, row.payer, currency, due)], moment)
        return 0
    if due:
        return _plan(session, row, invoice, due, moment)
    settle_invoices(session, [Settlement(invoice.id, 0)], moment)
    return 0


def _after_credit(
    session: AnySession, row: AnyRow, invoice: IssuedInvoice, quote: ChangeQuote, moment: Moment
) -> int:
    """Set the credit aside that the quote says, and return what is left for the card.

    Raises ``QuoteChanged`` where it went to another invoice meanwhile.
    """
    wanted = quote.from_credit.minor
    if not wanted:
        return invoice.total_minor
    owing = Owing(invoice.id, invoice.public_id, row.payer, invoice.currency, wanted)
    if apply_credit(session, [owing], moment, is_booked=False).get(invoice.id) != wanted:
        raise QuoteChanged
    return invoice.total_minor - wanted


def _kept(facts: ChangeFacts, now: AtOnce, moment: Moment, *, opens: bool) -> dict[str, Any]:
    """Return what the payment needs to apply the change exactly as it was shown."""
    row, order = facts.row, now.order
    data = {
        **what_changes(facts),
        "how": now.how,
        "period_id": row.period_id,
        "unsent": list(now.paid.unsent),
        "mrr_minor": now.priced.mrr.minor,
        "credited": [[one.line.id, one.gross_minor] for one in now.settled.credited],
    }
    if order is not None:
        data |= {
            "opens": opens,
            "start_on": moment.today.isoformat(),
            "end_on": order.period.end.isoformat(),
            "boxes": order.boxes,
            "anchor_on": order.renewal_on.isoformat(),
            "anchor_day": order.anchor_day,
            # A period priced anew keeps the cycle that its discounts have spent on it.
            "lowered": [[int(ref), off.minor] for ref, off in now.priced.taken if off.minor > 0]
            if opens
            else [],
        }
    return data


def _insert(
    session: AnySession, facts: ChangeFacts, quote: ChangeQuote, moment: Moment, **values: Any
) -> None:
    session.execute(
        sa.insert(table_of(ScheduledChange)).values(
            subscription_id=facts.row.id,
            kind="price",
            effective_on=quote.effective_on,
            price_id=facts.new.price.id,
            state="waiting",
            created_at=moment.now,
            **values,
        )
    )


def _plan(
    session: AnySession, row: AnyRow, invoice: IssuedInvoice, due_minor: int, moment: Moment
) -> int:
    draft = AttemptDraft(
        invoice_id=invoice.id,
        number=1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.method_id,
        fingerprint=row.fingerprint,
        amount_minor=due_minor,
        currency=invoice.currency,
        on_session=True,
    )
    return plan_attempts(session, [draft], moment, AttemptState.SENT)[0][0]
