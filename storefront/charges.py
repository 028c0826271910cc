"""The only way to a gateway's charge call: ask for attempts that are marked sent, record answers.

Nothing here decides whether to charge; that is the guard in ``operations.charging``, which
marked the attempt sent and committed. How many fly at once is in ``sending``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import cache, partial

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.charging import (
    ANSWERABLE,
    AnswerStatus,
    AttemptState,
    DeclineKind,
    Refusal,
)
from storefront.domain.gateways import NOT_DONE, CancelAnswer, ChargeAnswer, Gateway
from storefront.models import ChargeAttempt, Installation, ParkedWork
from storefront.models.base import table_of
from storefront.operations.charging import needs_person, next_check, orders
from storefront.operations.gateway_states import is_closed
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, at_now
from storefront.operations.results import NEVER_ARRIVED, Recorded, Result
from storefront.runtime import Runtime
from storefront.sending import RECORD_EVERY, Sending, add, ask, gateway_of, halt, record

__all__ = [
    "LOOK_UPS_DUE",
    "Sending",
    "add",
    "ask",
    "cancel",
    "charge_now",
    "charge_orders",
    "halt",
    "is_unlocked",
    "live_accounts",
    "look_up",
    "look_up_open",
    "may_charge",
    "read_charge",
    "record",
    "send_planned",
    "shop_refusal",
]

log = logging.getLogger(__name__)


def live_accounts(rt: Runtime) -> dict[str, str]:
    """Return the gateways that move real money, by name with the account they charge for."""
    gateways = rt.gateways.items()
    return {name: each.account for name, each in gateways if each.capabilities.moves_money}


def is_unlocked(rt: Runtime) -> bool:
    """False when this database was confirmed for another site or other gateway accounts.

    Compares only where a gateway charges real money: a copy of a database, or a restored
    backup, must neither charge nor mail before an owner says that it is the real one.
    """
    live = live_accounts(rt)
    if not live:
        return True
    table = table_of(Installation)
    with reading():
        row = rt.session.execute(sa.select(table.c.site_url, table.c.accounts)).one_or_none()
        rt.session.rollback()
    return row is not None and row.site_url == rt.settings.base_url and row.accounts == live


def may_charge(rt: Runtime) -> bool:
    """True unless the merchant holds all charging or the live-lock does not match."""
    return shop_refusal(rt) is None


def shop_refusal(rt: Runtime) -> Refusal | None:
    """Return why the shop as a whole sends no charge, if so."""
    if rt.shop.charging_held_at is not None:
        return Refusal.HELD
    return None if is_unlocked(rt) else Refusal.LIVE_LOCK


def send_planned(rt: Runtime) -> Recorded:
    """Send planned attempts until none is left, and record every answer.

    Any number of workers may run this side by side.
    """
    if not may_charge(rt):
        return Recorded()
    with Sending(rt) as sending:
        sending.finish()
    return sending.recorded


def charge_now(rt: Runtime, attempt_ids: Sequence[int]) -> Recorded:
    """Ask the gateway for attempts the caller has marked sent and committed, and record.

    Opens no transaction while it asks. Used where a person waits.
    """
    with reading():
        rows = orders(rt.session, attempt_ids)
        rt.session.rollback()
    return charge_orders(rt, rows)


def charge_orders(rt: Runtime, rows: Sequence[AnyRow]) -> Recorded:
    """Ask for each row of ``operations.charging.orders`` and record what comes back."""
    with Sending(rt) as sending:
        sending.ask(rows)
        sending.settle()
    return sending.recorded


def look_up_open(rt: Runtime, *, limit: int = 100) -> Recorded:
    """Ask gateways about attempts whose answer is missing and whose check is due.

    Inside the key window a charge the gateway knows nothing of is asked again with the same
    key, if it is still owed; after the settle time "nothing" is evidence, the attempt ends
    as declined and the invoice is free for a new one.
    """
    total = Recorded()
    if not is_unlocked(rt):
        # A look may take what its customer approved, and the original looks itself.
        return total
    rows = retrying(rt.session, partial(_take_checks, rt, limit))
    results = []
    closed: set[tuple[str, str]] = set()
    for row in rows:
        account = (row.gateway, row.account)
        answer = None if account in closed else _look_up(rt, row)
        failpoint("settle.after_lookup")
        if answer is not None and _says_nothing(answer):
            closed.add(account)
            halt(rt, row, answer.reason, answer.retry_after)
        elif answer is not None:
            results.append(Result(row.public_id, answer))
    for start in range(0, len(results), RECORD_EVERY):
        add(total, record(rt, results[start : start + RECORD_EVERY]))
    return total


def _says_nothing(answer: ChargeAnswer) -> bool:
    """True of a look that got no further than our own key, or the way there."""
    return answer.status is AnswerStatus.UNKNOWN and answer.reason in NOT_DONE


def look_up(rt: Runtime, attempt_id: int) -> Recorded:
    """Ask the gateway about one open attempt now, and record; a person waits for it."""
    if not is_unlocked(rt):
        return Recorded()
    with reading():
        rows = _check_rows(rt, [attempt_id])
        rt.session.rollback()
    answers = [(row, _look_up(rt, row)) for row in rows]
    return record(rt, [Result(row.public_id, answer) for row, answer in answers if answer])


def cancel(rt: Runtime, row: AnyRow) -> CancelAnswer:
    """Have the gateway stop the charge ``row`` that waits for its customer; record a success.

    Unknown while the gateway says nothing or is not installed, and in a copied database: the
    original may still be waiting for that customer.
    """
    gateway = gateway_of(rt.gateways, row)
    if gateway is None or not is_unlocked(rt):
        return CancelAnswer.UNKNOWN
    try:
        answer = gateway.cancel(row.public_id, row.gateway_reference)
    except Exception:
        log.exception("gateway %s could not cancel %s", row.gateway, row.public_id)
        return CancelAnswer.UNKNOWN
    if answer is CancelAnswer.SUCCEEDED:
        look_up(rt, row.id)
    return answer


def read_charge(gateway: Gateway, row: AnyRow, at_gateway: str) -> ChargeAnswer | None:
    """Ask what became of the charge ``row``, whatever we took it for; None if that is not known.

    A look may take what its customer approved. Of a charge that was given up they were told that
    nothing is charged, so it is cancelled first.
    """
    given_up = AttemptState(row.state) not in ANSWERABLE and row.on_session
    if given_up and gateway.cancel(row.public_id, at_gateway) is CancelAnswer.UNKNOWN:
        return None
    return gateway.lookup(row.public_id, at_gateway)


def _take_checks(rt: Runtime, limit: int) -> list[AnyRow]:
    """Move the next check of due open attempts behind this look, so one worker looks."""
    moment, table = rt.moment(), table_of(ChargeAttempt)
    due = _due_checks()
    if rt.session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    rows = rt.session.execute(due, {"now": moment.now, "size": limit}).all()
    if rows:
        rt.session.connection().execute(
            sa.update(table)
            .where(table.c.id == sa.bindparam("key"))
            .values(
                checks=table.c.checks + 1,
                check_at=sa.bindparam("again", type_=table.c.check_at.type),
            ),
            [
                {"key": row.id, "again": next_check(moment.now, row.checks + 1, row.on_session)}
                for row in rows
            ],
        )
    tired = [row.id for row in rows if needs_person(row.checks + 1, row.on_session)]
    _tell_person(rt, tired, moment)
    found = _check_rows(rt, [row.id for row in rows])
    rt.session.commit()
    return found


@cache
def _due_checks() -> AnySelect:
    table = table_of(ChargeAttempt)
    return (
        sa.select(table.c.id, table.c.checks, table.c.on_session)
        .where(
            table.c.check_at.is_not(None),
            table.c.check_at <= sa.bindparam("now", type_=table.c.check_at.type),
            # What waits for a gateway that is stopped is due as soon as it is let go on.
            sa.not_(is_closed(table)),
        )
        .order_by(table.c.check_at, table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether charges are to be looked up.
LOOK_UPS_DUE = Question(lambda: [_due_checks()], at_now)


def _tell_person(rt: Runtime, ids: Sequence[int], moment: Moment) -> None:
    """Put charges without an answer for days before staff; looking goes on."""
    if ids:
        attempt, parked = table_of(ChargeAttempt), table_of(ParkedWork)
        subjects = rt.session.scalars(sa.select(attempt.c.public_id).where(attempt.c.id.in_(ids)))
        rows = [
            {
                "kind": "charge",
                "subject": subject,
                "reason": "no_answer",
                "detail": "The gateway has not said for days what became of this charge.",
                "parked_at": moment.now,
                "resolved_by": "",
            }
            for subject in subjects
        ]
        rt.session.execute(sa.insert(parked), rows)


def _check_rows(rt: Runtime, ids: Sequence[int]) -> list[AnyRow]:
    return orders(rt.session, ids) if ids else []


def _look_up(rt: Runtime, row: AnyRow) -> ChargeAnswer | None:
    """Return what to record, or None to look again later."""
    gateway = gateway_of(rt.gateways, row)
    # A look may take what its customer has approved: not for a charge that was given up.
    if gateway is None or AttemptState(row.state) not in ANSWERABLE:
        return None
    try:
        answer = gateway.lookup(row.public_id, row.gateway_reference)
    except Exception:
        log.exception("gateway %s could not look up %s", row.gateway, row.public_id)
        return None
    if answer is not None:
        same = answer.status.value == row.state
        return None if same and answer.status is not AnswerStatus.UNKNOWN else answer
    age = rt.now() - row.sent_at
    can = gateway.capabilities
    if age < timedelta(seconds=can.key_window_seconds) and row.is_owed:
        # Asking again may execute it: not while charging is held, nor from a copy.
        if not may_charge(rt) or not retrying(rt.session, partial(_note_repeat, rt, row)):
            return None
        return ask(rt, row)
    reach = timedelta(seconds=can.lookup_reach_seconds)
    if age < timedelta(seconds=can.lookup_settle_seconds) or (reach and age > reach):
        return None
    return ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.SOFT, reason=NEVER_ARRIVED)


def _note_repeat(rt: Runtime, row: AnyRow) -> bool:
    """Note that a charge is asked for once more; False if it was answered meanwhile.

    From here on a "not done" that comes to the first question late proves nothing any more: the
    attempt stays open until the answer to the second is known.
    """
    table = table_of(ChargeAttempt)
    found = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state.in_(ANSWERABLE))
        .values(checks=sa.case((table.c.checks == 0, 1), else_=table.c.checks))
        .returning(table.c.id)
    ).all()
    rt.session.commit()
    return bool(found)
