"""Open the next period of everything due, exactly once, and charge for it.

Claim, read, decide and price, write in one transaction per batch, send, record. What is due
and who holds it is decided in the database, so any number of workers may run this at once,
and one that dies anywhere leaves nothing to repair: its claims run out, its planned attempts
are sent by the next, its sent ones are looked up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from storefront import charges
from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.boxes import boxes_per_period
from storefront.domain.events import EventKind
from storefront.domain.lifecycle import EndReason, HoldReason, PeriodKind, PeriodState
from storefront.domain.periods import Interval
from storefront.domain.recurring import PricedPeriod, price_period
from storefront.domain.renewals import Boundary, Decision, Fate, decide
from storefront.models import (
    ParkedWork,
    Redemption,
    Subscription,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.changes import set_state
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.endings import Ending, end_subscriptions
from storefront.operations.invoices import InvoiceDraft, IssuedInvoice, finalise_invoices
from storefront.operations.keys import AnyRow, reserve
from storefront.operations.moment import Moment
from storefront.operations.renewals import (
    BatchFacts,
    Claim,
    claim_due,
    count_due,
    give_back,
    read_batch,
    slot_at,
)
from storefront.operations.results import Recorded
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.terms import terms_of
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime, Shop

log = logging.getLogger(__name__)

#: Claims taken at once; the transactions that write them are smaller (``batch_size``).
CLAIM = 500


@dataclass(slots=True)
class RenewalReport:
    """What one run did, in subscriptions; ``charges`` counts the gateway's answers."""

    claimed: int = 0
    billed: int = 0
    skipped: int = 0
    freed: int = 0
    ended: int = 0
    held: int = 0
    waiting: int = 0
    parked: int = 0
    charges: Recorded = field(default_factory=Recorded)


@dataclass(frozen=True, slots=True)
class _Work:
    """One claimed subscription with what becomes of it."""

    claim: Claim
    row: AnyRow
    decision: Decision
    priced: PricedPeriod | None = None
    boxes: int = 0
    discounts: tuple[AnyRow, ...] = ()


def run_renewals(
    rt: Runtime,
    *,
    limit: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> RenewalReport:
    """Renew everything due, up to ``limit`` subscriptions, and send every planned charge.

    Holds no transaction while a gateway is asked; memory does not grow with what is due.
    Does nothing while charging is held or the live-lock does not match.
    """
    report = RenewalReport()
    if not charges.may_charge(rt):
        return report
    failpoint("renewal.before_claim")
    lease = timedelta(seconds=rt.settings.lease_seconds)
    while limit is None or report.claimed < limit:
        size = CLAIM if limit is None else min(CLAIM, limit - report.claimed)
        moment = rt.moment()
        claims = retrying(rt.session, partial(_claim, rt, moment, size, lease))
        if not claims:
            break
        failpoint("renewal.after_claim")
        report.claimed += len(claims)
        _open_periods(rt, claims, moment, moment.now + lease, report)
        failpoint("renewal.after_planned")
        charges.add(report.charges, charges.send_planned(rt))
        if on_progress is not None:
            on_progress(len(claims))
    charges.add(report.charges, charges.send_planned(rt))
    return report


def due_count(rt: Runtime) -> int:
    """Return how many subscriptions are due now."""
    with reading():
        count = count_due(rt.session, rt.now())
        rt.session.rollback()
    return count


def _claim(rt: Runtime, moment: Moment, limit: int, lease: timedelta) -> list[Claim]:
    claims = claim_due(rt.session, moment, limit, lease)
    rt.session.commit()
    return claims


def _open_periods(
    rt: Runtime, claims: Sequence[Claim], moment: Moment, until: Any, report: RenewalReport
) -> None:
    with reading():
        facts = read_batch(rt.session, claims)
        rt.session.rollback()
    held = {claim.id: claim for claim in claims}
    works = []
    for row in facts.subscriptions:
        if row.fence != held[row.id].fence:
            continue
        try:
            works.append(_decide(held[row.id], row, facts, moment, rt.shop))
        except Exception as error:
            log.exception("renewal of %s could not be decided", row.public_id)
            _park(rt, held[row.id], row, error, moment)
            report.parked += 1
    size = rt.settings.batch_size
    for start in range(0, len(works), size):
        _write(rt, works[start : start + size], moment, until, report)


def _decide(claim: Claim, row: AnyRow, facts: BatchFacts, moment: Moment, shop: Shop) -> _Work:
    billing = Interval(row.unit, row.unit_count)
    shipping = Interval(row.shipping_unit, row.shipping_count) if row.ships else billing
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
            last_billed_at=row.last_opened_at,
            last_paid_on=moment.day_of(row.last_paid_at) if row.last_paid_at else None,
            has_consent=row.has_consent,
        )
    )
    if decision.fate is not Fate.BILL:
        return _Work(claim, row, decision)
    boxes = boxes_per_period(billing, shipping) if row.ships else 0
    discounts = tuple(facts.discounts.get(row.id, ()))
    priced = price_period(terms_of(row, boxes, discounts, facts.options, shop.seller_country))
    if not priced.quote.total.is_zero and row.method_id is None:
        return _Work(claim, row, Decision(Fate.HOLD, reason=HoldReason.NO_METHOD))
    return _Work(claim, row, decision, priced, boxes, discounts)


