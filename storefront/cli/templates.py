"""Templates that a merchant's folder may replace."""

from __future__ import annotations

import click

from storefront import overrides
from storefront.cli.runner import with_runtime
from storefront.runtime import Runtime

_SAYS = {
    "ours": "",
    "replaced": "replaced",
    "outdated": "replaced, OUTDATED: ours has changed since it was copied",
    "unmarked": "replaced, of an unknown version",
}


@click.command()
@click.option("--copy", "name", help="Copy this one into the folder, with its version.")
@click.option("--replaced", is_flag=True, help="Only those that are replaced.")
@with_runtime
def templates(rt: Runtime, name: str | None, replaced: bool) -> None:
    """List the templates that STOREFRONT_TEMPLATES_DIR can replace, and which of them it does."""
    folder = rt.settings.templates_dir
    if name:
        click.echo(f"written: {_copied(folder, name)}")
        return
    for one in overrides.replaceable(folder):
        if not replaced or one.state != "ours":
            click.echo(f"{one.name}  {_SAYS[one.state]}".rstrip())
    for stranger in overrides.strangers(folder):
        click.echo(f"{stranger}  replaces NOTHING")


def _copied(folder: str, name: str) -> str:
    if not folder:
        raise click.ClickException("set STOREFRONT_TEMPLATES_DIR to a folder first")
    try:
        return str(overrides.copy(folder, name))
    except KeyError:
        raise click.ClickException(f"there is no template {name} to replace") from None
    except FileExistsError:
        raise click.ClickException(f"{name} is in the folder already") from None
