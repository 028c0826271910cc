"""Kill workers with SIGKILL, at random and at every named point, and count what was charged.

    python3 dev.py rig kill --kills 300 --workers 2 --database postgresql

Workers renew a few hundred subscriptions month after month against a bank in a process and a
database of its own. After the last kill they run to the end undisturbed; then shop and bank
are compared. ``--what refunds``, ``webhooks`` or ``checkout`` kills there instead, at each named
point in turn; ``--what boxes`` while a cycle is locked and exported. Described in ``docs/rigs.md``.
"""

import argparse
import json
import logging
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from flask import Flask
from sqlalchemy.orm import Session, scoped_session

from storefront import charges
from storefront.adapters import failpoints
from storefront.database import reading
from storefront.domain.charging import AnswerStatus, DeclineKind
from storefront.domain.gateways import ChargeAnswer
from storefront.extensions import db
from storefront.jobs.work import LOOK_UPS, REFUNDS, Job, run_job
from storefront.operations.keys import AnySession
from storefront.operations.results import NEVER_ARRIVED
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.cycles import plan_ahead
from storefront.services.renewals import run_renewals
from tests.rigs._children import Children, orphaned
from tests.rigs._packing import run_packing
from tests.rigs._packing import table as packing_table
from tests.rigs._progress import State, asked_about, next_check, next_renewal, state_of
from tests.rigs._shop import clock_of, make_app, open_shop, rig_folder
from tests.rigs._steps import run_steps
from tests.rigs._steps import table as steps_table
from tests.rigs._stories import STORIES
from tests.rigs._verdict import judge
from tests.rigs._witness import ask_witness, start_witness

#: Seconds a dead worker's claims are kept from the others.
LEASE = 1
#: Small, so that a kill always finds some done, some under way and some not begun.
SETTINGS = {"lease_seconds": LEASE, "batch_size": 7, "in_flight": 4}
CLAIMED_AT_ONCE = 20
#: Subscribers by demo card; every charge of 0408 is executed and its answer lost.
CARDS = {"4242": 100, "0408": 25}
#: Without look-ups those would be charged for ever.
NAIVE_CARDS = {"4242": 125}
#: Every point that a renewal, its look-up and its refund pass.
RENEWAL_POINTS = frozenset(name for name in failpoints.KNOWN if name.startswith("renewal."))
POINTS = (
    *sorted(RENEWAL_POINTS),
    "settle.after_lookup",
    "refund.after_sent",
    "refund.after_answer",
)
#: Points that a run passes many times: the visit that kills is drawn up to this.
_VISITS = {
    "renewal.before_planned_commit": 3,
    "renewal.before_sent_commit": 4,
    "renewal.after_sent": 4,
    "renewal.after_answer": 6,
    "settle.after_lookup": 3,
}
#: Seconds: the longest life before a random kill, and the patience with an armed worker.
_LIFE, _PATIENCE = 0.3, 3.0
#: Seconds without anything due before the clock is moved.
_QUIET = 0.08
#: Seconds that the undisturbed end may take.
_END = 120.0
_TICK = 0.004
_RANDOM = "at random"
_COUNTED = (
    "months", "renewals", "skipped", "charges", "doubles", "boxes", "cancelled", "refunded",
)  # fmt: skip
#: Share of lives that shall end at a named point; some find nothing there to do.
_AIMED = 0.7


@dataclass
class Outcome:
    """What a run did, for the table and for the test."""

    database: str
    workers: int
    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    months: int = 0
    cancelled: int = 0
    renewals: int = 0
    skipped: int = 0
    charges: int = 0
    doubles: int = 0
    refunded: int = 0
    boxes: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass
class _Life:
    """One worker: the point it is to die at, or the moment at which it is killed."""

    point: str
    until: float
    is_killed: bool = False


