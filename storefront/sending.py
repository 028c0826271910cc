"""Keep charges in flight: mark planned ones sent, ask, write the answers down.

Nothing here decides whether to charge; that is the guard in ``operations.charging``, which
marks an attempt sent before anybody asks. No transaction is open while a gateway is waited
for, and one thread alone talks to the database.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from typing import Self

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.charging import AnswerStatus, DeclineKind, Refusal
from storefront.domain.descriptors import descriptor
from storefront.domain.gateways import (
    CLOSED_REASONS,
    NOT_DONE,
    NOT_SENT,
    ChargeAnswer,
    ChargeOrder,
    Gateway,
)
from storefront.domain.money import Money
from storefront.operations.charging import is_any_planned, refuse_planned, take_planned
from storefront.operations.dunning import chase_declined
from storefront.operations.gateway_states import slow_down, stop, stopped_accounts
from storefront.operations.keys import AnyRow
from storefront.operations.notices import announce
from storefront.operations.results import Recorded, Result, record_results
from storefront.operations.secrets import ATTEMPT, return_token
from storefront.runtime import Runtime
from storefront.settings import Settings

log = logging.getLogger(__name__)

#: Answers are written down in one transaction per this many, or after a second.
RECORD_EVERY = 100
RECORD_SECONDS = 1.0
#: An answer that takes longer than this makes the next ones fly side by side.
INSTANT_SECONDS = 0.02
#: An order that waited longer for a thread is not asked: long before a look-up that finds
#: nothing could free its invoice for another charge. The look-up decides about it.
LONGEST_WAIT_SECONDS = 30.0
#: A gateway for which we are too fast, or does not listen, is left alone for this long at least,
#: and never longer than this whatever it asks for, in seconds.
SLOW_SECONDS, LONGEST_PAUSE_SECONDS = 10.0, 3600.0


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


class Sending:
    """Charges in flight, and the answers that are not written down yet.

    A gateway that answers at once is asked in this thread; as soon as one takes its time,
    threads keep as many in flight as it may have, while this thread opens periods or writes
    answers. The first of several shows it, asked in a thread to hold up no other. What
    landed is replaced before anything is written. Half as many again as may fly are sent and
    wait for a thread, so that no place stays free while this one writes.
    """

    def __init__(self, rt: Runtime) -> None:
        self.recorded = Recorded()
        self._rt = rt
        self._bound = _in_flight(rt)
        #: How many are sent beyond the bound and wait for a thread.
        self._spare = self._bound // 2
        #: Whether answers come at once; None where the next of several is to show it.
        self._is_instant: bool | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._flying: dict[Future[ChargeAnswer], AnyRow] = {}
        self._waiting: list[Result] = []
        self._since = time.monotonic()
        #: (gateway, account) to which this run sends nothing more; read by the threads.
        self._closed: set[tuple[str, str]] = set()
        self._has_asked = False
        #: Whether the last look found that nothing at all is planned.
        self._is_through = False
        #: Planned and not taken yet, as far as this worker knows.
        self._stock = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def planned(self, count: int) -> None:
        """``count`` more attempts were planned: send what there is room for; waits for none."""
        self._stock += count
        self._land(timeout=0)
        self._fill()
        self._write_if_due()

    def wait_for_room(self) -> None:
        """Wait until fewer are planned than may be in flight, so that more can be opened."""
        while self._stock >= self._bound and self._flying:
            self._land_some()
            self._fill()
            self._write_if_due()

    def finish(self) -> None:
        """Send everything planned, by whomever, wait for the answers and write them down."""
        while self._send() or self._flying:
            self._write_if_due()
            self._land_some()
        self._write()
        if self._is_through:
            return
        retrying(self._rt.session, partial(_refuse, self._rt))
        if self._rt.notices:
            retrying(self._rt.session, partial(_announce, self._rt))

    def ask(self, rows: Sequence[AnyRow]) -> None:
        """Ask for ``rows``, which are sent; answers that come at once are kept, others fly."""
        if rows and not self._has_asked:
            self._has_asked, self._closed = True, _stopped(self._rt)
        for row in rows:
            # Here, not in the thread that asks: the shop's settings are this one's to read.
            order = _order(self._rt, row)
            is_alone = self._bound == 1 or (self._is_instant is None and len(rows) == 1)
            if self._is_instant or is_alone:
                self._ask_here(row, order)
                continue
            self._fly(row, order)
            if self._is_instant is None:
                self._land(timeout=INSTANT_SECONDS)
                self._is_instant = not self._flying

    def _ask_here(self, row: AnyRow, order: ChargeOrder) -> None:
        start = time.monotonic()
        self._keep(row, _ask(self._rt.gateways, self._rt.settings, row, order, self._closed))
        if time.monotonic() - start >= INSTANT_SECONDS:
            # A slow gateway or a busy machine: the next of several shows it.
            self._is_instant = None

    def _fly(self, row: AnyRow, order: ChargeOrder) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=self._bound)
        rt, queued = self._rt, time.monotonic()
        waits = (rt.gateways, rt.settings, row, order, self._closed, queued)
        self._flying[self._pool.submit(_ask_in_time, *waits)] = row

    def settle(self) -> None:
        """Wait for what is in flight and write it down."""
        self._land(timeout=None, least=len(self._flying))
        self._write()

    @property
    def _room(self) -> int:
        return self._bound + self._spare - len(self._flying)

    def _fill(self) -> None:
        """Send until nothing is known to be planned or there is no room.

        Where answers come at once only as many as there is room for: a smaller slice keeps no
        gateway busier, and each has its commit. ``finish`` sends the rest.
        """
        while self._room and self._stock >= (self._room if self._is_instant else 1):
            taken = self._send()
            # Another worker may have sent some of ours, and we some of another's.
            self._stock = self._stock - taken if taken else 0

    def _send(self) -> int:
        """Send one slice, as much as there is room for; returns how many."""
        found = retrying(self._rt.session, partial(_take, self._rt, self._room))
        taken = found or []
        self._is_through = found is None
        if taken:
            failpoint("renewal.after_sent")
        self.ask(taken)
        return len(taken)

    def _land_some(self) -> None:
        """Wait until half the spare ones may fly; a slice of one is not worth its commit."""
        self._land(timeout=None, least=min(len(self._flying), self._spare // 2))

    def _land(self, timeout: float | None, least: int = 0) -> None:
        """Keep the answers that are there; with no ``timeout``, ``least`` at the least."""
        landed = 0
        while self._flying:
            done, _ = wait(self._flying, timeout, return_when=FIRST_COMPLETED)
            for future in done:
                self._keep(self._flying.pop(future), future.result())
            landed += len(done)
            if not done or landed >= least:
                break

    def _keep(self, row: AnyRow, answer: ChargeAnswer) -> None:
        failpoint("renewal.after_answer")
        self._waiting.append(Result(row.public_id, answer, is_first=True))
        if answer.status is AnswerStatus.UNKNOWN and answer.reason in NOT_DONE:
            self._halt(row, answer)

    def _halt(self, row: AnyRow, answer: ChargeAnswer) -> None:
        """Send nothing more to this account in this run, nor in any before its time."""
        account = (row.gateway, row.account)
        if account not in self._closed:
            self._closed.add(account)
            said = (answer.reason, answer.retry_after)
            retrying(self._rt.session, partial(halt, self._rt, row, *said))

    def _write_if_due(self) -> None:
        late = time.monotonic() - self._since >= RECORD_SECONDS
        if len(self._waiting) >= RECORD_EVERY or (late and self._waiting):
            self._write(1 if late else RECORD_EVERY)

    def _write(self, least: int = 1) -> None:
        """Write answers down, no more than ``RECORD_EVERY`` at once, while ``least`` wait."""
        while len(self._waiting) >= least:
            some, self._waiting = self._waiting[:RECORD_EVERY], self._waiting[RECORD_EVERY:]
            add(self.recorded, record(self._rt, some))
        self._since = time.monotonic()


def record(rt: Runtime, results: Sequence[Result]) -> Recorded:
    """Write ``results`` down in one transaction; halves them when one row will not go in.

    A row that fails alone keeps its attempt open, so its look-up comes again; it is logged
    and no other answer is lost with it.
    """
    if not results:
        return Recorded()

    def work() -> Recorded:
        recorded = record_results(rt.session, results, rt.moment(), rt.minimums)
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


def ask(rt: Runtime, row: AnyRow) -> ChargeAnswer:
    """Ask one charge. Whatever goes wrong on the way is *unknown*, never *no*."""
    return _ask(rt.gateways, rt.settings, row, _order(rt, row))


def _ask_in_time(
    gateways: Mapping[str, Gateway],
    settings: Settings,
    row: AnyRow,
    order: ChargeOrder,
    closed: Collection[tuple[str, str]],
    queued: float,
) -> ChargeAnswer:
    """Ask one charge unless it waited too long; ``queued`` is a reading of ``monotonic``."""
    if time.monotonic() - queued > LONGEST_WAIT_SECONDS:
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason="waited_too_long")
    return _ask(gateways, settings, row, order, closed)


def _ask(
    gateways: Mapping[str, Gateway],
    settings: Settings,
    row: AnyRow,
    order: ChargeOrder,
    closed: Collection[tuple[str, str]] = (),
) -> ChargeAnswer:
    gateway = gateway_of(gateways, row)
    if gateway is None:
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason="gateway_missing")
    if (row.gateway, row.account) in closed:
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason=NOT_SENT)
    configured = settings.charges_per_second or None
    own = gateway.capabilities.per_second
    _pace.wait(f"{gateway.name}:{gateway.account}", min(filter(None, (configured, own)), default=0))
    try:
        return gateway.charge(order)
    except Exception as error:
        log.exception("gateway %s did not answer for %s", row.gateway, row.public_id)
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason=type(error).__name__)


def _order(rt: Runtime, row: AnyRow) -> ChargeOrder:
    """Return what the gateway is asked for a row of ``operations.charging.orders``."""
    gateway = rt.gateways.get(row.gateway)
    room = gateway.capabilities.descriptor_length if gateway is not None else 0
    return ChargeOrder(
        reference=row.public_id,
        amount=Money(row.amount_minor, row.currency),
        token=row.token,
        on_session=row.on_session,
        return_url=_return_url(rt, row),
        description=row.invoice_ref,
        invoice=row.invoice_ref,
        gateway_customer=row.gateway_customer,
        agreement=row.agreement,
        descriptor=descriptor(rt.shop.name, room, is_after_trial=row.is_after_trial),
        notified_at=row.notified_at,
    )


def _return_url(rt: Runtime, row: AnyRow) -> str:
    """Return where the customer comes back to after their bank's page."""
    if not row.on_session:
        return ""
    root = f"{rt.settings.base_url}{rt.settings.url_prefix}"
    if row.checkout_ref:
        return f"{root}/checkout/{row.checkout_ref}/finish"
    # Whoever pays from a mail's link is not signed in; the page sends on who is.
    return f"{root}/pay/back/{return_token(rt.settings.secret_key, ATTEMPT, row.public_id)}"


