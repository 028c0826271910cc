"""The jobs, in the order in which a day needs them, and how each run is noted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from storefront import charges
from storefront.database import is_postgresql, retrying
from storefront.jobs.selfcheck import check_nightly
from storefront.jobs.setups import finish_set_up
from storefront.mails import compose
from storefront.models import JobRun
from storefront.models.base import table_of
from storefront.operations.charging import PLANNED_LEFT
from storefront.operations.cycles import LOCKS_DUE, PLANNING_DUE
from storefront.operations.exports_due import EXPORTS_DUE
from storefront.operations.gateway_events import EVENTS_DUE
from storefront.operations.papers import PAPERS_DUE
from storefront.operations.parcel_events import PARCEL_EVENTS_DUE
from storefront.operations.provider_parcels import PARCELS_DUE
from storefront.operations.questions import Question
from storefront.operations.referrals import REFERRALS_DUE
from storefront.operations.renewals import RENEWALS_DUE
from storefront.operations.retries import CHASES_DUE
from storefront.operations.ship_day_news import NEWS_DUE
from storefront.operations.waiting import WAITING_DUE
from storefront.paper_words import draw
from storefront.runtime import Runtime
from storefront.services.bank import remind_overdue
from storefront.services.box_notices import tell_of_boxes, tell_ship_days
from storefront.services.card_ends import tell_card_ends
from storefront.services.changes_lapsed import CHANGES_OVER, expire_changes
from storefront.services.choice_reminders import remind_to_choose
from storefront.services.continuing import run_continuing
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.declarations import remind_of_refunds
from storefront.services.dunning import chase_due
from storefront.services.earning import earn_due_days
from storefront.services.endings import ENDINGS_DUE, end_passed_over
from storefront.services.erasure import finish_erasures
from storefront.services.finishing import ORDERS_OVER, expire_checkouts
from storefront.services.fulfilment import export_all, exportable_cycles
from storefront.services.gifts import run_gifts
from storefront.services.method_changes import forget_methods
from storefront.services.old_messages import delete_old_messages, delete_old_tries
from storefront.services.outbox import MESSAGES_DUE, deliver_due
from storefront.services.papers import make_papers
from storefront.services.parcel_messages import apply_due as apply_parcel_messages
from storefront.services.parcel_messages import delete_old as delete_parcel_messages
from storefront.services.price_notices import PRICE_CHANGES_UNDER_WAY, tell_due
from storefront.services.reconciliation import compare_due
from storefront.services.referrals import grant_referrals
from storefront.services.refund_returns import look_again
from storefront.services.refunds import REFUNDS_TO_SEND, send_refunds
from storefront.services.reminders import remind
from storefront.services.renewals import run_renewals
from storefront.services.retention import blank_old
from storefront.services.seals import seal_days
from storefront.services.shipping_providers import run_providers
from storefront.services.tax_ids import TAX_IDS_DUE, look_up_pending
from storefront.services.waiting import invite_waiting
from storefront.services.webhooks import apply_due

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A named piece of work; running it again right away does nothing new.

    One of its ``questions`` says yes whenever it has something to do, but for what only a new
    day brings; without any it runs at every tick.
    """

    name: str
    run: Callable[[Runtime], Any]
    questions: tuple[Question, ...] = ()


def _export(rt: Runtime) -> dict[str, int]:
    return {"batches": sum(len(export_all(rt, cycle)) for cycle in exportable_cycles(rt))}


def _expire(rt: Runtime) -> dict[str, int]:
    return {
        "expired": expire_checkouts(rt),
        "changes_given_up": expire_changes(rt),
        "ended": end_passed_over(rt),
    }


def _make_papers(rt: Runtime) -> Any:
    return make_papers(rt, draw)


def _deliver(rt: Runtime) -> Any:
    return deliver_due(rt, partial(compose, rt))


def _apply_messages(rt: Runtime) -> Any:
    return apply_due(rt, finish_set_up)


def _delete_old(rt: Runtime) -> dict[str, int]:
    deleted = {**delete_old_messages(rt), **delete_old_tries(rt)}
    return {**deleted, "parcels": delete_parcel_messages(rt)}


def _tidy_files(rt: Runtime) -> dict[str, int]:
    swept = rt.files.remove_half_written()
    return {"expired": swept.removed, "failed": swept.failed}


