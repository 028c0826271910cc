"""Take the next step of every chase that is due: try again, or the last action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.dunning import WARN_DAYS
from storefront.domain.events import EventKind
from storefront.domain.gateways import CancelAnswer
from storefront.domain.invoices import CreditReason
from storefront.domain.lifecycle import ENDED, EndReason, SubscriptionState
from storefront.domain.metrics import MovementKind
from storefront.operations.credits import credit_invoices
from storefront.operations.dunning import MAIL_EVERY, asked_lately, end_of, ends_on
from storefront.operations.endings import Ending, end_subscriptions
from storefront.operations.held_back import tell_held_back
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.results import Recorded
from storefront.operations.retries import (
    abandon_actions,
    back_to_schedule,
    close_cases,
    due_cases,
    due_warnings,
    is_owed,
    on_same_invoice,
    overdue_actions,
    postpone,
    retry,
    set_warning,
)
from storefront.operations.sent_unpaid import end_unpaid
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, MrrChange, move, record
from storefront.runtime import Runtime

#: Cases stepped in one transaction.
BATCH = 100
#: While a charge is on its way, a case waits this long before it looks again.
LOOK_AGAIN = timedelta(hours=1)
#: A case without a usable card asks its customer this long before the last action.
ASK_DAYS = 7


@dataclass(slots=True)
class DunningReport:
    """Cases that were tried again, ended, or only waited."""

    retried: int = 0
    ended: int = 0
    waiting: int = 0
    warned: int = 0
    charges: Recorded = field(default_factory=Recorded)


def chase_due(rt: Runtime) -> DunningReport:
    """Step every due case, then send the attempts that were planned.

    A retry plans an attempt; the guard decides again before it is sent. The last action
    credits the unpaid invoice and ends the subscription in one transaction.
    """
    report = DunningReport()
    if not charges.may_charge(rt):
        return report
    _give_up_actions(rt)
    while retrying(rt.session, lambda: _warn(rt, report)):
        pass
    while retrying(rt.session, lambda: _step(rt, report)):
        pass
    charges.add(report.charges, charges.send_planned(rt))
    if report.charges.declined:
        # The last refusals of a run plan backups that nobody has sent yet.
        charges.add(report.charges, charges.send_planned(rt))
    retrying(rt.session, lambda: _tell_held_back(rt))
    return report


def _tell_held_back(rt: Runtime) -> None:
    """Tell who has just stored another card that it cannot be tried yet, and when it will be."""
    if tell_held_back(rt.session, rt.moment(), BATCH):
        rt.session.commit()
    else:
        rt.session.rollback()


def _warn(rt: Runtime, report: DunningReport) -> int:
    """Tell customers of the last action some days before it, within a day of no other mail."""
    moment = rt.moment()
    rows = due_warnings(rt.session, moment, BATCH)
    lately = asked_lately(rt.session, [row.invoice_id for row in rows], moment)
    mails = []
    for row in rows:
        ends = end_of(row, moment)
        if not is_owed(row) or ends <= moment.now:
            set_warning(rt.session, row.id, None)
        elif ends - timedelta(days=WARN_DAYS) > moment.now:
            set_warning(rt.session, row.id, ends - timedelta(days=WARN_DAYS))
        elif row.invoice_id in lately:
            set_warning(rt.session, row.id, moment.now + MAIL_EVERY)
        else:
            set_warning(rt.session, row.id, None)
            mails.append(_warning(row, moment.day_of(ends)))
    enqueue(rt.session, mails, moment.now)
    rt.session.commit()
    report.warned += len(mails)
    return len(rows)


def _warning(row: AnyRow, ends_on_day: date) -> Message:
    payload = {
        "attempt": row.attempt,
        "reason": row.reason,
        "on": ends_on_day.isoformat(),
        "action": row.policy["last_action"],
    }
    topic = "payment_last_warning"
    return Message("mail", topic, f"mail:{topic}:{row.attempt}", payload, row.payer_id)


def _give_up_actions(rt: Runtime) -> None:
    """Have gateways stop charges that their customers never confirmed.

    Only what a gateway says can never succeed any more is ended; one that succeeded at the
    last moment is recorded by its look-up.
    """
    with reading():
        rows = overdue_actions(rt.session, rt.moment(), BATCH)
        rt.session.rollback()
    stopped = [row.id for row in rows if charges.cancel(rt, row) is CancelAnswer.CANCELLED]
    if stopped:
        abandon_actions(rt.session, stopped, rt.moment())
        rt.session.commit()


def _step(rt: Runtime, report: DunningReport) -> int:
    moment = rt.moment()
    rows = due_cases(rt.session, moment, BATCH)
    waiting = [row for row in rows if row.is_open]
    rest = [row for row in rows if not row.is_open]
    over = [row for row in rest if not is_owed(row)]
    owed = [row for row in rest if is_owed(row)]
    wanted = [row for row in owed if row.next_action == "retry" or row.resume_at]
    tries = [row for row in wanted if row.method_id]
    back_to_schedule(rt.session, [row for row in wanted if not row.method_id])
    cardless = [row for row in wanted if not row.method_id and not row.resume_at]
    last = [row for row in owed if row.next_action == "last_action" and not row.resume_at]
    close_cases(rt.session, [row.id for row in over], "closed", moment)
    postpone(rt.session, [row.id for row in waiting], moment.now + LOOK_AGAIN)
    for until, ids in _asked_until(cardless, moment).items():
        postpone(rt.session, ids, until, "last_action")
    retry(rt.session, tries, rt.minimums, moment)
    flying = _last_action(rt, last, moment)
    postpone(rt.session, flying, moment.now + LOOK_AGAIN)
    rt.session.commit()
    report.retried += len(tries)
    report.ended += len(last) - len(flying)
    report.waiting += len(waiting) + len(cardless) + len(flying)
    return len(rows)


def _asked_until(rows: Sequence[AnyRow], moment: Moment) -> dict[datetime, list[int]]:
    """Return the cases without a usable card by the time until which another is asked for.

    Never before the schedule would have ended.
    """
    soonest = moment.today + timedelta(days=ASK_DAYS)
    found: dict[datetime, list[int]] = {}
    for row in rows:
        until = moment.start_of(max(soonest, ends_on(row, moment)))
        found.setdefault(until, []).append(row.id)
    return found


def _last_action(rt: Runtime, rows: Sequence[AnyRow], moment: Moment) -> list[int]:
    """Cancel, pause, or leave the invoice open, as the plan's policy was when it began.

    Who is cancelled still owes what was sent; a pause forgives it, so that coming back costs
    nothing of the past (docs/decisions/0172-the-last-step-and-what-was-sent.md).
    Returns the cases left alone because a charge went off since they were read: the
    customer pays this very moment, and that answer comes first.
    """
    # Before the credit: it makes the lines void that say who is on the invoice.
    everybody = on_same_invoice(rt.session, [row.invoice_id for row in rows])
    running = [row for row in everybody if SubscriptionState(row.state) not in ENDED]
    actions = {row.invoice_id: row.policy["last_action"] for row in rows}
    stop = [row for row in running if actions[row.invoice_id] != "leave"]
    ending = [row for row in stop if actions[row.invoice_id] == "cancel"]
    stays, waiting = end_unpaid(rt.session, ending, moment, rt.minimums)
    owing = list(dict.fromkeys(row.invoice_id for row in stop))
    owing = [key for key in owing if key not in stays and key not in waiting]
    credited = credit_invoices(rt.session, owing, CreditReason.CANCELLATION, moment)
    waiting = waiting.union(credited.waiting)
    flying = [row.id for row in rows if row.invoice_id in waiting]
    stop = [row for row in stop if row.invoice_id not in waiting]
    close_cases(rt.session, [row.id for row in rows if row.id not in flying], "lost", moment)
    end_subscriptions(
        rt.session,
        [
            # What the chase came to is one mail, of its own.
            Ending(row.subscription_id, row.version, EndReason.UNPAID, tells_customer=False)
            for row in stop
            if actions[row.invoice_id] == "cancel"
        ],
        moment,
    )
    _pause(rt, [row for row in stop if actions[row.invoice_id] == "pause"], moment)
    over = [row for row in rows if row.id not in flying]
    enqueue(rt.session, [_outcome(row, everybody, stays) for row in over], moment.now)
    return flying


def _outcome(row: AnyRow, everybody: Sequence[AnyRow], stays: Mapping[int, int]) -> Message:
    own = [one.public_id for one in everybody if one.invoice_id == row.invoice_id]
    payload = {
        "invoice": row.invoice_ref,
        "subscriptions": own,
        "action": row.policy["last_action"],
        "minor": row.due_minor,
        "stays_minor": stays.get(row.invoice_id, 0),
        "currency": row.currency,
    }
    topic = "payment_given_up"
    return Message("mail", topic, f"mail:{topic}:{row.invoice_ref}", payload, row.payer_id)


def _pause(rt: Runtime, rows: Sequence[AnyRow], moment: Moment) -> None:
    """Pause until the customer comes back; what is paused has no monthly value."""
    values = {"state": SubscriptionState.PAUSED, "renews_at": None, "mrr_minor": 0}
    change_subscriptions(
        rt.session, [SubscriptionChange(row.subscription_id, row.version, values) for row in rows]
    )
    kind = EventKind.SUBSCRIPTION_PAUSED
    entries = [
        Entry(row.subscription_id, row.public_id, kind, data={"until": None}) for row in rows
    ]
    record(rt.session, entries, moment)
    move(rt.session, [_contraction(row, moment) for row in rows if row.mrr_minor])


def _contraction(row: AnyRow, moment: Moment) -> MrrChange:
    return MrrChange(
        row.subscription_id,
        MovementKind.CONTRACTION,
        -row.mrr_minor,
        row.currency,
        row.plan_id,
        row.source,
        row.cohort,
        "pause",
        moment.today,
    )
