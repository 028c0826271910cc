"""What commands share: the application around them, plain words for errors, progress."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import click
from flask import Flask
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from storefront.app import create_app
from storefront.domain.errors import DomainError
from storefront.extensions import db
from storefront.migrate import SchemaError, require_current_schema
from storefront.runtime import Runtime, ShopNotSetUp
from storefront.settings import SettingsError

_PLAIN_EVERY_SECONDS = 2.0
P = ParamSpec("P")
T = TypeVar("T")
#: Tell how much is done, and how much there is in all.
Report = Callable[[int, int], None]


def application(*, any_schema: bool = False) -> Flask:
    """Return the application of the environment; ends the command with plain words if it cannot.

    ``any_schema`` is for commands that work on an empty or older database too. Its connections
    are closed when the command is over.
    """
    try:
        app = create_app()
        click.get_current_context().call_on_close(functools.partial(_close_connections, app))
        if not any_schema:
            with app.app_context():
                require_current_schema(db.engine)
    except SettingsError as error:
        raise click.ClickException("\n".join(error.problems)) from error
    except SchemaError as error:
        raise click.ClickException(str(error)) from error
    return app


def _close_connections(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


def with_runtime(command: Callable[..., T]) -> Callable[..., T]:
    """Call ``command`` with the runtime first, inside the application's context.

    A refusal of the domain ends the command with its words and status 1, without a trace.
    """

    @functools.wraps(command)
    def run(*args: object, **kwargs: object) -> T:
        app = application()
        with app.app_context():
            rt: Runtime = app.extensions["storefront"]
            try:
                return command(rt, *args, **kwargs)
            except (DomainError, ShopNotSetUp) as error:
                raise click.ClickException(str(error)) from error

    return run


@contextmanager
def progress(label: str) -> Iterator[Report]:
    """Show how far a command is: a bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _plain(label)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(label: str) -> Report:
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _PLAIN_EVERY_SECONDS:
            last = now
            click.echo(f"{label}: {done} of {total}", err=True)

    return report
