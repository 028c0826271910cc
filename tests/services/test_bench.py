"""The floor that renewals are measured against writes what the engine wrote."""

from pathlib import Path
from typing import Any

from bench._floor import write_floor
from bench._places import SqlitePlace
from bench._rows import FIRST, LAST
from bench._shop import ON_THE_DAY, make_app, prepare
from storefront.extensions import db
from storefront.services.renewals import run_renewals


def contents(place: SqlitePlace, name: str) -> dict[str, list[Any]]:
    connection = place.connect(name)
    order = dict.fromkeys((*FIRST, *LAST, "subscription"), "id")
    found = {
        table: connection.execute(f"SELECT * FROM {table} ORDER BY {key}").fetchall()
        for table, key in order.items()
    }
    # How often rows were written over; the floor does it less often than the engine.
    counters = {"subscription": ("version", "fence"), "charge_attempt": ("checks",)}
    for table, names in counters.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        left_out = {columns.index(name) for name in names}
        found[table] = [
            tuple(value for place, value in enumerate(row) if place not in left_out)
            for row in found[table]
        ]
    connection.close()
    return found


def test_the_floor_of_the_bench_writes_the_rows_of_the_engine(tmp_path: Path):
    place = SqlitePlace(tmp_path)
    prepare(place.url("before"), tmp_path, 3)
    for name in ("after", "floor"):
        place.copy("before", name)
    app, rt = make_app(place.url("after"), tmp_path, ON_THE_DAY)
    with app.app_context():
        assert run_renewals(rt).charges.settled == 3
        db.session.remove()
        db.engine.dispose()

    assert write_floor(place, "after", "before", "floor").renewals == 3

    assert contents(place, "floor") == contents(place, "after")