def halt(rt: Runtime, row: AnyRow, reason: str, retry_after: float | None = None) -> None:
    """Write down that nothing is to be sent to the account of ``row`` for now, and why.

    Until a person looked, if our key was refused or the connection was not the gateway's; else
    for as long as it asked for, and a little longer, by chance, so that workers do not all come
    back at once.
    """
    if reason in CLOSED_REASONS:
        stop(rt.session, row.gateway, row.account, reason, rt.moment())
        log.error("nothing is sent to gateway %s any more: %s", row.gateway, reason)
    else:
        pause = max(retry_after or 0.0, SLOW_SECONDS)
        pause = min(pause, LONGEST_PAUSE_SECONDS) * (1 + random.random() / 2)  # noqa: S311
        slow_down(rt.session, row.gateway, row.account, rt.now() + timedelta(seconds=pause))
    rt.session.commit()


def _stopped(rt: Runtime) -> set[tuple[str, str]]:
    with reading():
        found = stopped_accounts(rt.session)
        rt.session.rollback()
    return found


def gateway_of(gateways: Mapping[str, Gateway], row: AnyRow) -> Gateway | None:
    """Return the gateway of ``row`` if it still charges for the same account."""
    gateway = gateways.get(row.gateway)
    return gateway if gateway is not None and gateway.account == row.account else None


