"""The only way to a gateway's charge call: ask for attempts that are marked sent, record answers.

Nothing here decides whether to charge; that is the guard in ``operations.charging``, which
marked the attempt sent and committed. No transaction is open while a gateway thinks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from typing import Self

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.charging import AnswerStatus, DeclineKind
from storefront.domain.gateways import ChargeAnswer, ChargeOrder, Gateway
from storefront.domain.money import Money
from storefront.models import ChargeAttempt, Installation, ParkedWork
from storefront.models.base import table_of
from storefront.operations.charging import (
    needs_person,
    next_check,
    orders,
    refuse_planned,
    take_planned,
)
from storefront.operations.dunning import chase_declined
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.results import NEVER_ARRIVED, Recorded, Result, record_results
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Answers are written down in one transaction per this many, or after a second.
RECORD_EVERY = 100
RECORD_SECONDS = 1.0
#: An answer that takes longer than this makes the next ones fly side by side.
INSTANT_SECONDS = 0.005


class _Pace:
    """A token bucket per gateway account: never more than ``per_second`` calls start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def wait(self, account: str, per_second: float | None) -> None:
        if not per_second:
            return
        with self._lock:
            now = time.monotonic()
            start = max(self._next.get(account, now), now)
            self._next[account] = start + 1 / per_second
        time.sleep(max(0.0, start - time.monotonic()))


_pace = _Pace()


def live_accounts(rt: Runtime) -> dict[str, str]:
    """Return the gateways that move real money, by name with the account they charge for."""
    return {name: gateway.account for name, gateway in rt.gateways.items() if name != "demo"}


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
    return rt.shop.charging_held_at is None and is_unlocked(rt)


def send_planned(
    rt: Runtime,
    *,
    limit: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Recorded:
    """Send planned attempts slice by slice until none is left, and record every answer.

    A slice is what may be in flight at once, so only that is ever ``sent`` without answer.
    Any number of workers may run this side by side.
    """
    total = Recorded()
    if not may_charge(rt):
        return total
    with _Answers(rt) as answers:
        done = 0
        while limit is None or done < limit:
            taken = retrying(rt.session, partial(_take, rt, answers.room))
            if taken:
                failpoint("renewal.after_sent")
            answers.ask(taken)
            done += len(taken)
            if taken and on_progress is not None:
                on_progress(len(taken))
            if not taken and answers.is_idle:
                break
            answers.collect()
        answers.finish()
    add(total, answers.recorded)
    if limit is None:
        retrying(rt.session, partial(_refuse, rt))
    return total


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
    with _Answers(rt) as answers:
        answers.ask(rows)
        answers.finish()
    return answers.recorded


class _Answers:
    """Keeps charges in flight and writes their answers down in bulk.

    A gateway that answers at once is asked in this thread; as soon as one takes its time,
    threads keep as many in flight as it may have. While answers are written the others are
    on their way. Written once there are ``RECORD_EVERY`` or a second has passed, whichever
    is first.
    """

    def __init__(self, rt: Runtime) -> None:
        self.recorded = Recorded()
        self._rt = rt
        self._bound = _in_flight(rt)
        self._is_instant = True
        self._pool: ThreadPoolExecutor | None = None
        self._flying: dict[Future[ChargeAnswer], AnyRow] = {}
        self._waiting: list[Result] = []
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    @property
    def room(self) -> int:
        """How many more charges may be in flight."""
        return self._bound - len(self._flying)

    @property
    def is_idle(self) -> bool:
        return not self._flying

    def ask(self, rows: Sequence[AnyRow]) -> None:
        """Ask for ``rows``; answers that come at once are kept, the others fly."""
        gateways = self._rt.gateways
        for row in rows:
            if self._is_instant or self._bound == 1:
                start = time.monotonic()
                self._keep(row, _ask(gateways, self._rt, row))
                self._is_instant = time.monotonic() - start < INSTANT_SECONDS
                continue
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=self._bound)
            self._flying[self._pool.submit(_ask, gateways, self._rt, row)] = row

    def collect(self) -> None:
        """Wait until half of what may fly has landed; a slice of one is not worth its commit."""
        while self._flying:
            done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
            for future in done:
                self._keep(self._flying.pop(future), future.result())
            if 2 * self.room >= self._bound:
                break
        late = time.monotonic() - self._since >= RECORD_SECONDS
        if len(self._waiting) >= RECORD_EVERY or (late and self._waiting):
            self._write()

    def finish(self) -> None:
        """Wait for everything and write it down."""
        while self._flying:
            self.collect()
        self._write()

    def _keep(self, row: AnyRow, answer: ChargeAnswer) -> None:
        failpoint("renewal.after_answer")
        self._waiting.append(Result(row.public_id, answer))

    def _write(self) -> None:
        add(self.recorded, record(self._rt, self._waiting))
        self._waiting, self._since = [], time.monotonic()


def record(rt: Runtime, results: Sequence[Result]) -> Recorded:
    """Write ``results`` down in one transaction; halves them when one row will not go in.

    A row that fails alone keeps its attempt open, so its look-up comes again; it is logged
    and no other answer is lost with it.
    """
    if not results:
        return Recorded()

    def work() -> Recorded:
        recorded = record_results(rt.session, results, rt.moment())
        failpoint("renewal.before_record_commit")
        rt.session.commit()
        failpoint("renewal.after_record")
        return recorded

    try:
        return retrying(rt.session, work)
    except (sa.exc.SQLAlchemyError, RuntimeError):
        rt.session.rollback()
        if len(results) == 1:
            log.exception("the answer to %s could not be recorded", results[0].reference)
            return Recorded(parked=1)
        middle = len(results) // 2
        total = record(rt, results[:middle])
        add(total, record(rt, results[middle:]))
        return total


