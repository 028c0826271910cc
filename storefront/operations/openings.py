"""Open the next periods of a batch: what becomes of each, its price, and all it writes.

Everything of a batch goes into the caller's transaction, in a constant number of statements;
nothing is committed here and nobody is charged: attempts are planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from storefront.domain.boxes import boxes_per_period
from storefront.domain.commitment import boxes_owed, obliged_until
from storefront.domain.events import EventKind
from storefront.domain.lifecycle import (
    EndReason,
    HoldReason,
    PeriodKind,
    PeriodState,
    SubscriptionState,
)
from storefront.domain.metrics import MovementKind
from storefront.domain.periods import Interval
from storefront.domain.recurring import PricedPeriod, price_period
from storefront.domain.renewals import Boundary, Decision, Fate, decide, is_pausing
from storefront.domain.tax_treatment import TaxRules
from storefront.models import SubscriptionPeriod
from storefront.operations.addons import bill_addons
from storefront.operations.answers import Answered, write_answers
from storefront.operations.billing import billed_to
from storefront.operations.bulk import insert_many
from storefront.operations.carrying import Minimums, plan_or_carry
from storefront.operations.changes import set_state
from storefront.operations.charging import AttemptDraft
from storefront.operations.coupons import Lowered, Use, redeem_cycle
from storefront.operations.customer_credit import Owing, apply_credit
from storefront.operations.endings import Ending, end_subscriptions
from storefront.operations.invoices import (
    InvoiceDraft,
    IssuedInvoice,
    finalise_invoices,
    ship_to_of,
)
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.offers import price_named, read_plan
from storefront.operations.outbox import Message, enqueue
from storefront.operations.pinned import withdraw_after_term, write_after_term
from storefront.operations.renewals import BatchFacts, Claim, slot_at
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.taxes import note_of, number_shown
from storefront.operations.terms import terms_of
from storefront.operations.timeline import Entry, MrrChange, move, record
from storefront.operations.unpaid_boxes import make_unpaid_boxes


@dataclass(frozen=True, slots=True)
class Opening:
    """One claimed subscription with what becomes of it at its boundary."""

    claim: Claim
    row: AnyRow
    decision: Decision
    priced: PricedPeriod | None = None
    boxes: int = 0
    discounts: tuple[AnyRow, ...] = ()
    #: Boxes that a billed period brings, whatever becomes of this one.
    per_period: int = 0
    #: What is sold beside the plan, as ``running_addons`` has it.
    addons: tuple[AnyRow, ...] = ()


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What the merchant decided about periods that were missed while nothing ran."""

    released_at: datetime | None = None
    bills_missed: bool = False


def decide_opening(
    claim: Claim,
    row: AnyRow,
    facts: BatchFacts,
    moment: Moment,
    taxes: TaxRules,
    catch_up: CatchUp = CatchUp(),
) -> Opening:
    """Decide what becomes of the period ``row`` opens next, and price it if it is billed."""
    billing = Interval(row.unit, row.unit_count)
    shipping = Interval(row.shipping_unit, row.shipping_count) if row.ships else billing
    boxes = boxes_per_period(billing, shipping) if row.ships else 0
    decision = decide(
        Boundary(
            start=row.next_on,
            anchor_on=row.anchor_on,
            anchor_day=row.anchor_day,
            billing=billing,
            shipping=shipping,
            today=moment.today,
            now=moment.now,
            due_at=claim.due_at,
            slot=slot_at(facts, row),
            taken=facts.use.taken.get(row.id, frozenset()),
            skipped=facts.use.skipped.get(row.id, frozenset()),
            cancel_on=row.cancel_on,
            min_boxes=row.min_boxes,
            last_billed_at=row.last_opened_at,
            last_paid_on=moment.day_of(row.last_paid_at) if row.last_paid_at else None,
            has_consent=row.has_consent,
            boxes_billed=row.boxes_billed,
            boxes_next=max(boxes, 1),
            max_boxes=row.max_boxes,
            ends_on=row.ends_on,
            is_pausing=is_pausing(row.pauses_on, row.resumes_on, row.next_on),
            resumes_on=row.resumes_on,
            is_trial_without_method=row.last_kind == PeriodKind.TRIAL and not _can_pay(row),
            released_at=catch_up.released_at,
            # What could not have been sent is not charged afterwards.
            bills_missed=catch_up.bills_missed and row.id not in facts.undeliverable,
            is_undeliverable=row.id in facts.undeliverable,
            last_opened_on=moment.day_of(row.last_opened_at) if row.last_opened_at else None,
        )
    )
    if decision.fate is not Fate.BILL:
        return Opening(claim, row, decision, per_period=boxes)
    discounts = tuple(facts.discounts.get(row.id, ()))
    addons = tuple(facts.addons.get(row.id, ()))
    terms = terms_of(
        row, boxes, discounts, facts.options, taxes, delivery=facts.delivery, addons=addons
    )
    priced = price_period(terms)
    if not priced.quote.total.is_zero and not _can_pay(row):
        return Opening(claim, row, Decision(Fate.HOLD, reason=HoldReason.NO_METHOD))
    return Opening(claim, row, decision, priced, boxes, discounts, boxes, addons)


