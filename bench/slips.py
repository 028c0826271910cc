"""How fast packing slips and labels are made, and in how much memory.

    python3 dev.py bench slips [--sizes 1000,10000] [--layout a6]

A batch of so many boxes, each with four products and an address of its own, in three languages,
is written on paper by the worker's own job: read from the database, worded, drawn, and
published as files of 500 boxes. Asked for is a thousand slips in ten seconds, with memory that
does not grow with the batch; labels are shown beside them.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from bench._places import a_place
from bench._processes import peak_mib
from bench._shop import DUE, OPENED, make_app, prepare

LANGUAGES = ("en", "de", "fr")
SLICE = 1000


def main() -> int:
    """Measure what the options say and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--layout", default="a6", help="of the slips: a4, a6 or 4x6")
    options = parser.parse_args()
    head = ("seconds", "CPU s", "per 1,000", "MB", "peak MiB")
    print(f"{'':>24}" + "".join(f"{name:>10}" for name in head))
    with a_place(None, False) as place:
        for size in map(int, options.sizes.split(",")):
            name = f"slips{size}"
            place.create(name)
            prepare(place.url(name), place.folder, 1, (DUE,))
            app, rt = make_app(place.url(name), place.folder / name, OPENED)
            with app.app_context():
                batch, who = _fill(rt, size)
                _measure(rt, batch, who, size, "slips", options.layout)
                _measure(rt, batch, who, size, "labels", "l7160")
                rt.session.remove()
                rt.session.get_bind().dispose()
    return 0


def _measure(rt: Any, batch: str, who: Any, size: int, kind: str, layout: str) -> None:
    from storefront.paper_words import draw
    from storefront.services.papers import ask_for_paper, make_papers

    ask_for_paper(rt, batch, kind, layout, who)
    began, cpu = time.perf_counter(), time.process_time()
    while make_papers(rt, draw)["files"]:
        pass
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    files = rt.files.path_of("papers").glob(f"*-{kind}-*.pdf")
    mb = sum(path.stat().st_size for path in files) / 1e6
    per = seconds * 1000 / size
    print(
        f"{f'{size:,} {kind}, {layout}':>24}"
        f"{seconds:>10.1f}{cpu:>10.1f}{per:>10.2f}{mb:>10.1f}{peak_mib():>10.0f}",
        flush=True,
    )


def _fill(rt: Any, size: int) -> tuple[str, Any]:
    """Write a published batch of ``size`` boxes of the one subscriber there is."""
    from storefront.models import (
        Box,
        BoxCycle,
        CycleGroup,
        FulfilmentBatch,
        Staff,
        Subscription,
        SubscriptionPeriod,
    )
    from storefront.models.base import public_id, public_ids, table_of
    from storefront.operations.audit import Who
    from storefront.services.staff import add_staff

    add_staff(
        rt, email="pack@shop.example", name="Pat", password="kettle on the hob 9", role="owner"
    )
    person = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    who = Who(person.id, person.public_id)
    row = rt.session.execute(
        sa.select(Subscription.id, Subscription.plan_id, SubscriptionPeriod.id.label("period"))
        .join(SubscriptionPeriod, SubscriptionPeriod.subscription_id == Subscription.id)
        .limit(1)
    ).one()
    group = rt.session.scalar(sa.select(CycleGroup.id))
    day = OPENED.date()
    cycle = BoxCycle(
        public_id=public_id("cyc"),
        group_id=group,
        key="bench",
        cutoff_on=day,
        lock_on=day,
        ship_from=day + timedelta(days=1),
        ship_to=day + timedelta(days=2),
        state="shipped",
    )
    rt.session.add(cycle)
    rt.session.flush()
    batch = FulfilmentBatch(
        public_id=public_id("bat"),
        cycle_id=cycle.id,
        number=1,
        format="generic_csv",
        row_count=size,
        sha256="0" * 64,
        file_name="none",
        created_at=OPENED,
        actor="worker",
    )
    rt.session.add(batch)
    rt.session.flush()
    for start in range(0, size, SLICE):
        names = public_ids("box", min(SLICE, size - start))
        boxes = [_box(row, cycle.id, batch.id, name, start + n) for n, name in enumerate(names)]
        rt.session.execute(sa.insert(table_of(Box)), boxes)
    rt.session.commit()
    return str(batch.public_id), who


def _box(row: Any, cycle: int, batch: int, name: str, number: int) -> dict[str, Any]:
    contents = [[f"TEA-{(number % 5) * 4 + n}", 1 + n % 2] for n in range(4)]
    return {
        "public_id": name,
        "subscription_id": row.id,
        "period_id": row.period,
        "plan_id": row.plan_id,
        "options": {},
        "quantity": 1,
        "kind": "extra",
        "ordinal": 1,
        "cycle_id": cycle,
        "net_minor": 0,
        "tax_minor": 0,
        "currency": "EUR",
        "state": "exported",
        "problem": "",
        "batch_id": batch,
        "created_at": OPENED,
        "locked_at": OPENED,
        "ship_to": {
            "name": f"Jürgen Möller-Lüdenscheid {number}",
            "company": "Förderverein e. V." if number % 4 == 0 else "",
            "street": f"Straße des 17. Juni {number}",
            "extra": "",
            "postcode": f"{10000 + number % 80000}",
            "city": "Berlin",
            "region": "",
            "country": "DE" if number % 5 else "FR",
            "phone": "",
        },
        "packing": {
            "plan": "Pot of the month",
            "email": "reader@shop.example",
            "contents": contents,
            "names": [f"Tea number {sku} from a garden on a hill, 50 g" for sku, _n in contents],
            "language": LANGUAGES[number % 3],
            "ordinal": 1 + number % 3,
            "of": 3,
            "weight_grams": 400,
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
