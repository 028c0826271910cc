"""The shop of a rig: a database of its own, many subscribers, and the clock of the demo."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path

from flask import Flask

from storefront.adapters.clock import DemoClock
from storefront.app import create_app
from storefront.runtime import Runtime
from storefront.settings import Settings
from storefront.testing import factories
from storefront.testing.population import populate
from tests.support.databases import Databases, clean_up

#: The first day on which everybody is due, at three in the morning UTC.
FIRST = date(2027, 3, 12)


@contextmanager
def rig_folder(database: str) -> Iterator[tuple[Path, str]]:
    """Give a temporary folder and the address of a migrated database; both go away after."""
    shared = Path(tempfile.mkdtemp(prefix="storefront-rig-"))
    databases = Databases(shared, "rig")
    try:
        made = databases.sqlite(shared) if database == "sqlite" else databases.new_postgresql()
        yield shared, made.url
    finally:
        databases.close()
        clean_up(shared)
        shutil.rmtree(shared, ignore_errors=True)


def make_app(folder: Path, url: str, bank: str, **settings: int) -> Flask:
    """Return an application on ``url`` that charges at the bank ``bank``."""
    clock = DemoClock(folder / "clock")
    return create_app(
        Settings(
            environment="test",
            secret_key="a secret of the rigs, long enough for all",
            database_url=url,
            data_dir=folder / "instance",
            base_url="http://localhost",
            mail_url="null:",
            plugins={"demo-gateway": {"url": bank}},
            **settings,
        ),
        clock=clock,
    )


def clock_of(rt: Runtime) -> DemoClock:
    assert isinstance(rt.clock, DemoClock)
    return rt.clock


def open_shop(rt: Runtime, cards: dict[str, int]) -> None:
    """Set the clock, the shop and its plan up; ``cards`` says how many subscribers use which."""
    clock_of(rt).move_to(datetime.combine(FIRST, time(3), UTC))
    factories.make_shop(rt)
    group = factories.make_group(rt, anchor_on=FIRST.replace(day=1))
    plan = factories.make_plan(rt, group=group)
    for card, count in cards.items():
        populate(rt, plan, factories.price_of(rt, plan), count, FIRST, card=card)