def _transfer_mail(one: Owing) -> Message:
    key = f"mail:transfer_due:{one.public_id}"
    return Message("mail", "transfer_due", key, {"invoice": one.public_id}, one.payer_id)


def _can_pay(row: AnyRow) -> bool:
    return row.method_id is not None or row.pays_by == "bank"


def open_periods(
    session: AnySession,
    openings: Sequence[Opening],
    moment: Moment,
    seller: Mapping[str, Any],
    minimums: Minimums = MappingProxyType({}),
) -> int:
    """Write a batch and return how many charges were planned; ``seller`` is on each invoice.

    A total under the gateway's of ``minimums`` is not charged but carried.
    Raises ``StaleSubscription`` when a row changed since it was read or another worker
    holds it; nothing of the batch must then be committed.
    """
    by_fate: dict[Fate, list[Opening]] = {fate: [] for fate in Fate}
    for opening in openings:
        by_fate[opening.decision.fate].append(opening)
    endings = [
        Ending(
            opening.row.id,
            opening.row.version,
            EndReason(opening.decision.reason or EndReason.VOLUNTARY),
            opening.decision.end_on,
            fence=opening.claim.fence,
        )
        for opening in by_fate[Fate.END]
    ]
    end_subscriptions(session, endings, moment)
    changed = [opening for opening in openings if opening.decision.fate is not Fate.END]
    change_subscriptions(session, [_change(opening, moment) for opening in changed])
    paused = [opening for opening in by_fate[Fate.PAUSE] if opening.decision.end_on is not None]
    opened = by_fate[Fate.FREE] + by_fate[Fate.SKIP] + paused + by_fate[Fate.BILL]
    keys = reserve(session, SubscriptionPeriod, len(opened))
    insert_many(
        session,
        SubscriptionPeriod,
        [_period(key, opening, moment) for key, opening in zip(keys, opened, strict=True)],
    )
    billed = list(zip(keys, opened, strict=True))[len(opened) - len(by_fate[Fate.BILL]) :]
    planned = _invoice(session, billed, moment, seller, minimums)
    changed_plans = [opening for opening in by_fate[Fate.BILL] if opening.row.change_id]
    set_state(session, [opening.row.change_id for opening in changed_plans], "applied")
    write_answers(session, [_answered(opening.row) for opening in changed_plans], moment)
    _follow(session, [opening for opening in changed_plans if opening.row.repins], moment)
    record(session, _entries(by_fate), moment)
    move(session, [_paused_value(opening, moment) for opening in by_fate[Fate.PAUSE]])
    return planned


def _answered(row: AnyRow) -> Answered:
    before, after = row.held_options or {}, row.options or {}
    return Answered(row.id, before, row.held_price_id, after, row.price_id)


def _follow(session: AnySession, changed: Sequence[Opening], moment: Moment) -> None:
    """Have what follows a term be that of the plan gone on with; the old plan's does not."""
    withdraw_after_term(session, [opening.row.id for opening in changed])
    for opening in changed:
        row, end = opening.row, opening.decision.end_on
        if row.plan_at_term_end == "monthly" and end is not None:
            to = read_plan(session, row.plan_id), price_named(session, row.price_id)
            write_after_term(session, row.id, to, row.country or "", end, moment)