class KillRig:
    """Keeps ``workers`` alive, kills them, and moves the clock when nothing is left to do."""

    def __init__(self, app: Flask, children: Children, outcome: Outcome, errors: Path) -> None:
        self._app, self._children, self._outcome = app, children, outcome
        self._errors = errors
        self._rt: Runtime = app.extensions["storefront"]
        self._random = random.Random(outcome.seed)
        self._lives: dict[int, _Life] = {}
        self._kills: Counter[str] = Counter()
        self._points: list[str] = []
        self._quiet_since = time.monotonic()
        self._looked_at = 0.0

    def disturb(self, kills: int) -> None:
        """Kill ``kills`` times, about every second time at a named point.

        Goes on, to twice as many at most, while a point of a renewal was never hit.
        """
        while self._kills.total() < kills or self._misses_a_point(2 * kills):
            while len(self._lives) < self._outcome.workers:
                self._start()
            self._end_lives()
            self._count_deaths()
            self._drive_clock()
            time.sleep(_TICK)
        self._outcome.kills = dict(self._kills)
        # The workers of the end are new ones that nobody kills.
        for pid in list(self._lives):
            self._children.kill(pid)
        while self._lives:
            self._forget_dead()

    def _misses_a_point(self, most: int) -> bool:
        return self._kills.total() < most and not self._kills.keys() >= RENEWAL_POINTS

    def finish(self) -> None:
        """Let undisturbed workers do everything that is left, then ask them to end."""
        deadline = time.monotonic() + _END
        for _ in range(self._outcome.workers):
            self._fork("", deadline)
        while not self._state().is_settled:
            if time.monotonic() > deadline:
                self._outcome.faults.append(f"not settled after {_END:.0f} s: {self._state()}")
                break
            if self._children.reap():
                self._outcome.faults.append("an undisturbed worker ended")
                break
            self._drive_clock(next_month=False)
            time.sleep(_TICK)
        exits = self._children.stop(set(self._lives))
        if any(exits):
            self._outcome.faults.append(f"workers did not end well: {exits}")
        self._lives.clear()

    def _start(self) -> None:
        """Fork a worker that dies at the next point, or one that is killed at random."""
        point = self._next_point() if self._random.random() < _AIMED else ""
        now = time.monotonic()
        life = self._random.uniform(0.01, _LIFE)
        self._fork(point, now + (_PATIENCE if point else life))

    def _fork(self, point: str, until: float) -> None:
        visit = self._random.randint(1, _VISITS.get(point, 1))
        spec = f"{point}:kill@{visit}" if point else ""
        self._let_go()
        pid = self._children.fork(lambda: _work(self._app, spec, self._errors))
        self._lives[pid] = _Life(point, until)

    def _next_point(self) -> str:
        """Return the next point that can be reached now, in turn; empty if none can."""
        if not self._points:
            self._points = self._random.sample(POINTS, len(POINTS))
        state = self._state()
        for point in self._points:
            if self._can_reach(point, state):
                self._points.remove(point)
                return point
        return ""

    def _can_reach(self, point: str, state: State) -> bool:
        if point.startswith("refund."):
            # A cancellation while the bank is being asked makes what it executes surplus.
            return bool(state.refunds) or (bool(state.asked) and self._cancel_one())
        return bool(state.asked) or point.startswith("renewal.")

    def _end_lives(self) -> None:
        now = time.monotonic()
        for pid, life in self._lives.items():
            if now >= life.until and not life.is_killed:
                life.is_killed = True
                self._children.kill(pid)

    def _count_deaths(self) -> None:
        for pid, code in self._children.reap():
            life = self._lives.pop(pid, None)
            if life is None:
                raise RuntimeError("the witness died")
            if code != signal.SIGKILL:
                self._outcome.faults.append(f"a worker ended by itself with {code}")
            self._kills[_RANDOM if life.is_killed or not life.point else life.point] += 1

    def _forget_dead(self) -> None:
        for pid, _ in self._children.reap():
            self._lives.pop(pid, None)
        time.sleep(_TICK)

    def _drive_clock(self, *, next_month: bool = True) -> None:
        """Move time on to whatever comes next once nothing has been due for a moment."""
        now = time.monotonic()
        if now - self._looked_at < _QUIET / 2:
            return
        self._looked_at = now
        state = self._state()
        if state.is_busy:
            self._quiet_since = now
        elif now - self._quiet_since >= _QUIET:
            self._quiet_since = now
            self._move_on(state, next_month)

    def _move_on(self, state: State, next_month: bool) -> None:
        if state.claimed:
            clock_of(self._rt).advance(timedelta(seconds=LEASE))
        elif state.asked or state.refunds:
            self._jump(next_check)
        elif next_month:
            self._begin_month()

    def _jump(self, moment_of: Callable[[AnySession], datetime | None]) -> None:
        clock = clock_of(self._rt)
        with self._looking() as session:
            moment = moment_of(session)
        if moment is not None:
            clock.move_to(max(moment, clock.now()) + timedelta(seconds=1))

    def _begin_month(self) -> None:
        self._jump(next_renewal)
        with self._app.app_context():
            plan_ahead(self._rt)
        self._outcome.months += 1

    def _state(self) -> State:
        with self._looking() as session:
            return state_of(session, self._rt.now(), LEASE)

    def _cancel_one(self) -> bool:
        """Cancel a subscription that the bank is being asked about; False if there is none."""
        with self._looking() as session:
            found = asked_about(session)
        if found is None:
            return False
        with self._app.app_context():
            cancel(self._rt, *found)
        self._outcome.cancelled += 1
        return True

    @contextmanager
    def _looking(self) -> Iterator[scoped_session[Session]]:
        """Give a session that only reads, so that it holds up no worker."""
        with self._app.app_context(), reading():
            yield self._rt.session
            self._rt.session.remove()

    def _let_go(self) -> None:
        """Close every connection: a child must not inherit one."""
        with self._app.app_context():
            self._rt.session.remove()
            db.engine.dispose()


