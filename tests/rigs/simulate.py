"""Two years of a shop in a few minutes: random customers, random faults, one seed.

    python3 dev.py simulate --years 5 --seed 31

One process, one clock that stands still between events, one thread: what happens follows from
the seed alone, so a failure can be had again. Each simulated day customers act through the
services their pages call, the bank has its bad days, every job runs and is held to what its
questions said, and every invariant of ``docs/invariants.md`` is looked at. In the end the bank's
own books are compared with the shop's.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from storefront.app import create_app
from storefront.demo.shopping import StoryBroken, bank_of
from storefront.domain.errors import DomainError
from storefront.jobs.work import (
    DUNNING,
    EXPIRE,
    JOBS,
    LOOK_UPS,
    REFUNDS,
    RENEWALS,
    SELF_CHECK,
    Job,
)
from storefront.models import ChargeAttempt, JobRun, ParkedWork, Refund, Subscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.rigs._desk import DESK
from tests.rigs._disputing import DISPUTING
from tests.rigs._people import ACTIONS, Action, Person, World, subscribe
from tests.rigs._shop import rig_folder
from tests.support.asking import run_asked
from tests.support.availability import is_long

BEGIN = datetime(2027, 1, 4, 5, 0, tzinfo=UTC)
#: When the worker runs and customers act, behind five UTC, and the jobs that are due then.
_MORNING, _EVENING = timedelta(hours=1), timedelta(hours=13)
_EVENING_JOBS = (LOOK_UPS, EXPIRE, RENEWALS, DUNNING, REFUNDS)
#: Share of days with a fault at the bank, and what it may be.
_BAD_DAYS, _FAULTS = 0.04, ("down", "lost", "lookup_down")
#: Days at the end in which nobody does anything and the bank is well.
CALM = 12


class BrokenDay(AssertionError):
    """Something that must hold does not."""


@dataclass(slots=True)
class Report:
    """What happened, and how often."""

    seed: int
    days: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    charged_minor: int = 0
    refunded: int = 0

    def lines(self) -> list[str]:
        """Return the report for people."""
        said = [f"seed {self.seed}: {self.days} days, {sum(self.acts.values())} things done"]
        said += [f"  {count:6,}  {what}" for what, count in sorted(self.acts.items())]
        said += [f"  {count:6,}  refused: {what}" for what, count in sorted(self.refusals.items())]
        return said


class Simulation:
    """One run. ``customers`` people come in the course of ``days``."""

    def __init__(
        self, rt: Runtime, clock: FrozenClock, seed: int, customers: int, days: int
    ) -> None:
        self.rt, self.clock, self.days = rt, clock, days
        self.rng = Random(seed)
        self.report = Report(seed)
        self.people = [Person(number) for number in range(customers)]
        self.bank: Any = bank_of(rt)
        self.last = "the shop was opened"
        arrive = max(days - 60, 1)
        self._arrivals = Counter(self.rng.randrange(arrive) for _ in self.people)
        self._here: list[Person] = []

    def run(self, on_day: Callable[[int, int], None] = lambda _done, _of: None) -> Report:
        """Live every day. Raises ``BrokenDay`` naming seed, day and what was done last."""
        world = World(self.rt, self.rng, *self._open())
        for day in range(self.days + CALM):
            try:
                self._live(world, day, is_calm=day >= self.days)
                self._look()
            except Exception as error:
                raise BrokenDay(
                    f"seed {self.report.seed}, day {day} ({self.rt.today()}), "
                    f"after: {self.last}: {error}"
                ) from error
            self.report.days += 1
            on_day(day + 1, self.days + CALM)
        self._compare_with_the_bank()
        return self.report

    def _live(self, world: World, day: int, *, is_calm: bool) -> None:
        self._set_faults(is_calm=is_calm)
        # The nightly self-check asks what is looked at after each day, one rule after another.
        is_checked = is_long() or day % 7 == 0 or day == self.days + CALM - 1
        morning = JOBS if is_checked else [job for job in JOBS if job is not SELF_CHECK]
        for offset, jobs in ((_MORNING, morning), (_EVENING, _EVENING_JOBS)):
            self.clock.set(BEGIN + timedelta(days=day) + offset)
            self._work(jobs)
            if not is_calm:
                self._act(world, self.rng.randint(0, 2))
        if not is_calm:
            for _ in range(self._arrivals[day]):
                person = self.people[len(self._here)]
                self._here.append(person)
                self._do(world, subscribe, person)

    def _set_faults(self, *, is_calm: bool) -> None:
        for fault in _FAULTS:
            is_on = not is_calm and self.rng.random() < _BAD_DAYS / len(_FAULTS)
            self.bank.set_fault(fault, is_on)
            if is_on:
                self.report.acts[f"the bank is {fault}"] += 1

    def _act(self, world: World, times: int) -> None:
        chosen = (*ACTIONS, *DESK, *DISPUTING)
        actions = [action for action, _ in chosen]
        weights = [weight for _, weight in chosen]
        for _ in range(times if self._here else 0):
            action = self.rng.choices(actions, weights)[0]
            person = self.rng.choice(self._here)
            self._do(world, action, person)
            if self.rng.random() < 0.1:
                # A second click, or a second tab.
                self._do(world, action, person)

    def _do(self, world: World, action: Action, person: Person) -> None:
        name = action.__name__
        self.last = f"{name} of person {person.number}"
        self.rt.forget_shop()
        try:
            done = action(world, person)
        except DomainError as refused:
            self.rt.session.rollback()
            self.report.refusals[f"{name}: {refused.code}"] += 1
            return
        except (LookupError, StoryBroken) as refused:
            # Not theirs, not on sale, or the bank did not answer while they ordered.
            self.rt.session.rollback()
            self.report.refusals[f"{name}: {type(refused).__name__}"] += 1
            return
        if done is not None:
            self.report.acts[f"{name}: {done}"] += 1

    def _work(self, jobs: Sequence[Job]) -> None:
        went_well = [run_asked(self.rt, job) for job in jobs]
        if not all(went_well):
            failed = self.rt.session.execute(
                sa.select(JobRun.job, JobRun.error).where(JobRun.error != "")
            ).all()
            raise BrokenDay(f"jobs failed: {failed}")

    def _look(self) -> None:
        session = self.rt.session
        found = broken(session)
        parked = session.execute(sa.select(ParkedWork.kind, ParkedWork.reason)).all()
        session.rollback()
        twice = self.bank.double_charges()
        wrong = [f"{name}: {rows}" for name, rows in found.items()]
        wrong += [f"parked: {row}" for row in parked if not _is_excused(row)]
        wrong += [f"charged twice: {what}" for what in twice]
        if wrong:
            raise BrokenDay("; ".join(wrong))

    def _compare_with_the_bank(self) -> None:
        """Every charge and refund of the bank is known here, and the other way round."""
        session = self.rt.session
        kept = session.execute(
            sa.select(
                sa.func.coalesce(sa.func.sum(ChargeAttempt.amount_minor), 0),
            ).where(ChargeAttempt.state == "succeeded", ChargeAttempt.gateway == "demo")
        ).scalar_one()
        back = session.execute(
            sa.select(sa.func.coalesce(sa.func.sum(Refund.amount_minor), 0), sa.func.count()).where(
                Refund.state == "succeeded"
            )
        ).one()
        stuck = session.execute(
            sa.select(Subscription.public_id).where(
                Subscription.renews_at <= self.rt.now(), Subscription.held_at.is_(None)
            )
        ).all()
        session.rollback()
        self.report.charged_minor, self.report.refunded = kept, back[1]
        executed = self.bank.executed_total("EUR")
        if executed != kept:
            raise BrokenDay(f"the bank took {executed}, the shop knows of {kept}")
        if stuck:
            raise BrokenDay(f"due and never renewed: {stuck}")

    def _open(self) -> tuple[tuple[tuple[str, tuple[str, int]], ...], tuple[str, ...]]:
        """Open a shop with every kind of plan and code."""
        rt = self.rt
        make.make_shop(rt)
        monthly = make.make_group(rt, anchor_on=BEGIN.date().replace(day=1), cycles=40)
        weekly = make.make_group(
            rt,
            unit="week",
            charge_day=None,
            anchor_on=BEGIN.date(),
            cutoff_days=2,
            lock_days=0,
            ship_days=1,
            cycles=120,
        )
        month, plans = ("month", 1), []
        for group, values in (
            (monthly, {}),
            (monthly, {"trial_days": 10}),
            (monthly, {"max_boxes": 6, "first_period": "free"}),
            (weekly, {}),
            (weekly, {"last_action": "pause"}),
            (weekly, {"past_due_shipping": "ship", "min_boxes": 2}),
            (monthly, {"past_due_shipping": "ship_once", "pause_unpaid": "keep"}),
        ):
            plans.append((make.make_plan(rt, group=group, **values), month))
        intro = make.make_plan(rt, group=weekly, amount_minor=None)
        make.make_price(rt, intro, phases=[{"boxes": 3, "amount_minor": 1300}])
        term = make.make_plan(rt, group=monthly, amount_minor=7410, count=3, at_term_end="monthly")
        make.make_price(rt, term, amount_minor=2700)
        club = make.make_plan(
            rt, amount_minor=900, ships=False, charge_day=15, first_period="prorated"
        )
        plans += [(intro, month), (term, ("month", 3)), (term, month), (club, month)]
        yearly = make.make_plan(rt, amount_minor=9900, unit="year", ships=False)
        plans.append((yearly, ("year", 1)))
        sizes = [("small", "Small", 0), ("big", "Big", 700)]
        for policy in ("boxes", "days", "full"):
            sized = make.make_plan(rt, group=monthly, amount_minor=2900, change_policy=policy)
            make.make_options(rt, sized, code="size", choices=sizes)
            make.make_price(rt, sized, amount_minor=30_900, unit="year")
            plans += [(sized, month), (sized, ("year", 1))]
        codes: list[dict[str, Any]] = [
            {"code": "ONCE10", "percent_bp": 1000},
            {"code": "THREE", "percent_bp": 10_000, "duration": "cycles", "duration_cycles": 3},
            {"code": "ALWAYS", "percent_bp": 500, "duration": "forever"},
            {"code": "FEW", "percent_bp": 5000, "max_uses": 5},
        ]
        for values in codes:
            make.make_code(rt, **values)
        make.make_addon(rt, 500, variant=make.make_variant(rt), tax_class="reduced")
        make.make_addon(rt, 1200, name="Strainer")
        names = tuple(values["code"] for values in codes)
        return tuple((plan.code, interval) for plan, interval in plans), names


def _is_excused(row: Any) -> bool:
    """A charge that a person has to look at is right where a bank never answers.

    So is a refund of money that the customer's bank took back itself.
    """
    return row.kind in {"attempt", "charge"} or row.reason == "disputed"


def simulate(
    seed: int,
    *,
    customers: int = 200,
    days: int = 730,
    database: str = "sqlite",
    on_day: Callable[[int, int], None] = lambda _done, _of: None,
) -> Report:
    """Run one simulation in a temporary folder and return what happened."""
    logging.disable(logging.CRITICAL)
    try:
        with _quick_disk(), rig_folder(database) as (folder, url):
            return _simulate(folder, url, seed, customers, days, on_day)
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _quick_disk() -> Any:
    """Keep the files in memory where that is offered; nothing here survives anyway."""
    import tempfile

    before, memory = tempfile.tempdir, Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        tempfile.tempdir = str(memory)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _simulate(
    folder: Path,
    url: str,
    seed: int,
    customers: int,
    days: int,
    on_day: Callable[[int, int], None],
) -> Report:
    from storefront.extensions import db

    clock = FrozenClock(BEGIN)
    app = create_app(
        Settings(
            environment="test",
            secret_key="a secret of the rigs, long enough for all",
            database_url=url,
            data_dir=folder / "instance",
            base_url="http://localhost",
            mail_url="null:",
        ),
        clock=clock,
    )
    with app.app_context():
        try:
            rt: Runtime = app.extensions["storefront"]
            return Simulation(rt, clock, seed, customers, days).run(on_day)
        finally:
            db.session.remove()
            db.engine.dispose()


def main(arguments: list[str]) -> int:
    """Run it from the command line; exit code 1 and the seed when something broke."""
    parser = argparse.ArgumentParser(prog="dev.py simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=float, default=2, help="to live through (default: 2)")
    parser.add_argument("--seed", type=int, help="of everything random (default: a new one)")
    parser.add_argument("--customers", type=int, default=200, help="(default: 200)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else Random().randrange(10**6)
    from rich.progress import Progress

    with Progress() as progress:
        task = progress.add_task(f"seed {seed}", total=None)
        try:
            report = simulate(
                seed,
                customers=options.customers,
                days=round(options.years * 365),
                database=options.database,
                on_day=lambda done, of: progress.update(task, completed=done, total=of),
            )
        except BrokenDay:
            traceback.print_exc()
            return 1
    sys.stdout.write("\n".join(report.lines()) + "\nEverything held.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
