"""Write the documents of a month, for the tax adviser."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import click

from storefront import documents
from storefront.adapters.files import FileStore
from storefront.cli.runner import progress, with_runtime
from storefront.queries import documents as query
from storefront.runtime import Runtime


class Month(click.ParamType):
    """``2027-03`` as the first day of that month."""

    name = "YYYY-MM"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        try:
            year, _dash, month = str(value).partition("-")
            return date(int(year), int(month), 1)
        except ValueError:
            self.fail(f"{value!r} is no month; write it like 2027-03", param, ctx)


@click.command("invoices")
@click.option("--month", required=True, type=Month(), help="Month of issue, like 2027-03.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder."
)
@with_runtime
def invoices(rt: Runtime, month: date, out: Path) -> None:
    """Write every invoice and credit note issued in a month as PDF.

    Each file is there whole or not at all. Running it again writes the same files.
    """
    zone = rt.shop.zone_info
    until = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    edges = (datetime.combine(day, time(), zone) for day in (month, until))
    refs = query.issued_between(rt.session, *edges)
    store = FileStore(out)
    marked: list[str] = []
    with progress("documents written") as report:
        for count, ref in enumerate(refs, start=1):
            found = query.document(rt.session, ref)
            if found is None:
                raise click.ClickException(f"{ref} is gone")
            store.publish(documents.file_name(found), [documents.paper(found)])
            lacking = documents.illegible(found)
            if lacking:
                marked.append(f"{documents.file_name(found)}: {' '.join(lacking)}")
            report(count, len(refs))
    if marked:
        text = "These show a mark for characters that the font does not have:"
        click.echo("\n".join([text, *marked]), err=True)
    click.echo(f"{len(refs)} documents in {out}" if refs else f"nothing issued in {month:%Y-%m}")
