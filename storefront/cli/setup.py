"""Open a new shop of one's own."""

from __future__ import annotations

import click

from storefront.cli.runner import with_runtime
from storefront.runtime import Runtime
from storefront.services import setup as service
from storefront.services.setup import AlreadySetUp, BadSetting


@click.command()
@click.option("--name", prompt="Name of the shop")
@click.option("--support-email", prompt="E-mail address for customers")
@click.option("--seller-name", prompt="Your firm, as on invoices")
@click.option("--seller-address", prompt="Its address, lines separated by a semicolon")
@click.option("--country", prompt="Its country (two letters, such as DE)")
@click.option("--zone", default="Europe/Berlin", show_default=True, help="Days are days here.")
@click.option("--currency", default="EUR", show_default=True)
@click.option("--locale", default="en", show_default=True, help="en, de or fr.")
@with_runtime
def setup(
    rt: Runtime,
    name: str,
    support_email: str,
    seller_name: str,
    seller_address: str,
    country: str,
    zone: str,
    currency: str,
    locale: str,
) -> None:
    """Set a new shop up; plans, prices and the rest follow in the admin."""
    values = {
        "name": name,
        "support_email": support_email,
        "seller_name": seller_name,
        "seller_address": "\n".join(part.strip() for part in seller_address.split(";")),
        "seller_country": country,
        "zone": zone,
        "currency": currency,
        "locale": locale,
    }
    try:
        service.set_up(rt, values)
    except BadSetting as error:
        raise click.ClickException(
            f"{error.params['name']}: there is no {error.params['value']!r}"
        ) from error
    except AlreadySetUp as error:
        raise click.ClickException("the shop is set up already; change it in the admin") from error
    click.echo(f"{name} is set up. Next: storefront staff add YOUR@ADDRESS, then sign in at /admin")