def _change(opening: Opening, moment: Moment) -> SubscriptionChange:
    row, decision = opening.row, opening.decision
    values: dict[str, Any]
    if decision.fate is Fate.WAIT:
        values = {"renews_at": decision.wait_until or moment.start_of(row.next_on)}
    elif decision.fate is Fate.HOLD:
        values = {
            "held_at": moment.now,
            "hold_reason": HoldReason(decision.reason),
            "renews_at": opening.claim.due_at,
        }
    elif decision.fate is Fate.PAUSE:
        end = decision.end_on
        values = {
            "state": SubscriptionState.PAUSED,
            "renews_at": moment.start_of(end) if end else None,
            "mrr_minor": 0,
        }
        if end is not None:
            values |= {"next_on": end, "next_number": row.next_number + 1}
    else:
        end = decision.end_on
        billed = decision.fate is Fate.BILL
        boxes_billed = row.boxes_billed + (max(opening.boxes, 1) if billed else 0)
        leaves = _leaves_on(opening, boxes_billed)
        stop = min(end, leaves) if end and leaves else end
        values = {
            "next_on": end,
            "next_number": row.next_number + 1,
            "billed_count": row.billed_count + billed,
            "boxes_billed": boxes_billed,
            "cancel_on": leaves,
            "renews_at": None if billed or stop is None else moment.start_of(stop),
        }
        if row.pauses_on is not None and row.next_on >= row.pauses_on:
            # What is paused opens no period, so this one is the first after it.
            values |= {"pauses_on": None, "resumes_on": None, "state": SubscriptionState.ACTIVE}
        if billed and row.change_id:
            values |= {
                "plan_id": row.plan_id,
                "price_id": row.price_id,
                "quantity": row.quantity,
                "options": row.options,
            }
            if row.repins:
                values |= {
                    "max_boxes": row.max_boxes,
                    "min_boxes": row.min_boxes,
                    "ends_on": row.ends_on,
                }
    return SubscriptionChange(row.id, row.version, values, opening.claim.fence)


def _leaves_on(opening: Opening, boxes_billed: int) -> date | None:
    """Return the day of a cancellation; a skip puts it off while boxes are still owed."""
    row, end = opening.row, opening.decision.end_on
    leaves: date | None = row.cancel_on
    owed = boxes_owed(boxes_billed, row.min_boxes)
    if leaves is None or end is None or not owed:
        return leaves
    billing = Interval(row.unit, row.unit_count)
    start, per_period = max(end, row.anchor_on), max(opening.per_period, 1)
    until = obliged_until(start, billing, row.anchor_day, owed, per_period)
    return max(leaves, until) if until else leaves


_KINDS = {Fate.FREE: PeriodKind.FREE, Fate.SKIP: PeriodKind.SKIPPED, Fate.BILL: PeriodKind.BILLED}
_KINDS[Fate.PAUSE] = PeriodKind.PAUSED


def _period(key: int, opening: Opening, moment: Moment) -> dict[str, Any]:
    row, billed = opening.row, opening.decision.fate is Fate.BILL
    return {
        "id": key,
        "subscription_id": row.id,
        "number": row.next_number,
        "kind": _KINDS[opening.decision.fate],
        "state": PeriodState.INVOICED if billed else PeriodState.PAID,
        "start_on": row.next_on,
        "end_on": opening.decision.end_on,
        "billed_number": row.billed_count + 1 if billed else 0,
        "plan_id": row.plan_id,
        "price_id": row.price_id,
        "box_count": opening.boxes,
        "mrr_minor": opening.priced.mrr.minor if opening.priced else 0,
        "reason": opening.decision.reason,
        "opened_at": moment.now,
        "paid_at": None,
    }


def _invoice(
    session: AnySession,
    billed: Sequence[tuple[int, Opening]],
    moment: Moment,
    seller: Mapping[str, Any],
    minimums: Minimums,
) -> int:
    """Finalise the invoices of billed periods, take the discounts, plan or settle."""
    if not billed:
        return 0
    issued = finalise_invoices(
        session, [_draft(key, opening, seller, moment) for key, opening in billed], moment
    )
    pairs = [(opening, invoice) for (_, opening), invoice in zip(billed, issued, strict=True)]
    _redeem(session, pairs, moment)
    bill_addons(session, [(key, opening.addons) for key, opening in billed], moment)
    owing = [
        Owing(one.id, one.public_id, opening.row.payer, one.currency, one.total_minor)
        for opening, one in pairs
    ]
    credit = apply_credit(session, owing, moment)
    due = {one.id: one.due_minor - credit.get(one.id, 0) for one in owing}
    by_bank = [one.id for opening, one in pairs if due[one.id] and opening.row.pays_by == "bank"]
    charged = [pair for pair in pairs if due[pair[1].id] and pair[0].row.pays_by != "bank"]
    drafts = [(each.row.payer, _attempt(each, one, due[one.id])) for each, one in charged]
    planned = plan_or_carry(session, drafts, minimums, moment)
    # Who pays by transfer is a late payer from the first day: boxes as the plan has it.
    make_unpaid_boxes(session, by_bank, moment)
    enqueue(session, [_transfer_mail(one) for one in owing if one.id in by_bank], moment.now)
    # Nothing is due, or credit pays all of it: no gateway is asked.
    free = [Settlement(one.id, 0) for one in owing if not due[one.id]]
    settle_invoices(session, free, moment)
    return planned