PLAN_CYCLES = Job("plan_cycles", plan_ahead, (PLANNING_DUE,))
LOOK_UPS = Job("look_ups", charges.look_up_open, (charges.LOOK_UPS_DUE,))
EXPIRE = Job("expire_checkouts", _expire, (ORDERS_OVER, CHANGES_OVER, ENDINGS_DUE))
TAX_IDS = Job("tax_ids", look_up_pending, (TAX_IDS_DUE,))
RENEWALS = Job("renewals", run_renewals, (RENEWALS_DUE, PLANNED_LEFT))
DUNNING = Job("dunning", chase_due, (CHASES_DUE, PLANNED_LEFT))
REMINDERS = Job("reminders", remind)
CARD_ENDS = Job("card_ends", tell_card_ends)
CHOICE_REMINDERS = Job("choice_reminders", remind_to_choose)
BOX_NOTICES = Job("box_notices", tell_of_boxes)
SHIP_DAYS = Job("ship_days", tell_ship_days, (NEWS_DUE,))
FORGET_METHODS = Job("forget_methods", forget_methods)
OLD_MESSAGES = Job("old_messages", _delete_old)
TIDY_FILES = Job("tidy_files", _tidy_files)
TRANSFERS = Job("transfers", remind_overdue)
WITHDRAWALS = Job("withdrawals", remind_of_refunds)
PRICE_CHANGES = Job("price_changes", tell_due, (PRICE_CHANGES_UNDER_WAY,))
REFERRALS = Job("referrals", grant_referrals, (REFERRALS_DUE,))
REFUNDS = Job("refunds", send_refunds, (REFUNDS_TO_SEND,))
GATEWAY_EVENTS = Job("gateway_events", _apply_messages, (EVENTS_DUE,))
REFUND_RETURNS = Job("refund_returns", look_again)
GIFTS = Job("gifts", run_gifts)
CONTINUING = Job("continuing", run_continuing)
WAITING = Job("waiting", invite_waiting, (WAITING_DUE,))
CLOSE_CYCLES = Job("close_cycles", close_cycles, (LOCKS_DUE,))
EXPORT = Job("export", _export, (EXPORTS_DUE,))
PAPERS = Job("papers", _make_papers, (PAPERS_DUE,))
PARCEL_EVENTS = Job("parcel_events", apply_parcel_messages, (PARCEL_EVENTS_DUE,))
PROVIDERS = Job("shipping_providers", run_providers, (PARCELS_DUE,))
OUTBOX = Job("outbox", _deliver, (MESSAGES_DUE,))
ERASURES = Job("erasures", finish_erasures)
RETENTION = Job("retention", blank_old)
EARN = Job("earn_days", earn_due_days)
SEAL = Job("seal_ledger", seal_days)
SELF_CHECK = Job("self_check", check_nightly)
COMPARISON = Job("comparison", compare_due)

#: What is unknown is settled before anything new is charged; mail goes last.
JOBS = (
    PLAN_CYCLES,
    GATEWAY_EVENTS,
    LOOK_UPS,
    EXPIRE,
    TAX_IDS,
    PRICE_CHANGES,
    CONTINUING,
    RENEWALS,
    DUNNING,
    REMINDERS,
    CARD_ENDS,
    CHOICE_REMINDERS,
    BOX_NOTICES,
    SHIP_DAYS,
    TRANSFERS,
    WITHDRAWALS,
    REFUNDS,
    REFUND_RETURNS,
    FORGET_METHODS,
    OLD_MESSAGES,
    TIDY_FILES,
    REFERRALS,
    GIFTS,
    WAITING,
    CLOSE_CYCLES,
    EXPORT,
    PARCEL_EVENTS,
    PROVIDERS,
    OUTBOX,
    PAPERS,
    ERASURES,
    RETENTION,
    EARN,
    SEAL,
    COMPARISON,
    SELF_CHECK,
)


def run_job(rt: Runtime, job: Job) -> bool:
    """Run ``job`` and note how it went; a failure is logged and noted, never raised.

    Returns True when it went well. The other jobs of a tick go on either way.
    """
    rt.forget_shop()
    started = rt.now()
    error, report = "", None
    try:
        report = job.run(rt)
    except Exception as failure:
        log.exception("job %s failed", job.name)
        error = f"{type(failure).__name__}: {failure}"
    finally:
        rt.session.rollback()
    values = {
        "started_at": started,
        "finished_at": rt.now(),
        "report": _plain(report),
        "error": error[:2000],
    }
    retrying(rt.session, partial(_note, rt, [job.name], values))
    return not error


def note_idle(rt: Runtime, jobs: Sequence[Job]) -> None:
    """Note that ``jobs`` had nothing to do now, in one transaction for all."""
    now = rt.now()
    values = {"started_at": now, "finished_at": now, "report": {}, "error": ""}
    retrying(rt.session, partial(_note, rt, [job.name for job in jobs], values))


def run_all(rt: Runtime) -> bool:
    """Run every job once, in order; True when all went well."""
    went_well = [run_job(rt, job) for job in JOBS]
    return all(went_well)


def _note(rt: Runtime, names: Sequence[str], values: Mapping[str, Any]) -> None:
    noting = _noting(is_postgresql(rt.session))
    # In one order, so that two workers do not wait for each other.
    rt.session.execute(noting, [{"job": name, **values} for name in sorted(names)])
    rt.session.commit()


@cache
def _noting(on_postgresql: bool) -> Any:
    """Return what writes the last run of a job in the place of the one before it."""
    dialect: Any = postgresql if on_postgresql else sqlite
    insert = dialect.insert(table_of(JobRun))
    new = {name: insert.excluded[name] for name in ("started_at", "finished_at", "report", "error")}
    return insert.on_conflict_do_update(index_elements=["job"], set_=new)


def _plain(report: Any) -> dict[str, Any]:
    """Return the counts of a report; a job that counts nothing has none."""
    if is_dataclass(report) and not isinstance(report, type):
        # Not ``asdict``: it makes a Counter of a Counter's pairs, which no JSON can hold.
        report = {each.name: getattr(report, each.name) for each in fields(report)}
    if not isinstance(report, Mapping):
        return {}
    return {key: _value(value) for key, value in report.items() if _is_count(value)}


def _value(value: Any) -> Any:
    return value if isinstance(value, (int, str)) else _plain(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, str, Mapping)) or is_dataclass(value)