def look_up_open(rt: Runtime, *, limit: int = 100) -> Recorded:
    """Ask gateways about attempts whose answer is missing and whose check is due.

    Inside the key window a charge the gateway knows nothing of is asked again with the same
    key, if it is still owed; after the settle time "nothing" is evidence, the attempt ends
    as declined and the invoice is free for a new one.
    """
    total = Recorded()
    rows = retrying(rt.session, partial(_take_checks, rt, limit))
    results = []
    for row in rows:
        answer = _look_up(rt, row)
        failpoint("settle.after_lookup")
        if answer is not None:
            results.append(Result(row.public_id, answer))
    for start in range(0, len(results), RECORD_EVERY):
        add(total, record(rt, results[start : start + RECORD_EVERY]))
    return total


def look_up(rt: Runtime, attempt_id: int) -> Recorded:
    """Ask the gateway about one open attempt now, and record; a person waits for it."""
    with reading():
        rows = _check_rows(rt, [attempt_id])
        rt.session.rollback()
    answers = [(row, _look_up(rt, row)) for row in rows]
    return record(rt, [Result(row.public_id, answer) for row, answer in answers if answer])


def _take(rt: Runtime, room: int) -> list[AnyRow]:
    if room == 0:
        return []
    taken = take_planned(rt.session, rt.moment(), room)
    if taken:
        failpoint("renewal.before_sent_commit")
    rt.session.commit()
    return taken


def _refuse(rt: Runtime) -> None:
    """Abandon what can never be sent; an owed invoice without a usable card is chased."""
    moment = rt.moment()
    cardless = refuse_planned(rt.session, moment)
    no_card = ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.HARD, reason="no_usable_card")
    chase_declined(rt.session, cardless, {row.public_id: no_card for row in cardless}, moment)
    rt.session.commit()


def _in_flight(rt: Runtime) -> int:
    bounds = [gateway.capabilities.max_in_flight for gateway in rt.gateways.values()]
    return max(1, min([rt.settings.in_flight, max(bounds, default=1)]))


def ask(rt: Runtime, row: AnyRow) -> ChargeAnswer:
    """Ask one charge. Whatever goes wrong on the way is *unknown*, never *no*."""
    return _ask(rt.gateways, rt, row)


def _ask(gateways: Mapping[str, Gateway], rt: Runtime, row: AnyRow) -> ChargeAnswer:
    gateway = _gateway(gateways, row)
    if gateway is None:
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason="gateway_missing")
    configured = rt.settings.charges_per_second or None
    own = gateway.capabilities.per_second
    _pace.wait(f"{gateway.name}:{gateway.account}", min(filter(None, (configured, own)), default=0))
    order = ChargeOrder(
        reference=row.public_id,
        amount=Money(row.amount_minor, row.currency),
        token=row.token,
        on_session=row.on_session,
        return_url=_return_url(rt, row),
        description=row.invoice_ref,
        invoice=row.invoice_ref,
    )
    try:
        return gateway.charge(order)
    except Exception as error:
        log.exception("gateway %s did not answer for %s", row.gateway, row.public_id)
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason=type(error).__name__)


def _return_url(rt: Runtime, row: AnyRow) -> str:
    """Return where the customer comes back to after their bank's page."""
    if not row.on_session:
        return ""
    root = f"{rt.settings.base_url}{rt.settings.url_prefix}"
    if row.checkout_ref:
        return f"{root}/checkout/{row.checkout_ref}/finish"
    return f"{root}/account/payment/back/{row.invoice_ref}"


def _gateway(gateways: Mapping[str, Gateway], row: AnyRow) -> Gateway | None:
    """Return the gateway of ``row`` if it still charges for the same account."""
    gateway = gateways.get(row.gateway)
    return gateway if gateway is not None and gateway.account == row.account else None


def _take_checks(rt: Runtime, limit: int) -> list[AnyRow]:
    """Move the next check of due open attempts behind this look, so one worker looks."""
    moment, table = rt.moment(), table_of(ChargeAttempt)
    due = (
        sa.select(table.c.id, table.c.checks, table.c.on_session)
        .where(table.c.check_at.is_not(None), table.c.check_at <= moment.now)
        .order_by(table.c.check_at, table.c.id)
        .limit(limit)
    )
    if rt.session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    rows = rt.session.execute(due).all()
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
    gateway = _gateway(rt.gateways, row)
    if gateway is None:
        return None
    try:
        answer = gateway.lookup(row.public_id)
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
        return ask(rt, row) if may_charge(rt) else None
    if age < timedelta(seconds=can.lookup_settle_seconds):
        return None
    return ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.SOFT, reason=NEVER_ARRIVED)


def add(total: Recorded, more: Recorded) -> None:
    """Add the counts of ``more`` to ``total``."""
    for name in Recorded.__dataclass_fields__:
        setattr(total, name, getattr(total, name) + getattr(more, name))
