"""Take over the products of another shop."""

from __future__ import annotations

from pathlib import Path

import click
from flask_babel import force_locale

from storefront.blueprints.admin.imports import issue_words
from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services import imports as service

_MOST_SHOWN = 50


@click.command("import-products")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option(
    "--set-stock",
    is_flag=True,
    help="Also set the stock of products that are here already to the file's.",
)
@with_runtime
def import_products(rt: Runtime, file: Path, dry_run: bool, set_stock: bool) -> None:
    """Import FILE, a product export of Shopify or WooCommerce (CSV).

    Ends with 1 when something in the file was left out; the rest is taken over all the same.
    """
    with progress("products read") as report:
        done = service.import_products(
            rt, file.read_bytes(), dry_run=dry_run, set_stock=set_stock, report=report
        )
    with force_locale("en"):
        words = issue_words()
    for issue in done.issues[:_MOST_SHOWN]:
        value = f" {issue.value!r}" if issue.value else ""
        said = f"row {issue.row}, {issue.column}:{value} {words.get(issue.code, issue.code)}"
        click.echo(said, err=True)
    if len(done.issues) > _MOST_SHOWN:
        click.echo(f"… and {_issues(len(done.issues) - _MOST_SHOWN)} more", err=True)
    click.echo(
        f"{done.kind}, {done.row_count} rows: {done.new} new, {done.changed} changed, "
        f"{done.unchanged} unchanged, {_issues(len(done.issues))}"
    )
    if done.stock_differs:
        click.echo(f"{done.stock_differs} variants have another stock here; it was left alone")
    if done.changes_nothing:
        click.echo("nothing to change" if dry_run else "nothing was changed")
    elif dry_run:
        click.echo("dry run: nothing was written")
    if done.issues:
        raise SystemExit(1)


def _issues(count: int) -> str:
    return "1 issue" if count == 1 else f"{count} issues"
