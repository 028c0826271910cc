"""Let the merchant's people in, from the machine the shop runs on."""

from __future__ import annotations

import click

from storefront.cli.runner import with_runtime
from storefront.domain.permissions import FIRST_ROLES, OWNER
from storefront.domain.privacy import NotAnEmail
from storefront.runtime import Runtime
from storefront.services import staff as service
from storefront.services.two_step import reset_staff

_ROLE = click.Choice(sorted(FIRST_ROLES))


@click.group()
def staff() -> None:
    """Add, list and lock out staff users."""


@staff.command()
@click.argument("email")
@click.option("--name", prompt=True, help="Shown in the admin and in its log.")
@click.option("--role", type=_ROLE, default=OWNER, show_default=True)
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
@with_runtime
def add(rt: Runtime, email: str, name: str, role: str, password: str) -> None:
    """Add a staff user who signs in with EMAIL."""
    try:
        service.add_staff(rt, email=email, name=name, password=password, role=role)
    except NotAnEmail as error:
        raise click.ClickException(f"{email} is no e-mail address") from error
    click.echo(f"{email} may sign in as {role}")


@staff.command("list")
@with_runtime
def list_all(rt: Runtime) -> None:
    """Show everybody on the staff."""
    for row in service.list_staff(rt):
        state = "" if row.disabled_at is None else f"  locked out {row.disabled_at:%Y-%m-%d}"
        click.echo(f"{row.email}  {row.role}  {row.name}{state}")


@staff.command()
@click.argument("email")
@click.argument("role", type=_ROLE)
@with_runtime
def role(rt: Runtime, email: str, role: str) -> None:
    """Give the staff user EMAIL another ROLE; they sign in anew."""
    service.change_role(rt, email, role)
    click.echo(f"{email} is {role} now")


@staff.command()
@click.argument("email")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
@with_runtime
def password(rt: Runtime, email: str, password: str) -> None:
    """Set a new password for the staff user EMAIL; they sign in anew."""
    service.change_password(rt, email, password)
    click.echo(f"{email} has a new password")


@staff.command()
@click.argument("email")
@with_runtime
def disable(rt: Runtime, email: str) -> None:
    """Lock the staff user EMAIL out; what they did stays in the log."""
    service.disable_staff(rt, email)
    click.echo(f"{email} is locked out")


@staff.command("two-step-off")
@click.argument("email")
@with_runtime
def two_step_off(rt: Runtime, email: str) -> None:
    """Let the staff user EMAIL, who lost the authenticator, in with the password alone."""
    row = next((row for row in service.list_staff(rt) if row.email == email.strip().lower()), None)
    if row is None:
        raise click.ClickException(f"nobody on the staff has {email}")
    done = reset_staff(rt, None, row.public_id)
    click.echo(f"{email} signs in without a second step" if done else f"{email} has none")
