"""Kill workers while a cycle of boxes is locked, its stock taken, and its file written.

Each round is a month: everybody is charged, the lock day passes, and workers that close and export
are killed, at the named points in turn and at random; what was short is received and leaves with a
second batch, under kills too. Then boxes, stock, batches and files are compared.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import FrameType

import sqlalchemy as sa
from flask import Flask

from storefront.adapters import failpoints
from storefront.database import reading
from storefront.domain.boxes import BoxState
from storefront.extensions import db
from storefront.jobs.work import CLOSE_CYCLES, EXPORT, RENEWALS, Job, run_job
from storefront.models import Box, BoxCycle, Plan
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.runtime import Runtime
from storefront.services.cycles import plan_ahead
from storefront.services.packing import Ingredient, retry_boxes, save_recipe
from storefront.services.stock import adjust_stock
from storefront.testing.factories import make_variant
from tests.rigs._children import Children, orphaned
from tests.rigs._packed import Packed, judge_parcels, left_to_export, left_to_lock
from tests.rigs._progress import next_renewal
from tests.rigs._shop import clock_of, make_app, open_shop, rig_folder
from tests.rigs._witness import ask_witness, start_witness

#: In the order in which a cycle passes them; where it closes any may come first.
CLOSING = ("close.before_commit", "close.after_slice")
EXPORTING = (
    "export.after_claim",
    "export.before_publish",
    "export.after_publish",
    "export.after_close",
)
POINTS = CLOSING + EXPORTING
#: While boxes are decided, the visit that kills is drawn up to this, one for every 1,000 boxes.
_VISITS = 4
#: Most strikes of a round: while boxes are decided, while they are exported, and for those late.
_WHILE_CLOSING, _WHILE_EXPORTING, _WHILE_LATE = 24, 12, 4
#: Every so many boxes one waits for a tea that is short until more of it came.
_SHORT_ONE_IN = 50
#: Rounds beyond those asked for, for points that were missed.
_MORE_ROUNDS = 3
#: Seconds: the longest life before a random kill, the patience with an armed worker, the longest
#: time that undisturbed workers take for what is left of a phase.
_LIFE, _PATIENCE, _END = 0.6, 20.0, 180.0
_TICK = 0.01
_RANDOM = "at random"


@dataclass
class PackOutcome:
    """What a run did, for the table and for the test."""

    database: str
    workers: int
    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    paid: int = 0
    exported: int = 0
    #: Boxes that waited for stock and left with a later batch.
    waited: int = 0
    batches: int = 0
    files: int = 0
    moves: int = 0
    #: Half-written files that the dead left in the folder; nobody reads them.
    partial: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class PackRig:
    """Plays months, strikes workers down and lets others finish what they left."""

    def __init__(
        self, app: Flask, children: Children, witness: int, outcome: PackOutcome, errors: Path
    ) -> None:
        self._app, self._children, self._outcome = app, children, outcome
        self._witness, self._errors = witness, errors
        self._rt: Runtime = app.extensions["storefront"]
        self._random = random.Random(outcome.seed)
        self._kills: Counter[str] = Counter()
        self._teas: list[str] = []
        self._boxes = 0

    def open(self, boxes: int) -> None:
        """Make the shop: two teas in every box, one of them short every month."""
        self._boxes = boxes
        open_shop(self._rt, {"4242": boxes})
        teas = [make_variant(self._rt, sku=sku, on_hand=0) for sku in ("ASSAM", "SENCHA")]
        self._teas = [tea.public_id for tea in teas]
        plan = self._rt.session.scalars(sa.select(Plan.public_id)).one()
        self._rt.session.rollback()
        save_recipe(self._rt, plan, None, "", [Ingredient(tea, 1) for tea in self._teas])

    def play(self, kills: int) -> None:
        """Play months until workers died ``kills`` times, and once at each named point."""
        most = kills // (_WHILE_CLOSING + _WHILE_EXPORTING) + 1 + _MORE_ROUNDS
        while self._outcome.rounds < most and self._is_wanting(kills):
            self._outcome.rounds += 1
            self._month(kills - self._kills.total())
        self._outcome.kills = dict(self._kills)
        missed = sorted(set(POINTS) - self._kills.keys())
        if missed:
            self._outcome.faults.append(f"points that were never hit: {', '.join(missed)}")

    def _is_wanting(self, kills: int) -> bool:
        return self._kills.total() < kills or not self._kills.keys() >= set(POINTS)

    def _month(self, left: int) -> None:
        cycle, lock_on = self._charge()
        short = max(1, self._boxes // _SHORT_ONE_IN)
        self._receive(self._boxes, self._boxes - short)
        moment = self._rt.moment().start_of(lock_on + timedelta(days=1))
        clock_of(self._rt).move_to(moment + timedelta(hours=3))
        closing = self._random.sample(CLOSING, len(CLOSING))
        closing += [""] * self._share(left, _WHILE_CLOSING, len(CLOSING))
        self._phase((CLOSE_CYCLES,), closing, partial(left_to_lock, cycle=cycle))
        jobs = (CLOSE_CYCLES, EXPORT)
        self._phase(jobs, self._exporting(left), partial(left_to_export, cycle=cycle))
        self._compare_who_waits(cycle, short)
        self._send_late(cycle, short, [""] * self._share(left, _WHILE_LATE, 0))

    def _exporting(self, left: int) -> list[str]:
        """Return the strikes of an export: its points in order, then random ones between them.

        Nothing random while a point was never hit, for that may end the export before it.
        """
        if not self._kills.keys() >= set(EXPORTING):
            return list(EXPORTING)
        spread = [(float(place), point) for place, point in enumerate(EXPORTING)]
        many = self._share(left, _WHILE_EXPORTING, len(EXPORTING))
        spread += [(self._random.uniform(-1, len(EXPORTING)), "") for _ in range(many)]
        return [point for _, point in sorted(spread)]

    def _compare_who_waits(self, cycle: int, short: int) -> None:
        """Who paid first is served first: the last boxes wait, whoever died meanwhile."""
        box = table_of(Box)
        with self._looking() as session:
            rows = session.execute(
                sa.select(box.c.id, box.c.state).where(box.c.cycle_id == cycle).order_by(box.c.id)
            ).all()
        waits = [place for place, row in enumerate(rows) if row.state is BoxState.HELD]
        if waits != list(range(len(rows) - short, len(rows))):
            self._outcome.faults.append(
                f"{len(waits)} boxes waited for a tea, not the last {short} of {len(rows)}: "
                f"numbers {waits[:3]} ... {waits[-3:]}"
            )

    def _share(self, left: int, most: int, named: int) -> int:
        """Return how many random strikes a phase has when ``left`` are wanted in all."""
        whole = _WHILE_CLOSING + _WHILE_EXPORTING + _WHILE_LATE
        return max(0, round(most * min(left, whole) / whole) - named)

    def _charge(self) -> tuple[int, date]:
        """Let everybody pay for the next month; returns its cycle and that cycle's lock day."""
        with self._looking() as session:
            due = next_renewal(session)
        assert due is not None
        clock_of(self._rt).move_to(max(due, self._rt.now()) + timedelta(hours=3))
        plan_ahead(self._rt)
        if not run_job(self._rt, RENEWALS):
            raise RuntimeError("the renewals did not go well")
        cycle = table_of(BoxCycle)
        with self._looking() as session:
            found = session.execute(
                sa.select(cycle.c.id, cycle.c.lock_on)
                .where(cycle.c.lock_on >= self._rt.today())
                .order_by(cycle.c.lock_on)
                .limit(1)
            ).one()
        return found.id, found.lock_on

    def _receive(self, *pieces: int) -> None:
        for tea, many in zip(self._teas, pieces, strict=True):
            if many:
                adjust_stock(self._rt, tea, "receipt", many, "delivery")

    def _send_late(self, cycle: int, short: int, strikes: list[str]) -> None:
        """Receive what was short, decide again who waited, and export them the next day."""
        self._receive(0, short)
        ref = self._rt.session.get_one(BoxCycle, cycle).public_id
        self._rt.session.rollback()
        again = retry_boxes(self._rt, ref)
        self._outcome.waited += again.locked
        if (again.locked, again.held.total()) != (short, 0):
            self._outcome.faults.append(f"{short} boxes waited for stock, then: {again}")
        clock_of(self._rt).advance(timedelta(days=1))
        jobs = (CLOSE_CYCLES, EXPORT)
        self._phase(jobs, strikes, partial(left_to_export, cycle=cycle))

    def _phase(
        self, jobs: tuple[Job, ...], strikes: list[str], left: Callable[[AnySession], int]
    ) -> None:
        """Strike once for each of ``strikes`` while something is left; then let others finish."""
        for point in strikes:
            if not self._is_left(left):
                return
            self._strike(jobs, point, left)
        if self._is_left(left):
            self._finish(jobs, left)

    def _strike(self, jobs: tuple[Job, ...], point: str, left: Callable[[AnySession], int]) -> None:
        """Let workers begin; kill all of them when the first dies at ``point``, or at random."""
        many = min(_VISITS, 1 + self._boxes // 1000) if point in CLOSING else 1
        visit = self._random.randint(1, many)
        spec = f"{point}:kill@{visit}" if point else ""
        self._let_go()
        alive = {self._fork(jobs, spec if number == 0 else "") for number in range(self._workers)}
        began = time.monotonic()
        life = _PATIENCE if point else self._random.uniform(0.02, _LIFE)
        looked = began
        while time.monotonic() < began + life:
            died = self._reap(alive)
            if died:
                self._kills[point or _RANDOM] += 1
                break
            if point and time.monotonic() > looked + 0.5:
                # Somebody else has done it all, or the visit never comes.
                looked = time.monotonic()
                if not self._is_left(left):
                    break
            time.sleep(_TICK)
        for pid in alive:
            self._children.kill(pid)
        while alive:
            self._kills[_RANDOM] += self._reap(alive)
            time.sleep(_TICK)

    @property
    def _workers(self) -> int:
        return self._outcome.workers

    def _reap(self, alive: set[int]) -> int:
        """Forget those of ``alive`` that ended; returns how many a SIGKILL ended."""
        killed = 0
        for pid, code in self._children.reap():
            if pid == self._witness:
                raise RuntimeError("the witness died")
            alive.discard(pid)
            if code != signal.SIGKILL:
                self._outcome.faults.append(f"a worker ended by itself with {code}")
            else:
                killed += 1
        return killed

    def _finish(self, jobs: tuple[Job, ...], left: Callable[[AnySession], int]) -> None:
        self._let_go()
        pids = {self._fork(jobs, "") for _ in range(self._workers)}
        deadline = time.monotonic() + _END
        while self._is_left(left):
            if time.monotonic() > deadline or self._children.reap():
                self._outcome.faults.append("undisturbed workers did not do what was left")
                break
            time.sleep(10 * _TICK)
        exits = self._children.stop(pids)
        if any(exits):
            self._outcome.faults.append(f"workers did not end well: {exits}")

    def _fork(self, jobs: tuple[Job, ...], spec: str) -> int:
        return self._children.fork(lambda: _work(self._app, jobs, spec, self._errors))

    def _is_left(self, left: Callable[[AnySession], int]) -> bool:
        with self._looking() as session:
            return bool(left(session))

    @contextmanager
    def _looking(self) -> Iterator[AnySession]:
        """Give a session that only reads, so that it holds up no worker."""
        with reading():
            yield self._rt.session
            self._rt.session.remove()

    def _let_go(self) -> None:
        """Close every connection: a child must not inherit one."""
        self._rt.session.remove()
        db.engine.dispose()


def _work(app: Flask, jobs: tuple[Job, ...], spec: str, errors: Path) -> None:
    """What a worker does: ``jobs``, over and over, until it is told to stop."""
    stopping = False
    parent = os.getppid()

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    logging.basicConfig(filename=errors, level=logging.ERROR, force=True)
    failpoints.arm(spec)
    with app.app_context():
        rt: Runtime = app.extensions["storefront"]
        while not stopping and not orphaned(parent):
            for job in jobs:
                run_job(rt, job)
            time.sleep(_TICK)


def run_packing(kills: int, boxes: int, workers: int, database: str, seed: int) -> PackOutcome:
    """Run the rig once; the faults of the outcome are what it found."""
    outcome, children = PackOutcome(database, workers, seed), Children()
    began = time.monotonic()
    with rig_folder(database) as (folder, url):
        try:
            witness, address = start_witness(children, folder / "bank.db", url)
            app = make_app(folder, url, address)
            errors = folder / "errors.log"
            with app.app_context():
                rig = PackRig(app, children, witness, outcome, errors)
                rig.open(boxes)
                rig.play(kills)
                rt: Runtime = app.extensions["storefront"]
                charges = len(list(ask_witness(address).charges_since("")))
                _tell(outcome, judge_parcels(rt, charges), errors)
                db.session.remove()
                db.engine.dispose()
            children.stop({witness})
        finally:
            children.kill_all()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _tell(outcome: PackOutcome, found: Packed, errors: Path) -> None:
    outcome.paid, outcome.exported, outcome.batches = found.paid, found.exported, found.batches
    outcome.files, outcome.moves, outcome.partial = found.files, found.moves, found.partial
    outcome.faults += found.faults
    logged = errors.read_text(encoding="utf-8") if errors.exists() else ""
    if logged:
        outcome.faults.append(f"workers logged errors:\n{logged[:4000]}")


def table(outcome: PackOutcome) -> str:
    """Return the outcome as lines to read."""
    who = f"boxes, {outcome.database}, {outcome.workers} worker(s), seed {outcome.seed}"
    lines = [f"{who}: {sum(outcome.kills.values())} kills in {outcome.seconds} s"]
    lines += [f"  {many:6}  {name}" for name, many in sorted(outcome.kills.items())]
    names = ("rounds", "paid", "exported", "waited", "batches", "files", "moves", "partial")
    lines += [f"  {getattr(outcome, name):6}  {name}" for name in names]
    lines += [f"  FAULT   {fault}" for fault in outcome.faults] or ["       0  faults"]
    return "\n".join(lines)
