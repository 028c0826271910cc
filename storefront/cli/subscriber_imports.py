"""Take over running subscribers of another system."""

from __future__ import annotations

from pathlib import Path

import click
from flask_babel import force_locale

from storefront.blueprints.admin.subscriber_imports import finding_words
from storefront.cli.runner import progress, with_runtime
from storefront.domain.subscriber_rows import Level
from storefront.runtime import Runtime
from storefront.services import subscriber_imports as service

_MOST_SHOWN = 200


@click.command("import-subscribers")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--run", is_flag=True, help="Write it. Without this only says what would be done.")
@click.option(
    "--stopped-billing-there",
    is_flag=True,
    help="You have stopped billing in the other system; rows that it still bills come too.",
)
@with_runtime
def import_subscribers(rt: Runtime, file: Path, run: bool, stopped_billing_there: bool) -> None:
    """Import FILE, running subscriptions with their stored payment methods (CSV).

    The columns are in docs/importing.md. Ends with 1 when a row was left out; the rest is taken
    over all the same.
    """
    with progress("rows read") as report:
        done = service.import_subscribers(
            rt,
            file.read_bytes(),
            dry_run=not run,
            stopped_elsewhere=stopped_billing_there,
            report=report,
        )
    with force_locale("en"):
        for one in done.findings[:_MOST_SHOWN]:
            wrong, right = finding_words(one)
            value = f" {one.value!r}" if one.value else ""
            said = f"row {one.row}, {one.column}:{value} {wrong}. {right}".rstrip()
            click.echo(f"{_MARKS[one.level]}{said}", err=True)
    if len(done.findings) > _MOST_SHOWN:
        click.echo(f"… and {len(done.findings) - _MOST_SHOWN} more", err=True)
    if done.still_billed and not stopped_billing_there:
        click.secho(
            f"WARNING: still billed by the other system: {done.still_billed}. Stop that first, or "
            "these customers pay twice; then add --stopped-billing-there.",
            fg="red",
            err=True,
        )
    made = "made" if run else "would be made"
    click.echo(
        f"{done.row_count} rows: {done.new} {made}, {done.here} here already, "
        f"{done.left_out} left out"
    )
    if not run:
        click.echo("dry run: nothing was written; add --run to write it")
    if done.left_out:
        raise SystemExit(1)


_MARKS = {Level.ERROR: "", Level.WARNING: "warning: ", Level.HERE: "note: "}
