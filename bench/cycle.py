"""How long a cycle takes from its lock to its file, and in how much memory.

    python3 dev.py bench cycle [--sizes 10000,100000] [--postgresql | --database URL]

A cycle of so many boxes, each of a subscription with an address of its own and four products that
are counted, is closed by the worker's own services: every box is decided, its stock taken, its
address and contents frozen; then all of them are written into one CSV file. Lock and export are
measured in a process each, so that the memory of one is not that of the other. What is asked for
is memory that does not grow with the cycle, and a time per box that does not either.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench._multiply import multiply
from bench._places import Place, a_place
from bench._processes import peak_mib
from bench._shop import DUE, OPENED, make_app, prepare

#: The lock day of the first cycle, the 15th, is over.
LOCKED_ON = datetime(2027, 3, 16, 9, 0, tzinfo=UTC)
PRODUCTS = 4
#: Subscribers that are made one by one; the others are copies of them.
_MADE = 1_000
_HEAD = ("seconds", "CPU s", "ms a box", "ready MiB", "peak MiB", "grew MiB")


@dataclass(frozen=True, slots=True)
class _Done:
    boxes: int
    seconds: float
    cpu_seconds: float
    ready_mib: float
    peak_mib: float
    #: Of the file; 0 for the lock.
    mb: float = 0.0


def main() -> int:
    """Measure what the options say and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10000,100000", help="thousands of boxes")
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own")
    parser.add_argument("--database", help="address of a PostgreSQL server")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with a_place(options.database, options.postgresql) as place:
        print(f"{place.kind:<22}" + "".join(f"{name:>11}" for name in _HEAD))
        found = [(_step(place, size, "lock"), _step(place, size, "export")) for size in sizes]
    if len(sizes) > 1:
        _compare(sizes, found)
    return 0


def _compare(sizes: list[int], found: list[tuple[_Done, _Done]]) -> None:
    """Print what a box takes in the last cycle, by what it takes in the first."""
    each = list(zip(found, sizes, strict=True))
    clock = [sum(one.seconds for one in done) / size for done, size in each]
    cpu = [sum(one.cpu_seconds for one in done) / size for done, size in each]
    print(
        f"a box with {sizes[-1]:,}: {clock[-1] / clock[0]:.2f} times the time and "
        f"{cpu[-1] / cpu[0]:.2f} times the CPU of one with {sizes[0]:,}"
    )


def _step(place: Place, size: int, what: str) -> _Done:
    """Lock or export the cycle of ``size`` boxes, which is made before its lock."""
    name = f"cycle{size}"
    if what == "lock":
        place.create(name)
        prepare(place.url(name), place.folder, min(size, _MADE), (DUE,))
        _fill(place, name, size)
        # Not analysed: PostgreSQL would keep plans of foreign keys made for a box_item known to be
        # empty, and walk through all of it for each row until autovacuum comes by, a minute later.
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        server = place.cpu_seconds()
        work, folder = (_lock if what == "lock" else _export), place.folder / f"of-{size}"
        done = pool.apply(work, (place.url(name), folder))
        server = place.cpu_seconds() - server
    if done.boxes != size:
        raise RuntimeError(f"{done.boxes} of {size} boxes came through the {what}")
    label = f"{size:,} {what}" + (f", {done.mb:.0f} MB" if done.mb else "")
    cpu, per = done.cpu_seconds + server, 1000 * done.seconds / size
    grew = done.peak_mib - done.ready_mib
    print(
        f"{label:<22}{done.seconds:>11.1f}{cpu:>11.1f}{per:>11.3f}"
        f"{done.ready_mib:>11.1f}{done.peak_mib:>11.1f}{grew:>11.1f}",
        flush=True,
    )
    return replace(done, cpu_seconds=cpu)


def _lock(url: str, folder: Path) -> _Done:
    from storefront.services.cycles import close_cycles

    return _measured(url, folder, lambda rt: close_cycles(rt).boxes.locked)


def _export(url: str, folder: Path) -> _Done:
    from storefront.services.fulfilment import export_all, exportable_cycles

    written: list[int] = []

    def work(rt: Any) -> int:
        done = [one for cycle in exportable_cycles(rt) for one in export_all(rt, cycle)]
        written.extend(rt.files.path_of(one.file_name).stat().st_size for one in done)
        return sum(one.rows for one in done)

    return replace(_measured(url, folder, work), mb=sum(written) / 1e6)


def _measured(url: str, folder: Path, work: Any) -> _Done:
    """Do ``work`` in this process, which has settled in as a worker does before it works."""
    from storefront.extensions import db
    from storefront.jobs.worker import settle_in

    app, rt = make_app(url, folder, LOCKED_ON)
    with app.app_context():
        settle_in()
        ready = peak_mib()
        began, cpu = time.perf_counter(), time.process_time()
        boxes = work(rt)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = peak_mib()
        db.session.remove()
        db.engine.dispose()
    return _Done(boxes, seconds, cpu, ready, peak)


def _fill(place: Place, name: str, size: int) -> None:
    """Make ``size`` subscribers out of those there are, and give each a paid box in March."""
    from storefront.extensions import db
    from storefront.models import BoxCycle, Plan
    from storefront.testing import factories

    app, rt = make_app(place.url(name), place.folder, OPENED)
    with app.app_context():
        plan = rt.session.scalars(sa.select(Plan)).one()
        rt.session.expunge(plan)
        cycle = rt.session.scalars(sa.select(BoxCycle.id).order_by(BoxCycle.ship_from)).first()
        rt.session.rollback()
        teas = [factories.make_variant(rt, on_hand=2 * size) for _ in range(PRODUCTS)]
        factories.make_recipe(rt, plan, variants=teas)
        if size > _MADE:
            multiply(db.engine, size // _MADE - 1)
        _add_boxes(rt, cycle)
        db.session.remove()
        db.engine.dispose()


def _add_boxes(rt: Any, cycle: int) -> None:
    """Put one box of each subscription's paid period into the cycle, in one statement."""
    from storefront.domain.boxes import BoxKind, BoxState
    from storefront.models import Box, Subscription, SubscriptionPeriod
    from storefront.models.base import table_of

    box, subscription = table_of(Box), table_of(Subscription)
    period = table_of(SubscriptionPeriod)
    values: dict[str, Any] = {
        "public_id": sa.literal("box_") + sa.cast(subscription.c.id, sa.String),
        "subscription_id": subscription.c.id,
        "period_id": period.c.id,
        "plan_id": subscription.c.plan_id,
        "options": sa.literal({}, box.c.options.type),
        "quantity": sa.literal(1),
        "kind": sa.literal(BoxKind.REGULAR, box.c.kind.type),
        "ordinal": sa.literal(1),
        "cycle_id": sa.literal(cycle),
        "net_minor": sa.literal(2185),
        "tax_minor": sa.literal(415),
        "currency": sa.literal("EUR"),
        "state": sa.literal(BoxState.PLANNED, box.c.state.type),
        "problem": sa.literal(""),
        "created_at": sa.literal(OPENED, box.c.created_at.type),
    }
    joined = subscription.join(period, period.c.subscription_id == subscription.c.id)
    chosen = sa.select(*values.values()).select_from(joined).order_by(subscription.c.id)
    rt.session.execute(sa.insert(box).from_select(list(values), chosen))
    rt.session.execute(sa.update(period).values(box_count=1))
    rt.session.commit()


if __name__ == "__main__":
    raise SystemExit(main())
