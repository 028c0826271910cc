"""Export boxes by hand; the worker does it by itself after each lock."""

from __future__ import annotations

import click

from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services import fulfilment as service


@click.command("export-boxes")
@click.option("--cycle", "cycle_ref", help="Id of one cycle (cyc_…). Default: what is due.")
@click.option("--format", "format_code", default="", help="Default: that of the plans' group.")
@with_runtime
def export_boxes(rt: Runtime, cycle_ref: str | None, format_code: str) -> None:
    """Write locked boxes into files: whole or not at all, each box once."""
    cycles = [cycle_ref] if cycle_ref else service.exportable_cycles(rt)
    count = 0
    with progress("boxes written") as report:
        for cycle in cycles:
            for batch in service.export_all(rt, cycle, format_code=format_code, report=report):
                count += 1
                click.echo(f"{batch.rows} boxes in {rt.files.path_of(batch.file_name)}")
    if not count:
        click.echo("nothing to export")
