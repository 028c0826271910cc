"""How long shoppers wait while very many subscriptions that fell due together are renewed (T-14).

    python3 dev.py bench busy [--due 100000] [--postgresql]

One worker, a process of its own, renews them all; meanwhile this process asks as a shopper does,
ten times a second: the page of prices, a plan's page, and a new order, which writes. The same is
asked before the worker begins. Shown are the median, the 95th percentile and the longest time of
each, and the worker's memory. The exit code is 1 when a page's 95th percentile reaches
``LIMIT_MS``, when somebody was not renewed, or when the worker grew by more than ``LIMIT_MIB``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from bench._engine import Timing
from bench._places import a_place
from bench._processes import peak_mib
from bench._shop import ON_THE_DAY, make_app, prepare

LIMIT_MS, LIMIT_MIB = 500, 300
#: Between two shoppers, in seconds.
PAUSE = 0.1
#: Shoppers before the worker begins.
QUIET = 50


def main() -> int:
    """Measure, print, and return 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--due", type=int, default=100_000)
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own")
    options = parser.parse_args()
    with a_place(None, options.postgresql) as place:
        place.create("shop")
        prepare(place.url("shop"), place.folder, options.due)
        place.analyse("shop")
        return _measure(place.url("shop"), place.folder, place.kind, options.due)


def _measure(url: str, folder: Path, kind: str, due: int) -> int:
    app, rt = make_app(url, folder, ON_THE_DAY)
    acts = _acts(app, rt)
    before = _ask(acts, lambda number: number < QUIET)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        worker: Future[Timing] = pool.submit(_work, url, folder)
        during = _ask(acts, lambda _number: not worker.done())
        done = worker.result()
    print(f"{kind}: {done.renewals} of {due} renewed in {done.seconds:.0f} s,", end=" ")
    print(f"{done.grew_mib:.0f} MiB more than at the start")
    wrong = done.renewals != due or done.grew_mib > LIMIT_MIB
    for name in acts:
        print(f"  {name:12} quiet {_text(before[name])}, meanwhile {_text(during[name])}")
        wrong = wrong or _p95(during[name]) >= LIMIT_MS
    return int(wrong)


def _acts(app: Any, rt: Any) -> dict[str, Callable[[], object]]:
    """Return what a shopper does, by name; each answers or raises."""
    import sqlalchemy as sa

    from storefront.models import Plan, Price
    from storefront.services.checkout import Start, start_checkout

    with app.app_context():
        code, plan = rt.session.execute(sa.select(Plan.code, Plan.id)).one()
        price = rt.session.scalar(sa.select(Price.id))
        rt.session.rollback()
    client = app.test_client()

    def order() -> str:
        with app.app_context():
            return start_checkout(rt, Start(plan, price))

    def page(path: str) -> object:
        answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} was answered with {answer.status_code}")
        return answer.data

    return {
        "prices": lambda: page("/"),
        "plan": lambda: page(f"/plans/{code}"),
        "new order": order,
    }


def _ask(
    acts: dict[str, Callable[[], object]], go_on: Callable[[int], bool]
) -> dict[str, list[float]]:
    """Return the milliseconds each act took, over and over as long as ``go_on`` says."""
    found: dict[str, list[float]] = {name: [] for name in acts}
    number = 0
    while go_on(number):
        for name, act in acts.items():
            began = time.monotonic()
            act()
            found[name].append(1000 * (time.monotonic() - began))
            time.sleep(PAUSE)
        number += 1
    return found


def _work(url: str, folder: Path) -> Timing:
    """Renew everybody; memory is counted from the first slice on."""
    from storefront.services.renewals import run_renewals

    app, rt = make_app(url, folder, ON_THE_DAY)
    with app.app_context():
        first = run_renewals(rt, limit=100)
        setup, began = peak_mib(), time.monotonic()
        rest = run_renewals(rt)
        took, peak = time.monotonic() - began, peak_mib()
        rt.session.remove()
    return Timing(
        renewals=first.billed + rest.billed,
        seconds=took,
        cpu_seconds=0.0,
        peak_mib=peak,
        grew_mib=peak - setup,
        first_ms=0.0,
    )


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else max(times, default=0.0)


def _text(times: list[float]) -> str:
    if not times:
        return "–"
    middle = statistics.median(times)
    return f"{middle:.0f} / {_p95(times):.0f} / {max(times):.0f} ms ({len(times)})"


if __name__ == "__main__":
    raise SystemExit(main())
