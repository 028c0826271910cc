"""Take messages of gateways and apply them; a message never says how things are.

Checked outside any transaction and stored before anything is done with it. What it is about is
then read at the gateway, so duplicates, old ones and any order lead to the same end.
Source: docs/decisions/0124-messages-from-gateways.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

import sqlalchemy as sa

from storefront import charges
from storefront.adapters.failpoints import failpoint
from storefront.card_breaks import CardBreak
from storefront.database import reading, retrying
from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState
from storefront.domain.gateways import (
    ChargeAnswer,
    EventAbout,
    Gateway,
    VaultedMethod,
    WebhookError,
)
from storefront.domain.mismatches import AMOUNT_MISMATCH
from storefront.domain.reconciliation import CHARGE_SHAPE
from storefront.domain.references import is_foreign
from storefront.models import Checkout, GatewaySetup
from storefront.models.base import table_of
from storefront.operations import audit, gateway_events
from storefront.operations.added_back import return_undisputed
from storefront.operations.audit import Who
from storefront.operations.disputes import disputed_attempt, record_disputes
from storefront.operations.keys import AnyRow
from storefront.operations.network_updates import keep_update
from storefront.operations.references import known_mark
from storefront.operations.refund_results import find_refund, record_refund, record_return
from storefront.operations.results import Result
from storefront.operations.subscriptions import decide_again
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Messages claimed in one transaction of the worker.
BATCH = 50


class Receipt(StrEnum):
    """What became of a message at the door."""

    STORED = "stored"
    REPEATED = "repeated"
    REFUSED = "refused"
    #: It could not be checked now; the gateway shall send it again.
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Received:
    """``event`` is the key of a stored message that the caller claimed and is to apply."""

    receipt: Receipt
    reason: str = ""
    event: int | None = None


@dataclass(frozen=True, slots=True)
class SetUp:
    """A set-up that a message says is over; what belongs to it is finished by its own use-case."""

    reference: str
    #: The order it belongs to; empty for a card added in the account.
    checkout: str
    customer_id: int | None


#: Finishes a set-up; False when the gateway did not answer. May raise ``CardBreak``.
FinishSetUp = Callable[[Runtime, SetUp], bool]


@dataclass(slots=True)
class EventReport:
    """Messages by what became of them."""

    applied: int = 0
    orphans: int = 0
    failed: int = 0
    waiting: int = 0


class _NotYet(Exception):
    """It cannot be applied now; ``args[0]`` says why, ``at`` when it can, if that is known."""

    def __init__(self, why: str, at: datetime | None = None) -> None:
        super().__init__(why)
        self.at = at


class _Foreign(Exception):
    """Another installation with the same account has made what it speaks of."""


class _Orphan(Exception):
    """What it speaks of is not ours; ``args[0]`` says what."""


def receive(
    rt: Runtime, name: str, headers: Mapping[str, str], raw: bytes, *, claims: bool
) -> Received:
    """Check a message and store it. Raises ``LookupError`` for a gateway there is not.

    ``claims``: the caller applies it right away (``apply_claimed``), unless it is about a
    set-up, which may charge and is left to the worker. Database errors are the caller's: the
    gateway has to send it again, for nothing is answered with success that is not stored.
    """
    gateway = rt.gateways[name]
    try:
        message = gateway.parse_webhook(headers, raw)
    except WebhookError as error:
        return _refuse(rt, gateway, str(error.args[0]) if error.args else "unreadable")
    except RecursionError:
        return _refuse(rt, gateway, "unreadable")
    if message.account and message.account != gateway.account:
        return _refuse(rt, gateway, "other_account")
    takes = claims and message.about is not EventAbout.SETUP and charges.is_unlocked(rt)

    def write() -> int | None:
        key = gateway_events.store(
            rt.session, name, gateway.account, message, rt.moment(), claim=takes
        )
        failpoint("webhook.before_commit")
        rt.session.commit()
        return key

    # Once: while the database is busy the gateway waits, and it has a time-out of its own.
    key = retrying(rt.session, write, attempts=1)
    failpoint("webhook.after_stored")
    if key is None:
        return Received(Receipt.REPEATED)
    return Received(Receipt.STORED, event=key if takes else None)


def _refuse(rt: Runtime, gateway: Gateway, reason: str) -> Received:
    if reason == "unreachable":
        return Received(Receipt.LATER, reason)

    def write() -> None:
        gateway_events.note_refused(rt.session, gateway.name, gateway.account, reason, rt.moment())
        rt.session.commit()

    try:
        retrying(rt.session, write, attempts=1)
    except sa.exc.DBAPIError:
        # It stays refused; only the count of such messages lacks one.
        log.exception("a refused message of %s was not counted", gateway.name)
    return Received(Receipt.REFUSED, reason)


def apply_claimed(rt: Runtime, event: int) -> None:
    """Apply a message that ``receive`` stored and claimed for this caller."""
    with reading():
        rows = gateway_events.read(rt.session, [event])
        rt.session.rollback()
    for row in rows:
        _work(rt, row, None, EventReport())


def apply_due(rt: Runtime, finish: FinishSetUp, limit: int = 1000) -> EventReport:
    """Apply what waits, oldest first; each at most once at a time, however many workers run.

    Nothing in a copied database: applying asks the gateway.
    """
    report = EventReport()
    if not charges.is_unlocked(rt):
        return report
    done = 0
    while done < limit:
        rows = retrying(rt.session, partial(_take, rt))
        if not rows:
            break
        for row in rows:
            _work(rt, row, finish, report)
        done += len(rows)
    return report


def try_again(rt: Runtime, who: Who, event: int) -> bool:
    """Have an orphan or failed message tried anew by the worker; False when it does not wait."""

    def write() -> bool:
        moment = rt.moment()
        found = gateway_events.again(rt.session, event, moment)
        if found:
            audit.write(
                rt.session, who.id, "gateway_event.again", str(event), {}, {}, moment, who.ip
            )
        rt.session.commit()
        return found

    return retrying(rt.session, write)


def _take(rt: Runtime) -> list[AnyRow]:
    rows = gateway_events.take(rt.session, rt.moment(), BATCH)
    rt.session.commit()
    return rows


def _work(rt: Runtime, row: AnyRow, finish: FinishSetUp | None, report: EventReport) -> None:
    """Apply one claimed message and note how it went; never raises for what is in it."""
    state, error, at = "applied", "", None
    try:
        _apply(rt, row, finish)
    except _Foreign:
        # Its own installation gets the same message; nobody here has to look at it.
        error = "other_installation"
    except _Orphan as orphan:
        state, error = "orphan", str(orphan)
    except _NotYet as later:
        state, error, at = "waiting", str(later), later.at
    except Exception as failure:
        log.exception("message %s of %s could not be applied", row.event_id, row.gateway)
        state, error = "waiting", type(failure).__name__
    rt.session.rollback()
    failpoint("webhook.after_applied")

    def note() -> str:
        moment, became = rt.moment(), state
        if state != "waiting":
            gateway_events.settle(rt.session, row, state, error, moment)
        elif not gateway_events.put_off(rt.session, row, error, moment, at):
            became = "failed"
        rt.session.commit()
        return became

    became = retrying(rt.session, note)
    counted = {"applied": "applied", "orphan": "orphans", "failed": "failed"}.get(became, "waiting")
    setattr(report, counted, getattr(report, counted) + 1)


def _apply(rt: Runtime, row: AnyRow, finish: FinishSetUp | None) -> None:
    gateway = rt.gateways.get(row.gateway)
    if gateway is None:
        raise _NotYet("gateway_missing")
    about = EventAbout(row.about)
    if about is EventAbout.CHARGE:
        _charge(rt, gateway, row)
    elif about is EventAbout.REFUND:
        _refund(rt, gateway, row)
    elif about is EventAbout.DISPUTE:
        _dispute(rt, gateway, row)
    elif about is EventAbout.SETUP:
        _set_up(rt, row, finish)
    elif about is EventAbout.METHOD:
        _method(rt, gateway, row)


def _unknown(rt: Runtime, row: AnyRow, what: str) -> Exception:
    """Return what to raise when nothing of ours is meant, or not yet."""
    if _is_foreign(rt, row):
        return _Foreign()
    if not row.reference and row.tries <= gateway_events.TRIES_UNNAMED:
        return _NotYet(f"unknown_{what}")
    return _Orphan(f"unknown_{what}")


def _is_foreign(rt: Runtime, row: AnyRow) -> bool:
    """True of what another installation with the same gateway account has made."""
    with reading():
        mark = known_mark(rt.session)
        rt.session.rollback()
    return is_foreign(row.reference, mark)


def _attempt(rt: Runtime, gateway: Gateway, row: AnyRow) -> AnyRow | None:
    with reading():
        found = gateway_events.find_attempt(
            rt.session, gateway.name, row.reference, row.gateway_reference
        )
        rt.session.rollback()
    if found is not None and found.account != gateway.account:
        raise _Orphan("other_account")
    return found


def _charge(rt: Runtime, gateway: Gateway, row: AnyRow) -> None:
    found = _attempt(rt, gateway, row)
    if found is None:
        _stranger(rt, gateway, row)
        raise _unknown(rt, row, "charge")
    _settle_charge(rt, gateway, row, found)


def _settle_charge(rt: Runtime, gateway: Gateway, row: AnyRow, found: AnyRow) -> None:
    """Record what the gateway knows of a charge; paid leaves only by refund or dispute."""
    state = AttemptState(found.state)
    if state is AttemptState.SUCCEEDED:
        return
    if state is AttemptState.PLANNED:
        raise _Orphan("not_sent")
    at_gateway = found.gateway_reference
    if not at_gateway and row.about == EventAbout.CHARGE:
        at_gateway = row.gateway_reference
    answer = charges.read_charge(gateway, found, at_gateway)
    if answer is None or answer.status is AnswerStatus.UNKNOWN:
        raise _NotYet("no_answer")
    if state in ANSWERABLE:
        recorded = charges.record(rt, [Result(found.public_id, answer)])
        now = _attempt(rt, gateway, row) if recorded.parked else None
        if now is not None and now.reason != AMOUNT_MISMATCH:
            # It did not go in, and is open still; what waits for a person is done here.
            raise _NotYet("not_recorded")
    elif answer.status is AnswerStatus.SUCCEEDED:
        # We took it for refused or given up: no rule decides about such money.
        _differs(rt, row, "state", found.public_id, answer)


def _stranger(rt: Runtime, gateway: Gateway, row: AnyRow) -> None:
    """A charge that looks like ours and that no attempt knows is a difference of the books."""
    if not row.reference.startswith(CHARGE_SHAPE) or _is_foreign(rt, row):
        return
    answer = gateway.lookup(row.reference, row.gateway_reference)
    if answer is not None and answer.status is AnswerStatus.SUCCEEDED:
        _differs(rt, row, "missing_here", row.reference, answer)


def _differs(rt: Runtime, row: AnyRow, kind: str, reference: str, answer: ChargeAnswer) -> None:
    if answer.amount is None:
        return
    minor, currency = answer.amount.minor, answer.amount.currency

    def write() -> None:
        gateway_events.note_difference(
            rt.session, row, kind, reference, minor, currency, rt.moment()
        )
        rt.session.commit()

    retrying(rt.session, write)


def _refund(rt: Runtime, gateway: Gateway, row: AnyRow) -> None:
    with reading():
        found = find_refund(rt.session, row.reference, row.gateway_reference, gateway.name)
        rt.session.rollback()
    if found is None:
        raise _unknown(rt, row, "refund")
    if found.account != gateway.account:
        raise _Orphan("other_account")
    at_gateway = found.gateway_reference or row.gateway_reference
    answer = gateway.lookup_refund(found.public_id, at_gateway, found.charge_at_gateway)
    if answer is None or answer.status is AnswerStatus.UNKNOWN:
        raise _NotYet("no_answer")
    came_back = found.state == AttemptState.SUCCEEDED and answer.status is AnswerStatus.DECLINED
    write = record_return if came_back else record_refund

    def work() -> None:
        write(rt.session, found, answer, rt.moment())
        rt.session.commit()

    retrying(rt.session, work)


def _dispute(rt: Runtime, gateway: Gateway, row: AnyRow) -> None:
    """Write every dispute of the charge, after the charge itself: messages overtake each other."""
    found = _attempt(rt, gateway, row)
    if found is None:
        raise _unknown(rt, row, "dispute")
    _settle_charge(rt, gateway, row, found)
    with reading():
        at_gateway = rt.session.scalar(
            sa.text("SELECT gateway_reference FROM charge_attempt WHERE id = :id"),
            {"id": found.id},
        )
        rt.session.rollback()
    disputes = gateway.disputes(found.public_id, at_gateway or "")
    if not disputes:
        raise _NotYet("no_dispute")

    def work() -> None:
        attempt = disputed_attempt(rt.session, found.public_id)
        assert attempt is not None  # nothing deletes a charge
        moment = rt.moment()
        record_disputes(rt.session, attempt, disputes, moment)
        return_undisputed(rt.session, attempt.invoice_id, moment)
        failpoint("dispute.before_commit")
        rt.session.commit()

    decide_again(rt.session, work, sa.exc.IntegrityError)


def _set_up(rt: Runtime, row: AnyRow, finish: FinishSetUp | None) -> None:
    table, checkout = table_of(GatewaySetup), table_of(Checkout)
    named = table.c.public_id == row.reference
    if not row.reference:
        theirs = table.c.gateway_reference == row.gateway_reference
        # To the letter as in the index of set-ups by their gateways' names.
        named = sa.and_(theirs, sa.text("gateway_setup.gateway_reference <> ''"))
    with reading():
        found = rt.session.execute(
            sa.select(
                table.c.public_id,
                table.c.state,
                table.c.customer_id,
                checkout.c.public_id.label("checkout"),
            )
            .outerjoin(checkout, checkout.c.id == table.c.checkout_id)
            .where(named, table.c.gateway == row.gateway)
            .limit(1)
        ).one_or_none()
        rt.session.rollback()
    if found is None:
        raise _unknown(rt, row, "setup")
    if AttemptState(found.state) not in ANSWERABLE:
        return
    if finish is None:
        raise _NotYet("left_to_worker")
    try:
        is_done = finish(rt, SetUp(found.public_id, found.checkout or "", found.customer_id))
    except CardBreak as stopped:
        raise _NotYet(stopped.code, stopped.params["until"]) from None
    if not is_done:
        raise _NotYet("no_answer")


def _method(rt: Runtime, gateway: Gateway, row: AnyRow) -> None:
    """Keep what the networks changed on a card; ask for another one when it is gone."""
    with reading():
        known = gateway_events.find_methods(
            rt.session, gateway.name, gateway.account, row.gateway_reference
        )
        rt.session.rollback()
    for one in known:
        now = gateway.read_method(one.token, one.gateway_customer)
        retrying(rt.session, partial(_keep_method, rt, one.id, now))


def _keep_method(rt: Runtime, key: int, now: VaultedMethod | None) -> None:
    keep_update(rt.session, key, now, rt.moment())
    rt.session.commit()
