"""Export the books for the accountant."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services import accounting as service

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("export-accounting")
@click.option("--from", "first", type=_DAY, required=True, help="First day, in the shop's zone.")
@click.option("--to", "last", type=_DAY, required=True, help="Last day; it is included.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to make; must not hold anything yet.",
)
@with_runtime
def export_accounting(rt: Runtime, first: datetime, last: datetime, out: Path) -> None:
    """Write journals, documents, payments, tax and balances as CSV: whole or not at all.

    Every sum is compared with the ledger while it is written; a difference stops the export.
    """
    with progress("transfers written") as report:
        done = service.export_accounting(rt, first.date(), last.date(), out, report)
    for file in done.files:
        click.echo(f"{file.rows:>8} rows in {done.path / file.path.name}")
    click.echo("every total equals the ledger")
