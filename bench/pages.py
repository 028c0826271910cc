"""What the pages that are asked for most cost, beside a bare Flask page in the same run.

    python3 dev.py bench pages [--rounds 200] [--subscriptions 1000] [--postgresql]

Each round asks for every page once, one after the other, so that a slow moment of the machine
meets them alike. Shown are the median milliseconds by the clock and of this process's CPU, the
latter as a ratio to the bare page, the statements asked and the bytes of the page. No server is
between: what is measured is the application with all its plugins and headers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from bench._places import a_place
from bench._shop import OPENED, make_app, prepare

WARM_UP = 5


@dataclass
class Page:
    """One page and what asking for it took."""

    name: str
    client: Any
    path: str
    before: Callable[[], None] = lambda: None
    times: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    statements: int = 0
    size: int = 0

    def ask(self, counter: list[str]) -> None:
        """Get the page once; raises ``RuntimeError`` if it is not shown."""
        self.before()
        counter.clear()
        start, cpu = time.perf_counter(), time.process_time()
        answer = self.client.get(self.path, buffered=True)
        self.times.append(time.perf_counter() - start)
        self.cpus.append(time.process_time() - cpu)
        if answer.status_code != 200:
            raise RuntimeError(f"{self.name}: {answer.status}")
        self.statements, self.size = len(counter), len(answer.data)


def main() -> int:
    """Measure what the options say and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--subscriptions", type=int, default=1000)
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own")
    parser.add_argument("--database", metavar="URL", help="of a PostgreSQL server to measure on")
    options = parser.parse_args()
    with a_place(options.database, options.postgresql) as place:
        place.create("pages")
        prepare(place.url("pages"), place.folder, options.subscriptions)
        app, rt = make_app(place.url("pages"), place.folder, OPENED)
        from storefront.extensions import db

        with app.app_context():
            engine, pages = db.engine, _pages(app, rt)
            db.session.remove()
        print(f"{place.kind}, {options.subscriptions:,} subscriptions, {options.rounds} rounds")
        _measure(engine, pages, options.rounds)
        engine.dispose()
    return 0


def _pages(app: Flask, rt: Any) -> list[Page]:
    visitor, mine = app.test_client(), app.test_client()
    with mine.session_transaction() as session:
        session["_user_id"] = _signed_in(rt)

    def forget() -> None:
        app.extensions.pop("storefront_pricing_pages", None)

    return [
        Page("bare Flask page", _bare().test_client(), "/"),
        Page("pricing page, kept", visitor, "/"),
        Page("pricing page, made anew", visitor, "/", forget),
        Page("account home", mine, "/account/"),
    ]


def _bare() -> Flask:
    bare = Flask("bare")
    bare.add_url_rule("/", view_func=lambda: "<!doctype html><title>Bare</title><p>Hello")
    return bare


def _signed_in(rt: Any) -> str:
    from storefront.models import Subscription
    from storefront.services.sessions import start_session

    owner = rt.session.scalars(sa.select(Subscription.customer_id).limit(1)).one()
    rt.session.rollback()
    return start_session(rt, owner, "password", "127.0.0.1", "bench")


def _measure(engine: sa.Engine, pages: list[Page], rounds: int) -> None:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if not text.startswith(("PRAGMA", "BEGIN")):
            asked.append(text)

    event.listen(engine, "before_cursor_execute", note)
    for number in range(WARM_UP + rounds):
        for page in pages:
            if number == WARM_UP:
                page.times.clear()
                page.cpus.clear()
            page.ask(asked)
    floor = statistics.median(pages[0].cpus)
    print(f"  {'':<24} {'median ms':>10} {'CPU ms':>8} {'ratio':>7} {'statements':>11}    bytes")
    for page in pages:
        took, cpu = statistics.median(page.times), statistics.median(page.cpus)
        print(
            f"  {page.name:<24} {1000 * took:>10.2f} {1000 * cpu:>8.2f} {cpu / floor:>6.1f}x"
            f" {page.statements:>11} {page.size:>8,}",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
