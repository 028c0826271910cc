"""What the worker does every few seconds costs the same however many subscribers there are."""

from datetime import date
from typing import Any

import pytest

from storefront.jobs.ticker import Ticker
from storefront.jobs.worker import TICKS
from storefront.runtime import Runtime
from storefront.testing import factories
from storefront.testing.population import populate

FAR_AWAY = date(2027, 4, 12)


def steps(rt: Runtime) -> dict[str, int]:
    """Return how many tens of SQLite's instructions each tick and job takes with nothing due."""
    taken: dict[str, int] = {}
    driver: Any = rt.session.connection().connection.driver_connection
    for tick in ("charges", "boxes", "messages"):
        ticker = Ticker(TICKS[tick][0])
        works = {tick: ticker.tick, **{job.name: job.run for job in ticker.jobs}}
        for work_name, work in works.items():
            for _ in range(2):
                rt.session.rollback()
                work(rt)
            rt.session.rollback()
            taken[work_name] = 0

            def count(name: str = work_name) -> int:
                taken[name] += 1
                return 0

            driver.set_progress_handler(count, 10)
            work(rt)
            driver.set_progress_handler(None, 10)
    rt.session.rollback()
    return taken


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_idle_tick_walks_no_further_with_many_more_subscribers(rt: Runtime) -> None:
    plan = factories.make_plan(rt)
    price = factories.price_of(rt, plan)
    populate(rt, plan, price, 20, FAR_AWAY)
    few = steps(rt)

    populate(rt, plan, price, 1000, FAR_AWAY)
    many = steps(rt)

    assert min(few[name] for name in ("charges", "boxes", "messages", "renewals")) > 0
    # Two levels more of an index, not a row more per subscriber.
    assert {name: count for name, count in many.items() if count > few[name] + 20} == {}
