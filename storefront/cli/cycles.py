"""Plan and lock cycles by hand; the worker does both by itself."""

from __future__ import annotations

import click

from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services import cycles as service


@click.command("plan-cycles")
@click.option("--days", default=400, show_default=True, type=click.IntRange(1, 1500))
@with_runtime
def plan_cycles(rt: Runtime, days: int) -> None:
    """Generate the cycles of the coming DAYS and seat the boxes that waited for one."""
    done = service.plan_ahead(rt, days)
    click.echo(f"{done.made} cycles made, {done.opened} opened, {done.seated} boxes seated")


@click.command("close-cycles")
@with_runtime
def close_cycles(rt: Runtime) -> None:
    """Lock every cycle whose lock day is over: freeze addresses and contents, take stock."""
    with progress("boxes decided") as report:
        done = service.close_cycles(rt, report)
    held = ", ".join(f"{count} {problem}" for problem, count in sorted(done.boxes.held.items()))
    click.echo(
        f"{len(done.cycles)} cycles locked, {done.boxes.locked} boxes locked, "
        f"{done.boxes.held.total()} held{f' ({held})' if held else ''}"
    )
