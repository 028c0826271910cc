"""What the worker does every half minute costs the same however many subscribers there are."""

from datetime import date
from typing import Any

import pytest

from storefront.jobs.worker import TICKS
from storefront.runtime import Runtime
from storefront.testing import factories
from storefront.testing.population import populate

FAR_AWAY = date(2027, 4, 12)


def steps(rt: Runtime) -> dict[str, int]:
    """Return how many tens of SQLite's instructions each job takes with nothing due."""
    taken: dict[str, int] = {}
    driver: Any = rt.session.connection().connection.driver_connection
    for job in TICKS["charges"][0]:
        rt.session.rollback()
        job.run(rt)
        rt.session.rollback()
        taken[job.name] = 0

        def count(name: str = job.name) -> int:
            taken[name] += 1
            return 0

        driver.set_progress_handler(count, 10)
        job.run(rt)
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

    assert few["renewals"] > 0
    # Two levels more of an index, not a row more per subscriber.
    assert {name: count for name, count in many.items() if count > few[name] + 20} == {}