def _write(
    rt: Runtime, works: Sequence[_Work], moment: Moment, until: Any, report: RenewalReport
) -> None:
    """Write a batch in one transaction; in halves when a row will not go in, which is parked."""
    if not works:
        return
    try:
        retrying(rt.session, lambda: _commit(rt, works, moment))
    except (sa.exc.IntegrityError, sa.exc.DataError, StaleSubscription) as error:
        rt.session.rollback()
        if len(works) > 1:
            middle = len(works) // 2
            _write(rt, works[:middle], moment, until, report)
            _write(rt, works[middle:], moment, until, report)
            return
        only = works[0]
        if isinstance(error, StaleSubscription):
            # The customer changed it meanwhile, or another worker holds it: look again.
            give_back(rt.session, [only.claim], until, moment.now)
            rt.session.commit()
            report.waiting += 1
            return
        log.exception("renewal of %s failed and is parked", only.row.public_id)
        _park(rt, only.claim, only.row, error, moment)
        report.parked += 1
        return
    for work in works:
        name = _COUNTED[work.decision.fate]
        setattr(report, name, getattr(report, name) + 1)


_COUNTED = {
    Fate.WAIT: "waiting",
    Fate.END: "ended",
    Fate.FREE: "freed",
    Fate.SKIP: "skipped",
    Fate.BILL: "billed",
    Fate.HOLD: "held",
}


def _commit(rt: Runtime, works: Sequence[_Work], moment: Moment) -> None:
    by_fate: dict[Fate, list[_Work]] = {fate: [] for fate in Fate}
    for work in works:
        by_fate[work.decision.fate].append(work)
    session = rt.session
    endings = [
        Ending(
            work.row.id,
            work.row.version,
            EndReason.VOLUNTARY,
            work.decision.end_on,
            fence=work.claim.fence,
        )
        for work in by_fate[Fate.END]
    ]
    end_subscriptions(session, endings, moment)
    changed = [work for work in works if work.decision.fate is not Fate.END]
    change_subscriptions(session, [_change(work, moment) for work in changed])
    opened = by_fate[Fate.FREE] + by_fate[Fate.SKIP] + by_fate[Fate.BILL]
    keys = reserve(session, SubscriptionPeriod, len(opened))
    insert_many(
        session,
        SubscriptionPeriod,
        [_period(key, work, moment) for key, work in zip(keys, opened, strict=True)],
    )
    billed = list(zip(keys, opened, strict=True))[len(opened) - len(by_fate[Fate.BILL]) :]
    _invoice(rt, billed, moment)
    changed_plans = [work for work in by_fate[Fate.BILL] if work.row.change_id]
    set_state(session, [work.row.change_id for work in changed_plans], "applied")
    record(session, _entries(by_fate), moment)
    failpoint("renewal.before_planned_commit")
    session.commit()


def _change(work: _Work, moment: Moment) -> SubscriptionChange:
    row, decision = work.row, work.decision
    values: dict[str, Any]
    if decision.fate is Fate.WAIT:
        values = {"renews_at": decision.wait_until or moment.start_of(row.next_on)}
    elif decision.fate is Fate.HOLD:
        values = {
            "held_at": moment.now,
            "hold_reason": HoldReason(decision.reason),
            "renews_at": work.claim.due_at,
        }
    else:
        end = decision.end_on
        billed = decision.fate is Fate.BILL
        stop = min(end, row.cancel_on) if end and row.cancel_on else end
        values = {
            "next_on": end,
            "next_number": row.next_number + 1,
            "billed_count": row.billed_count + billed,
            "renews_at": None if billed or stop is None else moment.start_of(stop),
        }
        if billed and row.change_id:
            values |= {"plan_id": row.plan_id, "price_id": row.price_id}
    return SubscriptionChange(row.id, row.version, values, work.claim.fence)


_KINDS = {Fate.FREE: PeriodKind.FREE, Fate.SKIP: PeriodKind.SKIPPED, Fate.BILL: PeriodKind.BILLED}


def _period(key: int, work: _Work, moment: Moment) -> dict[str, Any]:
    row, billed = work.row, work.decision.fate is Fate.BILL
    return {
        "id": key,
        "subscription_id": row.id,
        "number": row.next_number,
        "kind": _KINDS[work.decision.fate],
        "state": PeriodState.INVOICED if billed else PeriodState.PAID,
        "start_on": row.next_on,
        "end_on": work.decision.end_on,
        "billed_number": row.billed_count + 1 if billed else 0,
        "plan_id": row.plan_id,
        "price_id": row.price_id,
        "box_count": work.boxes,
        "mrr_minor": work.priced.mrr.minor if work.priced else 0,
        "reason": work.decision.reason,
        "opened_at": moment.now,
        "paid_at": None,
    }


