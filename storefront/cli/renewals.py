"""Renew by hand; the worker does it by itself."""

from __future__ import annotations

import click

from storefront.charges import is_unlocked
from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services import renewals as service


@click.command()
@click.option("--now", "at_once", is_flag=True, help="Charge everything that is due.")
@with_runtime
def renew(rt: Runtime, at_once: bool) -> None:
    """Say how many renewals are due; with --now, charge them.

    Running it beside the worker is safe: nothing is charged twice.
    """
    due = service.due_count(rt)
    rt.session.rollback()
    if not at_once:
        click.echo(f"{due} renewals are due; --now charges them")
        return
    if rt.shop.charging_held_at is not None:
        raise click.ClickException("charging is on hold; let it go on the admin's first page")
    if not is_unlocked(rt):
        raise click.ClickException(
            "this database is not confirmed for this address and these payment accounts;"
            " if it is the real shop, run: storefront confirm"
        )
    with progress("renewals") as report:
        done = service.run_renewals(rt, on_progress=lambda count: report(count, max(due, count)))
    parts = {
        "billed": done.billed,
        "skipped": done.skipped,
        "ended": done.ended,
        "held": done.held,
        "parked": done.parked,
    }
    told = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
    click.echo(f"{done.claimed} renewals looked at: {told or 'nothing to do'}")
