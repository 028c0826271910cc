"""Open and step the chase of invoices that a gateway did not pay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.charging import DeclineKind
from storefront.domain.dunning import (
    DEFAULT_POLICY,
    WARN_DAYS,
    RetryPolicy,
    StepKind,
    last_day,
    next_step,
)
from storefront.domain.events import EventKind
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.lifecycle import BILLABLE, ENDED, SubscriptionState
from storefront.models import (
    Address,
    ChargeAttempt,
    DunningCase,
    InvoiceLine,
    OutboxMessage,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.backups import declined_before, together, try_backups
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.overtaken import try_at_once
from storefront.operations.retry_schedules import policy_of, read_schedules
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, record

#: One mail about a failed payment of an invoice in this time.
MAIL_EVERY = timedelta(hours=24)
#: Mails that ask for a payment; together no more often than that.
_ASKING = ("payment_failed", "payment_confirm", "payment_last_warning", "payment_waits")
#: How long a customer has to authenticate before the last action.
AUTHENTICATION_DAYS = 7


def chase_declined(
    session: AnySession,
    rows: Sequence[AnyRow],
    answers: Mapping[str, ChargeAnswer],
    moment: Moment,
    late: Collection[int] = (),
) -> None:
    """Open a case for each declined attempt on an open invoice, or take its next step.

    An invoice for several subscriptions has one case, and all of them go past due.

    ``rows`` carry ``public_id`` and ``invoice_id`` of attempts. Only a try by the clock is a
    step: what the customer tried meanwhile leaves the schedule alone. Where the payer has a
    backup, it is tried first and its answer is the step. Subscriptions on them go past due; the
    customer is told, at most once a day, but not of a last try: its outcome is a mail itself.
    Invoices in ``late`` are tried by the next chase with the method chosen meanwhile, before any
    backup, and their customers are told what came of that.
    Source: docs/decisions/0021-steps-of-dunning.md, docs/decisions/0129-dunning.md.
    """
    rows = _without_backed(session, rows, answers, moment, late)
    if not rows:
        return
    before = declined_before(session, rows)
    facts = _facts(session, [row.invoice_id for row in rows])
    cases = _cases(session, [row.invoice_id for row in rows])
    told = _told(session, list(cases), moment.now - MAIL_EVERY)
    schedules = read_schedules(session) if facts.keys() - cases.keys() else ()
    opened, stepped, mails = [], [], []
    for row in rows:
        own = facts.get(row.invoice_id)
        if own is None:
            continue
        case, first = cases.get(row.invoice_id), before.get(row.public_id)
        policy = _policy(case.policy) if case else policy_of(own, schedules, moment)
        values = _step(case, row, policy, _meaning(answers[row.public_id], first), moment)
        if case and values:
            stepped.append({"key": case.id, **{f"new_{k}": v for k, v in values.items()}})
        elif values:
            opened.append(values | _opening(row.invoice_id, values["next_at"], policy, moment))
        is_told = row.invoice_id in told or row.invoice_id in late
        if not is_told and not _is_over(values, moment):
            more = {"reason": answers[row.public_id].reason}
            mails.append(_mail("payment_failed", row, own[0], more | _first(first)))
    _write(session, opened, stepped)
    _go_on(session, [row.invoice_id for row in rows if row.on_session])
    try_at_once(session, [row.invoice_id for row in rows if row.invoice_id in late], moment)
    _past_due(session, _all(facts), answers, rows, moment)
    enqueue(session, mails, moment.now)


def _without_backed(
    session: AnySession,
    rows: Sequence[AnyRow],
    answers: Mapping[str, ChargeAnswer],
    moment: Moment,
    late: Collection[int],
) -> Sequence[AnyRow]:
    """Try backups where there are some, and return the other refusals."""
    own = [row for row in rows if row.invoice_id not in late]
    backed = try_backups(session, own, answers, moment) if own else set()
    if backed:
        _note_backed(session, [row for row in rows if row.public_id in backed], answers, moment)
    return [row for row in rows if row.public_id not in backed] if backed else rows


def _meaning(answer: ChargeAnswer, first: AnyRow | None) -> DeclineKind:
    kind = answer.decline or DeclineKind.SOFT
    return kind if first is None else together(first.decline_kind, kind)


def _first(first: AnyRow | None) -> dict[str, Any]:
    return {} if first is None else {"first": first.first}


def _opening(
    invoice_id: int, next_at: datetime, policy: RetryPolicy, moment: Moment
) -> dict[str, Any]:
    return {
        "invoice_id": invoice_id,
        "policy": _kept(policy),
        "opened_at": moment.now,
        "warn_at": _warn_at(next_at, policy, moment),
    }


def _go_on(session: AnySession, invoice_ids: Sequence[int]) -> None:
    """Let the schedule go on as it was where a card just saved was tried by its owner.

    The clock does not try it once more beside the schedule.
    """
    table = table_of(DunningCase)
    if invoice_ids:
        session.execute(
            sa.update(table)
            .where(table.c.invoice_id.in_(invoice_ids), table.c.resume_at.is_not(None))
            .values(next_at=table.c.resume_at, resume_at=None)
        )


def _step(
    case: AnyRow | None, row: AnyRow, policy: RetryPolicy, decline: DeclineKind, moment: Moment
) -> dict[str, Any]:
    """Return what becomes of a case, or of none yet, with this decline; empty: it stays."""
    if case is None:
        return _next(policy, moment.today, 0, decline, moment)
    first = moment.day_of(case.opened_at)
    if case.next_at is None:
        return _next(policy, first, case.step + 1, decline, moment)
    if case.kind == "authentication" and not row.on_session:
        # The charge that its customer was asked to confirm: the schedule begins after all.
        return _next(policy, first, case.step, decline, moment)
    return {}


def _next(
    policy: RetryPolicy, first_on: date, step: int, decline: DeclineKind, moment: Moment
) -> dict[str, Any]:
    following = next_step(policy, first_on, step, moment.today, decline)
    return {
        "step": step,
        "kind": "decline",
        "state": "open",
        "next_at": moment.at(following.on, policy.retry_minute),
        "next_action": "retry" if following.kind is StepKind.RETRY else "last_action",
    }


def _is_over(values: Mapping[str, Any], moment: Moment) -> bool:
    """True when the last action is due already: it has a mail of its own."""
    if values.get("next_action") != "last_action":
        return False
    return bool(values["next_at"] <= moment.now)


def _warn_at(next_at: datetime, policy: RetryPolicy, moment: Moment) -> datetime | None:
    """Return when the last warning of a new case goes out; None where its end is too near."""
    last = moment.at(last_day(policy, moment.today), policy.retry_minute)
    at = max(last, next_at) - timedelta(days=WARN_DAYS)
    return at if at >= moment.now + MAIL_EVERY else None


def end_of(case: AnyRow, moment: Moment) -> datetime:
    """Return when the last action of a case is due (``next_at``, ``next_action`` and policy)."""
    if case.next_action == "last_action" and case.next_at is not None and case.resume_at is None:
        return case.next_at  # type: ignore[no-any-return]
    policy = _policy(case.policy)
    return moment.at(ends_on(case, moment), policy.retry_minute)


def ends_on(case: AnyRow, moment: Moment) -> date:
    """Return the last day of the schedule of a case (``policy``, ``opened_at``)."""
    return last_day(_policy(case.policy), moment.day_of(case.opened_at))


def chase_authentication(
    session: AnySession, rows: Sequence[AnyRow], moment: Moment, late: Collection[int] = ()
) -> None:
    """Ask customers to confirm with their bank; nothing is tried by the clock meanwhile.

    Invoices in ``late`` are to be paid with another method by now: the next chase has the bank
    stop what waits, and tries that.
    """
    if not rows:
        return
    facts = _facts(session, [row.invoice_id for row in rows])
    cases = _cases(session, [row.invoice_id for row in rows])
    schedules = read_schedules(session) if facts.keys() - cases.keys() else ()
    deadline = moment.start_of(moment.today + timedelta(days=AUTHENTICATION_DAYS))
    opened = [
        {
            "invoice_id": row.invoice_id,
            "kind": "authentication",
            "state": "open",
            "step": 0,
            "next_at": deadline,
            "next_action": "last_action",
            "policy": _kept(policy_of(facts[row.invoice_id], schedules, moment)),
            "opened_at": moment.now,
            "warn_at": deadline - timedelta(days=WARN_DAYS),
        }
        for row in rows
        if row.invoice_id in facts and row.invoice_id not in cases
    ]
    asked = [case for case in cases.values() if case.next_at is None]
    stepped = [
        {
            "key": case.id,
            "new_kind": "authentication",
            "new_state": "open",
            "new_step": case.step + 1,
            "new_next_at": max(deadline, moment.start_of(ends_on(case, moment))),
            "new_next_action": "last_action",
        }
        for case in asked
    ]
    _write(session, opened, stepped)
    _go_on(session, [row.invoice_id for row in rows if row.on_session])
    try_at_once(session, [row.invoice_id for row in rows if row.invoice_id in late], moment)
    _past_due(session, _all(facts), {}, rows, moment)
    told = _told(session, list(cases), moment.now - MAIL_EVERY)
    mails = [
        _mail("payment_confirm", row, facts[row.invoice_id][0], {})
        for row in rows
        # Who is on the page goes on to the bank right away.
        if row.invoice_id in facts
        and row.invoice_id not in late
        and not (row.on_session and row.invoice_id in told)
    ]
    enqueue(session, mails, moment.now)


def _facts(session: AnySession, invoice_ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    """Return the subscriptions behind each invoice with their policies, in its lines' order.

    Without those that have left it (their lines are void) and those that have ended: what those
    still owe for boxes that were sent is paid when their customer says so.
    """
    line, subscription, plan = table_of(InvoiceLine), table_of(Subscription), table_of(Plan)
    address = table_of(Address)
    rows = session.execute(
        sa.select(
            line.c.invoice_id,
            subscription.c.id,
            subscription.c.public_id,
            subscription.c.customer_id,
            subscription.c.payer_id,
            subscription.c.state,
            subscription.c.version,
            subscription.c.created_at,
            subscription.c.plan_id,
            address.c.country,
            plan.c.retry_days,
            plan.c.last_action,
            plan.c.retry_minute,
        )
        .join(subscription, subscription.c.id == line.c.subscription_id)
        .join(plan, plan.c.id == subscription.c.plan_id)
        .outerjoin(address, address.c.id == subscription.c.address_id)
        .where(
            line.c.invoice_id.in_(invoice_ids),
            line.c.kind == "plan",
            sa.not_(line.c.is_void),
            subscription.c.state.not_in(ENDED),
        )
        .order_by(line.c.invoice_id, line.c.position)
    )
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.invoice_id, []).append(row)
    return found


def _all(facts: Mapping[int, Sequence[AnyRow]]) -> list[AnyRow]:
    return [fact for own in facts.values() for fact in own]


def _cases(session: AnySession, invoice_ids: Sequence[int]) -> dict[int, AnyRow]:
    table = table_of(DunningCase)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.invoice_id,
            table.c.step,
            table.c.kind,
            table.c.policy,
            table.c.opened_at,
            table.c.next_at,
            table.c.next_action,
            table.c.resume_at,
        ).where(table.c.invoice_id.in_(invoice_ids))
    )
    return {row.invoice_id: row for row in rows}


def _note_backed(
    session: AnySession,
    rows: Sequence[AnyRow],
    answers: Mapping[str, ChargeAnswer],
    moment: Moment,
) -> None:
    """Write a refusal into the timelines; what it means the answer of the backup says."""
    facts = _facts(session, [row.invoice_id for row in rows])
    entries = []
    for row in rows:
        for fact in facts.get(row.invoice_id, ()):
            reason = answers[row.public_id].reason
            data = {"attempt": row.public_id, "reason": reason, "backup": True}
            kind = EventKind.PAYMENT_DECLINED
            entries.append(Entry(fact.id, fact.public_id, kind, data=data, ref=row.public_id))
    record(session, entries, moment)


def asked_lately(session: AnySession, invoice_ids: Sequence[int], moment: Moment) -> set[int]:
    """Return the invoices whose payer had a mail asking for the payment within the last day."""
    return _told(session, invoice_ids, moment.now - MAIL_EVERY)


def _told(session: AnySession, invoice_ids: Sequence[int], since: datetime) -> set[int]:
    """Return the invoices about which a mail asking for the payment was written after ``since``."""
    if not invoice_ids:
        return set()
    attempt, message = table_of(ChargeAttempt), table_of(OutboxMessage)
    keys = [sa.literal(f"mail:{topic}:").concat(attempt.c.public_id) for topic in _ASKING]
    rows = session.execute(
        sa.select(attempt.c.invoice_id)
        .join(message, message.c.key.in_(keys))
        .where(attempt.c.invoice_id.in_(invoice_ids), message.c.created_at > since)
    )
    return {row.invoice_id for row in rows}


def _policy(kept: Mapping[str, Any]) -> RetryPolicy:
    # Cases of before had no time of day.
    minute = kept.get("retry_minute", DEFAULT_POLICY.retry_minute)
    return RetryPolicy(tuple(kept["retry_days"]), kept["last_action"], minute)


def _kept(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "retry_days": list(policy.retry_after_days),
        "last_action": policy.last_action,
        "retry_minute": policy.retry_minute,
    }


def _write(
    session: AnySession, opened: list[dict[str, Any]], stepped: list[dict[str, Any]]
) -> None:
    table = table_of(DunningCase)
    if opened:
        session.execute(sa.insert(table), opened)
    if stepped:
        bind = sa.bindparam
        session.connection().execute(
            sa.update(table)
            .where(table.c.id == bind("key"))
            .values(
                step=bind("new_step"),
                kind=bind("new_kind"),
                state=bind("new_state"),
                next_at=bind("new_next_at", type_=table.c.next_at.type),
                next_action=bind("new_next_action"),
            ),
            stepped,
        )


def _past_due(
    session: AnySession,
    facts: Sequence[AnyRow],
    answers: Mapping[str, ChargeAnswer],
    rows: Sequence[AnyRow],
    moment: Moment,
) -> None:
    billable = [fact for fact in facts if SubscriptionState(fact.state) in BILLABLE]
    change_subscriptions(
        session,
        [
            SubscriptionChange(
                fact.id, fact.version, {"state": SubscriptionState.PAST_DUE, "renews_at": None}
            )
            for fact in billable
        ],
    )
    attempts = {row.invoice_id: row.public_id for row in rows}
    declined = EventKind.PAYMENT_DECLINED if answers else EventKind.PAYMENT_ACTION_REQUIRED
    entries = []
    for fact in facts:
        attempt = attempts[fact.invoice_id]
        reason = answers[attempt].reason if attempt in answers else ""
        data = {"attempt": attempt, "reason": reason}
        entries.append(Entry(fact.id, fact.public_id, declined, data=data, ref=attempt))
        if fact in billable:
            entries.append(
                Entry(fact.id, fact.public_id, EventKind.SUBSCRIPTION_PAST_DUE, ref=attempt)
            )
    record(session, entries, moment)


def _mail(topic: str, attempt: AnyRow, fact: AnyRow, more: dict[str, Any]) -> Message:
    return Message(
        "mail",
        topic,
        f"mail:{topic}:{attempt.public_id}",
        {"attempt": attempt.public_id, "subscription": fact.public_id} | more,
        fact.payer_id or fact.customer_id,
    )
