"""Look after the process: check, migrate, backup, serve, worker."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import click
import sqlalchemy as sa

from storefront import database
from storefront import migrate as schema
from storefront.charges import is_unlocked
from storefront.cli.runner import application, progress
from storefront.cli.serving import development_server
from storefront.extensions import db
from storefront.plugins import plugin_names
from storefront.queries.demo_traces import demo_traces
from storefront.runtime import Runtime
from storefront.settings import all_problems, read_settings, unknown_names


@click.command()
def check() -> None:
    """List everything that is wrong with the settings, the database and the plugins."""
    settings, _ = read_settings(os.environ)
    found = all_problems(os.environ)
    names = plugin_names(settings) | set(settings.plugins) | set(settings.plugins_off)
    strange = [f"{name}: nothing reads this" for name in unknown_names(os.environ, names)]
    found += strange + ([] if found else _problems_inside())
    if found:
        _end_with(found)
    click.echo(f"{settings.environment}: everything is in order")


@click.command()
def migrate() -> None:
    """Bring the database to this version's schema; waits while another process does it."""
    app = application(any_schema=True)
    app.extensions["storefront"].settings.data_dir.mkdir(parents=True, exist_ok=True)
    with app.app_context():
        schema.upgrade(db.engine)
        problem = schema.schema_state(db.engine).describe()
    if problem:
        raise click.ClickException(problem)
    click.echo("the database is up to date")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Copy the SQLite database to FILE while the shop is open; whole or not at all."""
    app = application(any_schema=True)
    with app.app_context(), progress("pages copied") as report:
        try:
            database.backup(db.engine, file, lambda left, total: report(total - left, total))
        except FileExistsError as error:
            raise click.ClickException(f"{file} exists already") from error
        except (ValueError, OSError) as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"copied to {file}")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, help="Default: the port of base_url.")
def serve(host: str, port: int | None) -> None:
    """Serve the shop from one process, for the demo and for development.

    Werkzeug's server with a thread per request: always installed, runs everywhere, and keeps the
    pages answering while a checkout waits for a gateway. In production run ``wsgi:app`` under
    gunicorn instead, which restarts processes and limits what a slow client can hold.
    """
    app = application()
    wanted = urlsplit(app.extensions["storefront"].settings.base_url).port
    server = development_server(app, host, port or wanted or 5000)
    click.echo(f"serving on http://{host}:{server.port}/, Ctrl-C ends it")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


@click.command()
def worker() -> None:
    """Run the clock's work: renewals, cycles, exports, mail. Any number may run at once."""
    app = application()
    import_module("storefront.jobs.worker").run(app)


def _problems_inside() -> list[str]:
    """Return what is wrong with plugins and database, once the settings are sound."""
    app = application(any_schema=True)
    rt: Runtime = app.extensions["storefront"]
    found = [f"plugin {name}: {why}" for name, why in rt.hooks.failed.items()]
    if not rt.gateways:
        off = "".join(f" (plugin {name} is off: {why})" for name, why in rt.hooks.off.items())
        found.append(f"gateway: none is running, so nothing can be paid{off}")
    with app.app_context():
        try:
            state = schema.schema_state(db.engine)
            found.append(state.describe())
            if state.is_current:
                found += _lock(rt)
            if state.is_current and rt.settings.is_production:
                found += _people_of_a_demo(rt)
        except sa.exc.DBAPIError as error:
            found.append(f"database: {error.orig}")
    return [line for line in found if line]


def _lock(rt: Runtime) -> list[str]:
    """Return that nothing is charged or mailed from here, if that is so."""
    if is_unlocked(rt):
        return []
    problem = (
        "database: not confirmed for this address and these payment accounts, so nothing is"
        " charged and no mail is sent; if it is the real shop, run: storefront confirm"
    )
    return [problem]


def _people_of_a_demo(rt: Runtime) -> list[str]:
    there = demo_traces(rt.session)
    rt.session.rollback()
    found = []
    if there.staff:
        found.append(f"database: {there.staff} on the staff with the password of a demo")
    if there.customers:
        found.append(f"database: {there.customers} customers of a demo; start with an empty one")
    return found


def _end_with(lines: list[str]) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    raise SystemExit(1)
