"""Export boxes by hand; the worker does it by itself after each lock."""

from __future__ import annotations

import click

from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services import fulfilment as service


@click.command("export-boxes")
@click.option("--cycle", "cycle_ref", help="Id of one cycle (cyc_…). Default: what is due.")
@with_runtime
def export_boxes(rt: Runtime, cycle_ref: str | None) -> None:
    """Write locked boxes into CSV files: whole or not at all, each box once."""
    cycles = [cycle_ref] if cycle_ref else service.exportable_cycles(rt)
    count = 0
    with progress("boxes written") as report:
        for cycle in cycles:
            batch = service.export_boxes(rt, cycle, report=report)
            if batch is not None:
                count += 1
                click.echo(f"{batch.rows} boxes in {rt.files.path_of(batch.file_name)}")
    if not count:
        click.echo("nothing to export")
