"""The fixtures of all tests: a migrated database, an application, a clock that stands still."""

import gc
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import hypothesis
import pytest

from tests.support.availability import in_ci, unavailable

if TYPE_CHECKING:
    # At run time these are imported by the fixtures: tests of pure rules start without them.
    from flask import Flask
    from flask.testing import FlaskClient
    from playwright.sync_api import Browser

    from storefront.runtime import Runtime
    from storefront.settings import Settings
    from storefront.testing.clock import FrozenClock
    from storefront_demo_gateway.gateway import DemoGateway
    from tests.support.databases import Database, Databases

#: The environment variable by which test processes find the folder they share.
_SHARED = "TEST_SHARED_FOLDER"

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("ci" if in_ci() else "default")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all processes of this run share; theirs is inherited."""
    if not hasattr(config, "workerinput"):
        from tools.owners import own_folder

        os.environ[_SHARED] = str(own_folder("storefront-tests-"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each of several processes begin with long tests; one alone keeps the order of files."""
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    if processes > 1:
        from tests.support.order import seconds_of, spread

        items[:] = spread(items, [seconds_of(item.nodeid) for item in items], processes)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the garbage collector from walking again and again through what stays for good.

    Half a million objects of modules and statements live as long as the process, and each test
    leaves an application with its engine behind. Measured: 11 % of the time of a test of a page.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the database server, after the last process is through."""
    if not hasattr(config, "workerinput"):
        from tests.support.databases import clean_up

        clean_up(Path(os.environ.pop(_SHARED)))


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Take the place of pytest-flask's fixture, which keeps one context open for a whole test.

    In that context Flask-Login remembers the customer, so that a second, anonymous client is
    let in: it hides the worst bugs a shop can have.
    """


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Fail a test that leaves a thread or a process behind."""
    from tests.support.leftovers import Watch

    watch = Watch()
    yield
    left = watch.left()
    assert not left, f"the test left running: {', '.join(left)}"


@pytest.fixture(scope="session")
def databases() -> Iterator["Databases"]:
    """What makes the databases of this process."""
    from tests.support.databases import Databases
    from tests.support.statements_cache import disconnect_all

    made = Databases(Path(os.environ[_SHARED]), os.environ.get("PYTEST_XDIST_WORKER", "main"))
    yield made
    disconnect_all()
    made.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A running browser; each test opens a context of its own in it."""
    from playwright.sync_api import sync_playwright

    from tools.machine import explain_browser, find_browser

    path = find_browser()
    if path is None:
        unavailable(explain_browser())
    # Chromium refuses its own sandbox to root; the pages it sees here are ours.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if is_root else []
        )
        yield browser
        browser.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, databases: "Databases", tmp_path: Path) -> "Database":
    """An empty migrated database; every test that uses it runs on both kinds."""
    from tools.postgres import PostgresUnavailableError

    if request.param == "sqlite":
        return databases.sqlite(tmp_path)
    try:
        return databases.postgresql()
    except PostgresUnavailableError as error:
        unavailable(str(error))


@pytest.fixture
def settings(database: "Database", tmp_path: Path) -> "Settings":
    """The settings of ``app``; a test that wants others overrides this fixture."""
    from storefront.settings import Settings

    return Settings(
        environment="test",
        secret_key="a secret of the tests, long enough for all",
        database_url=database.url,
        data_dir=tmp_path / "instance",
        base_url="http://localhost",
    )


@pytest.fixture
def clock() -> "FrozenClock":
    """Tuesday 2 March 2027, 09:00 UTC, until the test moves it."""
    from storefront.testing.clock import FrozenClock

    return FrozenClock(datetime(2027, 3, 2, 9, 0, tzinfo=UTC))


@pytest.fixture
def app(settings: "Settings", clock: "FrozenClock", databases: "Databases") -> Iterator["Flask"]:
    """The application on ``database``, with a shop that is set up and otherwise empty."""
    from storefront.app import create_app
    from storefront.extensions import db
    from storefront.testing.client import Browser
    from tests.support.built_once import Templates, build_once
    from tests.support.leftovers import in_use_after_a_moment
    from tests.support.shop import set_up_shop
    from tests.support.snapshots import keeping
    from tests.support.statements_cache import let_go, share_compiled

    build_once()
    app = create_app(settings, clock=clock)
    app.test_client_class = Browser
    # pytest-flask would put localhost.localdomain there, which resolves nowhere.
    app.config["SERVER_NAME"] = "localhost"
    # Each application compiles its templates anew otherwise: most of the time of a page test.
    app.jinja_env.bytecode_cache = Templates(os.environ[_SHARED])
    with app.app_context():
        share_compiled(db.engine)
        set_up_shop(db.engine)
        rows = databases.rows(db.engine)
    with keeping(app.extensions["storefront"], rows):
        yield app
    with app.app_context():
        db.session.remove()
        # One still in use would be closed by nobody, and reported beside a test of much later.
        in_use = in_use_after_a_moment(db.engine)
        let_go(db.engine, in_use=in_use)
    assert in_use == 0, f"the test left {in_use} connections to the database in use"
    demo = app.extensions["storefront"].gateways.get("demo")
    if hasattr(getattr(demo, "bank", None), "close"):
        demo.bank.close()


@pytest.fixture
def demo_gateway(app: "Flask") -> "DemoGateway":
    """The demo gateway of ``app``; its bank is in memory and counts what it executed."""
    return cast("DemoGateway", app.extensions["storefront"].gateways["demo"])


@pytest.fixture
def rt(app: "Flask") -> Iterator["Runtime"]:
    """The runtime, inside an application context that lasts as long as the test."""
    with app.app_context():
        yield app.extensions["storefront"]


@pytest.fixture
def client(app: "Flask") -> "FlaskClient":
    """A browser of somebody who is not signed in."""
    return app.test_client()
