"""How fast two workers are after two others were killed at a random moment of their run.

    python3 dev.py bench recovery [--due 3000] [--kills 5] [--seed 1]

On SQLite as it is run in production: so many subscriptions are due, two workers renew them, and
both are killed with SIGKILL at a moment drawn from the middle of their run. Two fresh ones go on
when the leases have ended: they look up what was asked without an answer, then renew the rest.
Shown is their rate beside that of a run nobody disturbed, in the same run of the bench. Whether
anything was charged twice is not asked here but by ``dev.py rig kill``, with a bank of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import sqlalchemy as sa

from bench._engine import FIRST_TICK, renew
from bench._places import Place, a_place
from bench._shop import DUE, ON_THE_DAY, make_app, prepare

WORKERS = 2
#: A kill comes after this part of an undisturbed run at the earliest, and at the latest.
EARLIEST, LATEST = 0.1, 0.7
_LONGEST_START = 120.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """What one kill left to do, and how fast that was done."""

    after_seconds: float
    left: int
    per_second: float


def main() -> int:
    """Measure, print, and end with 1 if anything was left undone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--due", type=int, default=3_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - moments to kill at, no secret
    with a_place(None, postgresql=False) as place:
        place.create("base")
        prepare(place.url("base"), place.folder, options.due + FIRST_TICK * WORKERS)
        place.copy("base", "whole")
        whole = renew(place, "whole", WORKERS, 0, in_flight=50)
        usual = whole.renewals / whole.seconds
        print(f"undisturbed: {whole.renewals:,} in {whole.seconds:.1f} s, {usual:,.0f}/s")
        shares = []
        for number in range(options.kills):
            after = whole.seconds * chance.uniform(EARLIEST, LATEST)
            one = _killed(place, f"killed{number}", after, options.due)
            shares.append(one.per_second / usual)
            print(
                f"killed after {one.after_seconds:.2f} s: {one.left:,} left, "
                f"{one.per_second:,.0f}/s, {shares[-1]:.0%} of undisturbed"
            )
    middle = sorted(shares)[len(shares) // 2]
    print(f"median {middle:.0%}; asked: 80 %")
    return 0


def _killed(place: Place, name: str, after: float, due: int) -> Recovered:
    place.copy("base", name)
    context = multiprocessing.get_context("spawn")
    ready = [context.Event() for _ in range(WORKERS)]
    go = context.Event()
    doomed = [
        context.Process(target=_renew, args=(place.url(name), place.folder, event, go))
        for event in ready
    ]
    for process in doomed:
        process.start()
    for event in ready:
        if not event.wait(_LONGEST_START):
            raise TimeoutError("a worker did not start")
    go.set()
    time.sleep(after)
    for process in doomed:
        process.kill()
        process.join()
    left = _unpaid(place, name)
    if left <= FIRST_TICK * WORKERS:
        raise RuntimeError("the kill came too late; raise --due")
    timing = renew(place, name, WORKERS, 0, in_flight=50, crashed_at=ON_THE_DAY)
    undone = _unpaid(place, name)
    if undone:
        raise RuntimeError(f"{undone} of {due} subscriptions were not renewed after the kill")
    return Recovered(after, timing.renewals, timing.renewals / timing.seconds)


def _renew(url: str, folder: Path, ready: Event, go: Event) -> None:
    """Renew until killed. Runs in a process of its own."""
    from storefront.services.renewals import run_renewals

    app, rt = make_app(url, folder, ON_THE_DAY)
    with app.app_context():
        run_renewals(rt, limit=FIRST_TICK)
        rt.session.remove()
        ready.set()
        go.wait()
        run_renewals(rt)


def _unpaid(place: Place, name: str) -> int:
    """Return how many subscriptions have not paid the period that begins on the day."""
    engine = sa.create_engine(place.url(name))
    question = (
        "SELECT count(*) FROM subscription s WHERE NOT EXISTS (SELECT 1 FROM subscription_period p"
        " WHERE p.subscription_id = s.id AND p.start_on = :due AND p.state = 'paid')"
    )
    with engine.connect() as connection:
        count = int(connection.execute(sa.text(question), {"due": DUE.isoformat()}).scalar_one())
    engine.dispose()
    return count


if __name__ == "__main__":
    raise SystemExit(main())
