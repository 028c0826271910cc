"""Tell whether this database is the real one, and say that it is."""

from __future__ import annotations

import click

from storefront.charges import is_unlocked
from storefront.cli.runner import with_runtime
from storefront.runtime import Runtime
from storefront.services import installation as service


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_runtime
def confirm(rt: Runtime, yes: bool) -> None:
    """Confirm that charges and mails go out from this database, at this address.

    Needed once after set-up with a live gateway and after the site or account changed. A copied
    or restored database charges and mails nothing before.
    """
    known = service.describe(rt)
    click.echo(f"confirmed so far: {known or 'never'}")
    if known and is_unlocked(rt):
        click.echo("nothing to do: it matches")
        return
    if not yes:
        click.confirm(f"Charge and mail from {rt.settings.base_url}?", abort=True)
    service.confirm(rt)
    click.echo(f"confirmed: {service.describe(rt)}")