def _work(app: Flask, spec: str, errors: Path) -> None:
    """What a worker does: the jobs that charge, over and over, until it is told to stop."""
    stopping = False
    parent = os.getppid()

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    logging.basicConfig(filename=errors, level=logging.ERROR, force=True)
    failpoints.arm(spec)
    jobs = (LOOK_UPS, Job("renewals", lambda rt: run_renewals(rt, limit=CLAIMED_AT_ONCE)), REFUNDS)
    with app.app_context():
        rt: Runtime = app.extensions["storefront"]
        while not stopping and not orphaned(parent):
            for job in jobs:
                run_job(rt, job)
            time.sleep(_TICK)


def run(kills: int, workers: int, database: str, seed: int, *, naive: bool = False) -> Outcome:
    """Run the rig once; the faults of the outcome are what it found."""
    if naive:
        never_look_up()
    outcome = Outcome(database, workers, seed)
    children = Children()
    began = time.monotonic()
    with rig_folder(database) as (folder, url):
        try:
            witness_pid, address = start_witness(children, folder / "bank.db", url)
            app = make_app(folder, url, address, **SETTINGS)
            with app.app_context():
                open_shop(app.extensions["storefront"], NAIVE_CARDS if naive else CARDS)
            rig = KillRig(app, children, outcome, folder / "errors.log")
            rig.disturb(kills)
            rig.finish()
            with app.app_context():
                _tell(outcome, app.extensions["storefront"], address, folder / "errors.log")
                db.session.remove()
                db.engine.dispose()
            children.stop({witness_pid})
        finally:
            children.kill_all()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def never_look_up() -> None:
    """Make an engine that takes silence for a no and asks again under a new key."""
    never = ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.SOFT, reason=NEVER_ARRIVED)
    charges._look_up = lambda _rt, _row: never


def _tell(outcome: Outcome, rt: Runtime, address: str, errors: Path) -> None:
    found = judge(rt, ask_witness(address))
    outcome.renewals, outcome.skipped, outcome.boxes = found.renewals, found.skipped, found.boxes
    outcome.charges, outcome.refunded = found.charges, found.refunded
    outcome.doubles = found.doubles
    outcome.faults += found.faults
    logged = errors.read_text(encoding="utf-8") if errors.exists() else ""
    if logged:
        outcome.faults.append(f"workers logged errors:\n{logged[:4000]}")


def table(outcome: Outcome) -> str:
    """Return the outcome as lines to read."""
    who = f"{outcome.database}, {outcome.workers} worker(s), seed {outcome.seed}"
    lines = [f"{who}: {sum(outcome.kills.values())} kills in {outcome.seconds} s"]
    lines += [f"  {many:5}  {name}" for name, many in sorted(outcome.kills.items())]
    lines += [f"  {getattr(outcome, name):5}  {name}" for name in _COUNTED]
    lines += [f"  FAULT  {fault}" for fault in outcome.faults] or ["      0  faults"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py rig kill", description=__doc__.splitlines()[0])
    parser.add_argument("--what", choices=("renewals", "boxes", *STORIES), default="renewals")
    parser.add_argument("--boxes", type=int, default=5000, help="of a cycle, with --what boxes")
    parser.add_argument("--kills", type=int, default=300, help="at least so many")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, help="default: drawn, and printed")
    parser.add_argument(
        "--naive", action="store_true", help="an engine that guesses instead of looking up"
    )
    parser.add_argument("--report", type=Path, help="write the outcome there as JSON, too")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    if options.what == "renewals":
        outcome = run(options.kills, options.workers, options.database, seed, naive=options.naive)
        printed, found = table(outcome), asdict(outcome)
    elif options.what == "boxes":
        packed = run_packing(options.kills, options.boxes, options.workers, options.database, seed)
        printed, found = packing_table(packed), asdict(packed)
    else:
        steps = run_steps(options.what, options.kills, options.database, seed)
        printed, found = steps_table(steps), asdict(steps)
    print(printed, flush=True)
    if options.report:
        options.report.write_text(json.dumps(found), encoding="utf-8")
    return int(bool(found["faults"]))


if __name__ == "__main__":
    sys.exit(main())