def add(total: Recorded, more: Recorded) -> None:
    """Add the counts of ``more`` to ``total``."""
    for name in Recorded.__dataclass_fields__:
        setattr(total, name, getattr(total, name) + getattr(more, name))


def _take(rt: Runtime, room: int) -> list[AnyRow] | None:
    """Mark what may go as sent and return it; None where nothing at all is planned."""
    if room == 0:
        return []
    if not is_any_planned(rt.session):
        rt.session.rollback()
        return None
    taken = take_planned(rt.session, rt.moment(), room, tuple(sorted(rt.notices)))
    if taken:
        failpoint("renewal.before_sent_commit")
    rt.session.commit()
    return taken


def _refuse(rt: Runtime) -> None:
    """Abandon what can never be sent; an owed invoice without a usable card is chased."""
    moment = rt.moment()
    left = refuse_planned(rt.session, moment)
    chase_declined(rt.session, left, {row.public_id: _why(row) for row in left}, moment)
    rt.session.commit()


def _announce(rt: Runtime) -> None:
    """Have customers told of the debits that may not be asked for before they know."""
    announce(rt.session, tuple(sorted(rt.notices)), rt.moment())
    rt.session.commit()


def _why(row: AnyRow) -> ChargeAnswer:
    """Return the refusal of a charge as if a bank had said it."""
    if row.why == Refusal.OVER_LIMIT:
        return ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.ASK, reason=row.why)
    return ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.HARD, reason="no_usable_card")


def _in_flight(rt: Runtime) -> int:
    bounds = [gateway.capabilities.max_in_flight for gateway in rt.gateways.values()]
    return max(1, min([rt.settings.in_flight, max(bounds, default=1)]))