def _draft(
    period_id: int, opening: Opening, seller: Mapping[str, Any], moment: Moment
) -> InvoiceDraft:
    row, by_bank = opening.row, opening.row.pays_by == "bank"
    due_on = moment.today + timedelta(days=row.payment_days) if by_bank else row.next_on
    assert opening.priced is not None
    assert opening.decision.end_on is not None
    return InvoiceDraft(
        payer_id=row.payer,
        quote=opening.priced.quote,
        subscription_id=row.id,
        period_id=period_id,
        service_from=row.next_on,
        service_to=opening.decision.end_on,
        due_on=due_on,
        pay_by=row.pays_by,
        snapshot={
            "seller": seller,
            "buyer": {**billed_to(row), **number_shown(opening.priced, row.tax_id)},
            "ship_to": ship_to_of(row),
            "tax": note_of(opening.priced),
        },
        tax_treatment=opening.priced.treatment,
    )


def _attempt(opening: Opening, invoice: IssuedInvoice, due_minor: int) -> AttemptDraft:
    row = opening.row
    return AttemptDraft(
        invoice_id=invoice.id,
        number=1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.method_id,
        fingerprint=row.fingerprint,
        amount_minor=due_minor,
        currency=invoice.currency,
    )


def _redeem(
    session: AnySession, pairs: Sequence[tuple[Opening, IssuedInvoice]], moment: Moment
) -> None:
    """Count one cycle of every discount that lowered its invoice."""
    lowered = []
    for opening, invoice in pairs:
        assert opening.priced is not None
        taken = dict(opening.priced.taken)
        use = Use(opening.row.id, opening.row.payer, invoice.id)
        for discount in opening.discounts:
            off = taken.get(str(discount.id))
            if off is not None and off.minor > 0:
                one = Lowered(discount.id, discount, use, off.minor, not discount.is_counted)
                lowered.append(one)
    redeem_cycle(session, lowered, moment.now)


def _paused_value(opening: Opening, moment: Moment) -> MrrChange:
    """A pause brings the monthly value to zero on its first day."""
    row = opening.row
    return MrrChange(
        row.id,
        MovementKind.CONTRACTION,
        -row.mrr_minor,
        row.currency,
        row.plan_id,
        row.source,
        row.cohort,
        "pause",
        moment.today,
    )


def _entries(by_fate: Mapping[Fate, Sequence[Opening]]) -> list[Entry]:
    def entry(opening: Opening, kind: EventKind, **data: Any) -> Entry:
        row = opening.row
        return Entry(row.id, row.public_id, kind, data=data, ref=row.next_on.isoformat())

    entries = [
        entry(
            one,
            EventKind.SUBSCRIPTION_SKIPPED,
            **{"from": one.row.next_on.isoformat(), "reason": one.decision.reason},
        )
        for one in by_fate[Fate.SKIP]
    ]
    entries += [
        entry(one, EventKind.SUBSCRIPTION_HELD, reason=one.decision.reason)
        for one in by_fate[Fate.HOLD]
    ]
    for one in by_fate[Fate.PAUSE]:
        end = one.decision.end_on
        until = end.isoformat() if end else None
        entries.append(entry(one, EventKind.SUBSCRIPTION_PAUSED, until=until))
    entries += [
        entry(one, EventKind.SUBSCRIPTION_RESUMED)
        for fate in (Fate.FREE, Fate.SKIP, Fate.BILL)
        for one in by_fate[fate]
        if one.row.state == SubscriptionState.PAUSED
    ]
    entries += [
        entry(one, EventKind.SUBSCRIPTION_CHANGED, plan=one.row.plan_name)
        for one in by_fate[Fate.BILL]
        if one.row.change_id
    ]
    return entries
