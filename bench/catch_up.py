"""How long a shop takes to catch up after a week in which nothing ran.

    python3 dev.py bench catch-up [--due 10000]

So many subscriptions fell due over seven days, as many on each, on SQLite as it is run in
production. The first tick sets aside what is more than two days late and charges the rest; then
the owner lets them go on, and the next tick charges those. The demo gateway answers at once and
counts as the witness: the bench fails when money moved twice for one invoice, or when a
subscription was charged twice in 24 hours.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from bench._places import a_place
from bench._processes import peak_mib
from bench._shop import make_app, prepare

FIRST_DAY = date(2027, 3, 5)
DAYS = 7
BACK = datetime(2027, 3, 12, 9, 0, tzinfo=UTC)
#: What it may take in all.
BUDGET_SECONDS = 300


def main() -> int:
    """Catch up, print what it took, and return 1 when a rule was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--due", type=int, default=10_000, help="subscriptions (default: 10,000)")
    options = parser.parse_args()
    with a_place(None, False) as place:
        place.create("shop")
        days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
        prepare(place.url("shop"), place.folder, options.due, days)
        return _catch_up(place.url("shop"), place.folder)


def _catch_up(url: str, folder: object) -> int:
    from storefront.charges import look_up_open
    from storefront.models import ShopSettings
    from storefront.operations.audit import Who
    from storefront.services.holds import release_outage
    from storefront.services.renewals import run_renewals
    from storefront.services.staff import add_staff
    from storefront_demo_gateway.quick import QuickBank

    app, rt = make_app(url, folder, BACK)  # type: ignore[arg-type]
    bank = rt.gateways["demo"].bank = QuickBank()
    with app.app_context():
        add_staff(rt, email="mia@shop.example", name="Mia", password="a long password of hers")
        key, ref = rt.session.execute(sa.text("SELECT id, public_id FROM staff")).one()
        rt.session.rollback()
        began = time.monotonic()
        look_up_open(rt)
        first = run_renewals(rt)
        set_aside = time.monotonic() - began
        charged_before = bank.executed_count()
        reason = rt.session.scalar(sa.select(ShopSettings.charging_held_reason))
        rt.session.rollback()
        released = release_outage(rt, Who(key, ref))
        rest = run_renewals(rt)
        took = time.monotonic() - began
        executed, doubles = bank.executed_count(), len(bank.double_charges())
        per_subscription = rt.session.scalar(
            sa.text(
                "SELECT count(*) FROM (SELECT l.subscription_id FROM charge_attempt a"
                " JOIN invoice_line l ON l.invoice_id = a.invoice_id WHERE a.sent_at IS NOT NULL"
                " GROUP BY l.subscription_id HAVING count(DISTINCT a.id) > 1) t"
            )
        )
        rt.session.remove()
    print(f"first tick: {first.billed} charged, {first.held} set aside ({reason}),")
    print(f"            {first.skipped} left out, in {set_aside:.1f} s")
    print(f"let go on:  {released}, then {rest.billed} charged; {took:.1f} s in all")
    print(f"witness:    {executed} charges, {doubles} doubles; {per_subscription} subscriptions")
    print(f"            charged twice within 24 h; {peak_mib():.0f} MiB at most")
    is_right = (
        doubles == 0
        and per_subscription == 0
        and charged_before == first.billed
        and released == first.held
        and executed == first.billed + rest.billed
        and took < BUDGET_SECONDS
    )
    print("as it should be" if is_right else "NOT as it should be")
    return 0 if is_right else 1


if __name__ == "__main__":
    raise SystemExit(main())
