"""The shop that is measured: one plan, subscribers by the thousand, a bank without a database."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for place in (str(ROOT), str(ROOT / "plugins")):
    if place not in sys.path:
        sys.path.insert(0, place)

#: When the shop opened, and the morning on which everybody is due.
OPENED = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
DUE = date(2027, 3, 12)
ON_THE_DAY = datetime(2027, 3, 12, 9, 0, tzinfo=UTC)


def make_app(
    url: str, folder: Path, now: datetime, answer_ms: float = 0, in_flight: int = 50
) -> tuple[Any, Any]:
    """Return the application on the database ``url`` and its runtime; the clock stands still."""
    from storefront.app import create_app
    from storefront.settings import Settings
    from storefront.testing.clock import FrozenClock
    from storefront_demo_gateway.gateway import DemoGateway
    from storefront_demo_gateway.quick import QuickBank

    class ForgetfulBank(QuickBank):
        """Keeps nothing, so that the memory measured is the engine's."""

        def charge(self, reference: str, details: dict[str, Any]) -> Any:
            answer = super().charge(reference, details)
            self._charges.clear()
            self._executed.clear()
            return answer

    settings = Settings(
        environment="test",
        secret_key="a secret of the benches, long enough for all",
        database_url=url,
        data_dir=folder,
        base_url="http://localhost",
        in_flight=in_flight,
    )
    app = create_app(settings, clock=FrozenClock(now))
    rt = app.extensions["storefront"]
    gateway = rt.gateways["demo"]
    assert isinstance(gateway, DemoGateway)
    gateway.bank = ForgetfulBank(answer_ms)
    return app, rt


def prepare(url: str, folder: Path, count: int, days: Sequence[date] = (DUE,)) -> None:
    """Migrate the database ``url`` and let ``count`` be due, as many on each of ``days``."""
    from storefront import migrate
    from storefront.extensions import db
    from storefront.testing import factories
    from storefront.testing.population import populate

    app, rt = make_app(url, folder, OPENED)
    with app.app_context():
        migrate.upgrade(db.engine)
        factories.make_shop(rt)
        plan = factories.make_plan(rt)
        price = factories.price_of(rt, plan)
        for day in days:
            populate(rt, plan, price, count // len(days), day)
        db.session.remove()
        db.engine.dispose()
