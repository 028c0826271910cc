"""The ground that the other tests stand on: fresh databases, in every process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa
from flask import Flask, has_app_context
from playwright.sync_api import Browser
from sqlalchemy.pool import QueuePool
from werkzeug.routing import BaseConverter, Map, Rule

from storefront import database as engines
from storefront.app import create_app
from storefront.extensions import db
from storefront.models import Base
from storefront.settings import Settings
from tests.support.availability import unavailable
from tests.support.built_once import build_once
from tests.support.databases import Database, Databases
from tests.support.leftovers import Watch
from tests.support.statements_cache import let_go, share_compiled
from tools.postgres import GivenServer, PostgresUnavailableError

_ROW = (
    "INSERT INTO throttle (bucket, key, window_start_at, count) VALUES ('b', 'k', '2027-03-02', 1)"
)


def _run(url: str, statement: str) -> None:
    engine = engines.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def _count_rows(url: str) -> int:
    engine = engines.create_engine(url)
    with engine.connect() as connection:
        count = connection.scalar(sa.text("SELECT count(*) FROM throttle"))
    engine.dispose()
    return int(count or 0)


def test_the_migrated_database_has_every_table_of_the_models(database: Database):
    engine = engines.create_engine(database.url)
    assert set(Base.metadata.tables) <= set(sa.inspect(engine).get_table_names())
    engine.dispose()


def test_the_next_test_finds_no_row_of_this_one(
    database: Database, databases: Databases, tmp_path: Path
):
    _run(database.url, _ROW)
    assert _count_rows(database.url) == 1
    is_sqlite = database.kind == "sqlite"
    following = databases.sqlite(tmp_path) if is_sqlite else databases.postgresql()
    assert _count_rows(following.url) == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_second_database_is_another_one(database: Database, databases: Databases):
    other = databases.new_postgresql()
    _run(other.url, _ROW)
    assert _count_rows(database.url) == 0


def test_append_only_triggers_are_awake_for_tests(database: Database):
    engine = engines.create_engine(database.url)
    with engine.connect() as connection:
        found = (
            connection.scalar(sa.text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"))
            if database.kind == "sqlite"
            else connection.scalar(sa.text("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O'"))
        )
        if database.kind == "postgresql":
            assert connection.scalar(sa.text("SHOW session_replication_role")) == "origin"
    engine.dispose()
    assert found


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://u:p@db:5432/x", "postgresql://u:p@db:5432/y"),
        ("postgresql://u:p@db:5432", "postgresql://u:p@db:5432/y"),
        ("postgresql://u@/x?host=/tmp/a", "postgresql://u@/y?host=/tmp/a"),
    ],
)
def test_a_given_server_is_asked_for_another_database(address: str, expected: str):
    assert GivenServer(address).url("y") == expected


def test_without_a_server_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.delenv("TEST_POSTGRES", raising=False)
    monkeypatch.setattr("tests.support.postgres.find_programs", lambda: None)
    with pytest.raises(PostgresUnavailableError, match="apt-get install postgresql"):
        Databases(tmp_path, "main").postgresql()


def test_what_is_missing_fails_a_test_in_ci(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no server"):
        unavailable("no server")


def test_what_is_missing_skips_a_test_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no server"):
        unavailable("no server")


def all_of(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open every connection that the pool has, at once, and give them back in the end."""
    with ExitStack() as stack:
        many = max(1, cast(QueuePool, engine.pool).checkedin())
        yield from [stack.enter_context(engine.connect()) for _ in range(many)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("in_use", [0, 1])
def test_only_connections_that_were_given_back_are_kept_for_the_next_test(
    app: Flask, settings: Settings, in_use: int
):
    process = sa.text("SELECT pg_backend_pid()")
    with app.app_context():
        # Tests before this one may have left several, and the pool gives them out in turn.
        kept = {connection.scalar(process) for connection in all_of(db.engine)}
        let_go(db.engine, in_use=in_use)
    following = create_app(settings)
    with following.app_context():
        share_compiled(db.engine)
        with db.engine.connect() as connection:
            assert (connection.scalar(process) in kept) is (in_use == 0)


def test_no_context_stays_open_around_a_test(app: Flask):
    assert app.extensions["storefront"]
    assert not has_app_context()


def test_a_process_and_a_thread_left_running_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.support.leftovers._PATIENCE_SECONDS", 0.2)
    watch, done = Watch(), threading.Event()
    thread = threading.Thread(target=done.wait, name="forgotten")
    thread.start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    left = watch.left()
    done.set()
    thread.join()
    child.communicate(b"\n")
    assert [name.split()[0] for name in left] == ["thread", "process"]
    assert watch.left() == []


def test_routes_read_once_still_use_the_converters_of_their_own_map():
    class Loud(BaseConverter):
        regex = "[A-Z]+"

        def to_url(self, value: str) -> str:
            return value.upper()

    class Quiet(BaseConverter):
        regex = "[a-z]+"

        def to_url(self, value: str) -> str:
            return value.lower()

    build_once()
    shops = [
        Map([Rule("/of/<way:word>", endpoint="of")], converters={"way": way}).bind("shop.example")
        for way in (Loud, Quiet, Loud)
    ]
    paths = ["/of/TEA", "/of/tea", "/of/TEA"]
    assert [shop.build("of", {"word": "Tea"}) for shop in shops] == paths
    for shop, path in zip(shops, paths, strict=True):
        assert shop.match(path) == ("of", {"word": path.removeprefix("/of/")})
        assert not shop.test(path.swapcase().replace("/OF/", "/of/"))


@pytest.mark.browser
def test_the_browser_shows_a_page(chromium: Browser):
    page = chromium.new_page()
    page.set_content("<h1>Nine Kettles</h1>")
    assert page.get_by_role("heading").inner_text() == "Nine Kettles"
    page.close()
