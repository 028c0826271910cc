"""The demo shop: make it once, say who may sign in, move its clock."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast

import click
from babel import Locale

from storefront.app import create_app
from storefront.cli.operate import migrate
from storefront.cli.runner import application, progress, with_runtime
from storefront.demo import catalogue, seed, walk
from storefront.demo.cast import CAST, PRESENTS
from storefront.demo.history import Scale, StoryClock
from storefront.demo.shopping import bank_of
from storefront.demo.standing import standing_of
from storefront.domain.money import Money
from storefront.extensions import db
from storefront.formats import money
from storefront.runtime import Runtime
from storefront.settings import Settings

_USUAL = Scale()
#: The plugin whose bank the story pays at.
_BANK = "demo-gateway"
#: Charges that ``demo bank`` shows.
_LISTED = 20


@click.group()
def demo() -> None:
    """The demo shop Nine Kettles: its history, its logins, its clock."""


@demo.command("seed")
@click.option("--months", default=_USUAL.months, show_default=True, type=click.IntRange(2, 36))
@click.option("--shoppers", default=_USUAL.shoppers, show_default=True, type=click.IntRange(1))
@click.option("--seed", "number", default=_USUAL.seed, show_default=True, help="Of all chances.")
def seed_demo(months: int, shoppers: int, number: int) -> None:
    """Make the demo shop and its history, once; a second call changes nothing.

    The engine itself makes the history, day by day, with a demo bank: it takes a minute or two.
    """
    app = application()
    with app.app_context():
        rt: Runtime = app.extensions["storefront"]
        if not rt.settings.is_demo:
            raise click.ClickException("only a demo is seeded: set STOREFRONT_ENVIRONMENT=demo")
        found = seed.standing(rt)
        if found is seed.Standing.THERE:
            click.echo("the demo shop is there already")
            return
        if found is seed.Standing.BEING_MADE:
            raise click.ClickException("another process is making the demo shop; wait for it")
        end = rt.now()
        if found is seed.Standing.UNFINISHED:
            click.echo("an unfinished demo shop was found; making it anew")
            _close_bank(rt)
            try:
                seed.clear(rt)
            except seed.NotOurs as error:
                raise click.ClickException(str(error)) from error
        settings = _with_quick_bank(rt.settings)
        _close_bank(rt)
        db.engine.dispose()
    clock = StoryClock(datetime.fromtimestamp(0, UTC))
    telling = create_app(settings, clock=clock)
    with telling.app_context(), progress("days of history") as report:
        story: Runtime = telling.extensions["storefront"]
        done = seed.tell(story, clock, end, Scale(months, shoppers, number), report)
        _close_bank(story)
    click.echo(
        f"{done.running} of {done.customers} customers subscribe; {done.boxes} boxes, "
        f"{done.invoices} invoices, {done.charges} charges"
    )


@demo.command("open")
@click.pass_context
def open_demo(context: click.Context) -> None:
    """Bring the database up to date, make the demo shop once, and say who may sign in.

    The same as `storefront migrate`, `demo seed` and `demo logins`, in one process. Only who
    may sign in goes to the standard output.
    """
    with redirect_stdout(sys.stderr):
        context.invoke(migrate)
        context.invoke(seed_demo)
    context.invoke(logins)


@demo.command("logins")
@with_runtime
def logins(rt: Runtime) -> None:
    """Say where the demo shop is and who may sign in to it."""
    _require_demo(rt)
    base = f"{rt.settings.base_url}{rt.settings.url_prefix}"
    click.echo(f"Password of everybody below: {catalogue.PASSWORD}")
    click.echo(f"\nStaff, at {base}/admin")
    for person in catalogue.STAFF:
        click.echo(f"  {person.email:<28} {person.name}, {person.role}")
    click.echo(f"\nCustomers, at {base}/account, as they stand on {rt.today():%d %b %Y}")
    for member in CAST:
        click.echo(f"  {member.email:<28} {standing_of(rt, member.email)}")
    for present in PRESENTS:
        if present.is_claimed:
            standing = standing_of(rt, present.email)
            click.echo(f"  {present.email:<28} got a gift. {standing}")
    click.echo(
        "\nTo sign in by code instead, ask for one and read the mail at "
        f"{base}/admin/outbox\nor in {rt.settings.data_dir.resolve() / 'mail'}."
    )


@demo.command("advance")
@click.argument("days", type=click.IntRange(1, walk.MOST_DAYS))
@with_runtime
def advance(rt: Runtime, days: int) -> None:
    """Move the demo's clock DAYS forward, through everything the worker does on each day."""
    _require_demo(rt)
    with progress("days") as report:
        done = walk.walk(rt, days, report)
    for day in done:
        words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in day.counts.items())
        failed = f"  FAILED: {', '.join(sorted(day.failed))}" if day.failed else ""
        click.echo(f"{day.on:%a %d %b %Y}  {words or 'nothing was left to do'}{failed}")
    # A worker that runs at the same time takes its share of the work, and does not tell us.
    base = f"{rt.settings.base_url}{rt.settings.url_prefix}"
    click.echo(f"Counted is what this command did itself; everything is at {base}/admin/clock")
    if not all(day.went_well for day in done):
        raise SystemExit(1)


@demo.command("bank")
@click.argument("action", required=False)
@click.argument("reference", required=False)
@with_runtime
def bank(rt: Runtime, action: str | None, reference: str | None) -> None:
    """List what the demo bank was asked for, or have it do something and tell the shop.

    The shop has to be running: it hears of it by a signed message, as from a real gateway.
    REFERENCE is that of a charge, or of a refund to return.
    """
    _require_demo(rt)
    books = cast(Any, bank_of(rt))
    address = f"{rt.settings.base_url}{rt.settings.url_prefix}/hooks/demo"
    # The plugin is there only once the application is.
    clerk = cast(Any, rt.gateways["demo"]).clerk(address)
    if action not in clerk.actions:
        for one in books.newest_charges(_LISTED):
            amount = money(Money(one.amount_minor, one.currency), Locale("en"))
            click.echo(f"{one.created_at[:16]}  {one.reference}  {amount:>10}  {one.status}")
        click.echo("")
        for name, text in clerk.actions.items():
            click.echo(f"storefront demo bank {name:<8} REFERENCE   {text}")
        if action:
            raise click.ClickException(f"the bank cannot {action}")
        return
    try:
        told = clerk.do(action, reference or "")
    except LookupError as error:
        raise click.ClickException(str(error)) from error
    if told.status != HTTPStatus.OK:
        said = told.answer if told.status else "nobody answers there"
        raise click.ClickException(
            f"{address}: {said}. The bank has done it; send the message again with the same"
            " command, or wait until the shop asks by itself."
        )
    click.echo(f"{told.event}: {told.answer}")


def _with_quick_bank(settings: Settings) -> Settings:
    """Return ``settings`` under which the demo bank waits for no disk."""
    bank = {**settings.plugins.get(_BANK, {}), "durable": "off"}
    return replace(settings, plugins={**settings.plugins, _BANK: bank})


def _close_bank(rt: Runtime) -> None:
    """Have the demo bank write everything to the disk and let go of its file."""
    close = getattr(getattr(rt.gateways.get("demo"), "bank", None), "close", None)
    if close is not None:
        close()


def _require_demo(rt: Runtime) -> None:
    if not rt.settings.is_demo:
        raise click.ClickException("this is no demo shop: STOREFRONT_ENVIRONMENT is not demo")