def _invoice(rt: Runtime, billed: Sequence[tuple[int, _Work]], moment: Moment) -> None:
    """Finalise the invoices of billed periods, take the discounts, plan or settle."""
    if not billed:
        return
    seller = rt.shop.seller
    issued = finalise_invoices(
        rt.session, [_draft(key, work, seller) for key, work in billed], moment
    )
    pairs = [(work, invoice) for (_, work), invoice in zip(billed, issued, strict=True)]
    _redeem(rt, pairs, moment)
    plan_attempts(
        rt.session,
        [_attempt(work, invoice) for work, invoice in pairs if invoice.total_minor],
        moment,
    )
    free = [Settlement(invoice.id, 0) for _, invoice in pairs if not invoice.total_minor]
    settle_invoices(rt.session, free, moment)


def _draft(period_id: int, work: _Work, seller: Mapping[str, Any]) -> InvoiceDraft:
    row = work.row
    assert work.priced is not None
    assert work.decision.end_on is not None
    return InvoiceDraft(
        payer_id=row.payer,
        quote=work.priced.quote,
        subscription_id=row.id,
        period_id=period_id,
        service_from=row.next_on,
        service_to=work.decision.end_on,
        due_on=row.next_on,
        snapshot={"seller": seller, "buyer": _buyer(row), "ship_to": _ship_to(row)},
    )


def _buyer(row: AnyRow) -> dict[str, str]:
    return {"name": row.payer_name, "email": row.payer_email}


def _ship_to(row: AnyRow) -> dict[str, str]:
    if row.country is None:
        return {}
    return {
        "name": row.ship_name,
        "company": row.company,
        "street": row.street,
        "extra": row.extra,
        "postcode": row.postcode,
        "city": row.city,
        "country": row.country,
    }


def _attempt(work: _Work, invoice: IssuedInvoice) -> AttemptDraft:
    row = work.row
    return AttemptDraft(
        invoice_id=invoice.id,
        number=1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.method_id,
        fingerprint=row.fingerprint,
        amount_minor=invoice.total_minor,
        currency=invoice.currency,
    )


def _redeem(rt: Runtime, pairs: Sequence[tuple[_Work, IssuedInvoice]], moment: Moment) -> None:
    """Count one cycle of every discount that lowered its invoice."""
    rows, spent = [], []
    for work, invoice in pairs:
        assert work.priced is not None
        taken = dict(work.priced.taken)
        for discount in work.discounts:
            off = taken.get(str(discount.id))
            if off is None or off.is_zero:
                continue
            rows.append(
                {
                    "subscription_discount_id": discount.id,
                    "coupon_id": discount.coupon_id,
                    "customer_id": work.row.payer,
                    "invoice_id": invoice.id,
                    "amount_minor": off.minor,
                    "counts": False,
                    "at": moment.now,
                }
            )
            if discount.cycles_left is not None:
                spent.append(discount.id)
    insert_many(rt.session, Redemption, rows)
    if spent:
        table = table_of(SubscriptionDiscount)
        rt.session.execute(
            sa.update(table)
            .where(table.c.id.in_(spent), table.c.cycles_left > 0)
            .values(cycles_left=table.c.cycles_left - 1)
        )


def _entries(by_fate: Mapping[Fate, Sequence[_Work]]) -> list[Entry]:
    entries = [
        Entry(
            work.row.id,
            work.row.public_id,
            EventKind.SUBSCRIPTION_SKIPPED,
            data={"from": work.row.next_on.isoformat(), "reason": work.decision.reason},
            ref=work.row.next_on.isoformat(),
        )
        for work in by_fate[Fate.SKIP]
    ]
    entries += [
        Entry(
            work.row.id,
            work.row.public_id,
            EventKind.SUBSCRIPTION_HELD,
            data={"reason": work.decision.reason},
            ref=work.row.next_on.isoformat(),
        )
        for work in by_fate[Fate.HOLD]
    ]
    entries += [
        Entry(
            work.row.id,
            work.row.public_id,
            EventKind.SUBSCRIPTION_CHANGED,
            data={"plan": work.row.plan_name},
            ref=work.row.next_on.isoformat(),
        )
        for work in by_fate[Fate.BILL]
        if work.row.change_id
    ]
    return entries


def _park(rt: Runtime, claim: Claim, row: AnyRow, error: Exception, moment: Moment) -> None:
    """Take the row out of the run until a person looks at it; the others go on."""
    table = table_of(Subscription)
    rt.session.execute(
        sa.update(table)
        .where(table.c.id == claim.id, table.c.fence == claim.fence)
        .values(parked_at=moment.now, renews_at=claim.due_at, version=table.c.version + 1)
    )
    rt.session.execute(
        sa.insert(table_of(ParkedWork)).values(
            kind="renewal",
            subject=row.public_id,
            reason=type(error).__name__,
            detail=str(error)[:2000],
            parked_at=moment.now,
        )
    )
    rt.session.commit()
