"""How fast renewals are, beside the same rows written by the bare driver in the same run.

    python3 dev.py bench renewals [--sizes 1000,10000,100000] [--rounds 3] [--slow]
    python3 dev.py bench renewals --postgresql [--workers 1,2]
    python3 dev.py bench renewals --database postgresql://user@host/postgres

On SQLite as it is run in production, on a PostgreSQL started for it in a temporary folder, or
in databases made and dropped on a given server. So many subscriptions are due at once, the demo
gateway answers at once (or, with ``--slow``, 1,000 after 200 ms each). Every worker is a process
of its own; its first tick, a hundred others, comes before the clock starts, since a worker ticks
for weeks. What that tick took more than its share is shown as ``first``.

The floor writes the rows of the engine's run onto a copy of the database as it was before, in
the same batches and commits. Wall times drift with the machine; the ratio of one run does not.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from bench._engine import FIRST_TICK, Timing, renew
from bench._floor import write_floor
from bench._places import Place, a_place
from bench._shop import prepare
from bench._table import print_size, print_slow

SLOW_DUE, SLOW_MS = 1000, 200


@dataclass(frozen=True, slots=True)
class Measured:
    """One size: the engine with each number of workers, and the floor."""

    due: int
    engine: Mapping[int, Timing]
    floor: Timing


def main() -> int:
    """Measure what the options say and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=1, help="show the best of so many")
    parser.add_argument("--slow", action="store_true", help="also 1,000 with answers after 200 ms")
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--workers", help="numbers of workers (SQLite: 1; PostgreSQL: 1,2)")
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own")
    parser.add_argument("--database", metavar="URL", help="of a PostgreSQL server to measure on")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    options = parser.parse_args()
    with a_place(options.database, options.postgresql) as place:
        workers = _numbers(options.workers or ("1" if place.kind == "SQLite" else "1,2"))
        measured = []
        for due in _numbers(options.sizes):
            measured.append(_measure(place, due, workers, options.rounds))
            if not options.json:
                print_size(place.kind, due, measured[-1].engine, measured[-1].floor)
        slow = _slow(place, options.in_flight, options.rounds) if options.slow else None
    if options.json:
        print(
            json.dumps({"sizes": [asdict(one) for one in measured], "slow": slow and asdict(slow)})
        )
    elif slow is not None:
        print_slow(slow, options.in_flight, SLOW_MS)
    return 0


def _measure(place: Place, due: int, workers: list[int], rounds: int) -> Measured:
    base = f"base{due}"
    place.create(base)
    prepare(place.url(base), place.folder, due + FIRST_TICK * max(workers))
    place.analyse(base)
    engine: dict[int, list[Timing]] = {number: [] for number in workers}
    floors = []
    for turn in range(rounds):
        for number in workers:
            run = f"run{due}x{number}n{turn}"
            place.copy(base, run)
            engine[number].append(renew(place, run, number, 0, in_flight=50))
        place.copy(base, f"floor{due}n{turn}")
        floors.append(write_floor(place, run, base, f"floor{due}n{turn}"))
    return Measured(due, {number: _best(times) for number, times in engine.items()}, _best(floors))


def _slow(place: Place, in_flight: int, rounds: int) -> Timing:
    place.create("slow")
    prepare(place.url("slow"), place.folder, SLOW_DUE + FIRST_TICK)
    place.analyse("slow")
    times = []
    for turn in range(rounds):
        place.copy("slow", f"slow{turn}")
        times.append(renew(place, f"slow{turn}", 1, SLOW_MS, in_flight))
    return _best(times)


def _best(times: Iterable[Timing]) -> Timing:
    """Return the fastest, with the least CPU that any took."""
    kept = list(times)
    cpu = min((one.cpu_seconds for one in kept), default=math.nan)
    return replace(min(kept, key=lambda one: one.seconds), cpu_seconds=cpu)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    raise SystemExit(main())
