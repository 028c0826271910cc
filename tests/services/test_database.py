"""Transactions on both databases: write by default, read only on request, tried again when busy."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from storefront import database as db_module
from storefront.database import (
    backup,
    create_engine,
    is_busy,
    is_postgresql,
    reading,
    retrying,
    sqlite_module,
)
from storefront.migrate import SchemaError, require_current_schema, schema_state, upgrade
from storefront.models.settings import Throttle
from tests.support.databases import Database

AT = datetime(2027, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    made = create_engine(database.url)
    yield made
    made.dispose()


@pytest.fixture
def impatient(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """An engine that waits one second for a lock instead of five."""
    monkeypatch.setattr(db_module, "BUSY_SECONDS", 1)
    made = create_engine(database.url)
    yield made
    made.dispose()


def row(key: str) -> Throttle:
    return Throttle(bucket="test", key=key, window_start_at=AT, count=1)


def count(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Throttle)) or 0


def test_a_write_while_reading_fails_loudly(engine: sa.Engine):
    with reading(), Session(engine) as session:
        assert count(session) == 0
        session.add(row("a"))
        with pytest.raises(sa.exc.DBAPIError):
            session.flush()


def test_the_same_connection_writes_again_after_reading(engine: sa.Engine):
    with reading(), Session(engine) as session:
        count(session)
    with Session(engine) as session:
        session.add(row("a"))
        session.commit()
        assert count(session) == 1


def test_reading_goes_on_while_another_writes(engine: sa.Engine):
    with Session(engine) as writer:
        writer.add(row("a"))
        writer.flush()
        with reading(), Session(engine) as reader:
            assert count(reader) == 0
        writer.commit()


def test_instants_come_back_aware_and_in_utc(engine: sa.Engine):
    with Session(engine) as session:
        session.add(row("a"))
        session.commit()
        assert session.scalars(sa.select(Throttle)).one().window_start_at == AT


def test_a_second_writer_that_gives_up_is_told_that_the_database_is_busy(
    engine: sa.Engine, impatient: sa.Engine
):
    with Session(engine) as first, Session(impatient) as second:
        first.add(row("a"))
        first.flush()
        second.add(row("a"))
        with pytest.raises(sa.exc.DBAPIError) as caught:
            second.flush()
        assert is_busy(caught.value)


def test_a_busy_transaction_is_done_again_from_its_start(engine: sa.Engine, impatient: sa.Engine):
    first, tries = Session(engine), []
    first.add(row("a"))
    first.flush()
    with Session(impatient) as second:

        def work() -> int:
            tries.append(1)
            if len(tries) > 1:
                first.rollback()
            second.add(row("a"))
            second.commit()
            return count(second)

        assert retrying(second, work) == 1
    assert len(tries) == 2
    first.close()


def test_another_error_is_raised_at_once_and_leaves_nothing(engine: sa.Engine):
    tries = []
    with Session(engine) as session:

        def work() -> None:
            tries.append(1)
            session.add_all([row("a"), row("a")])
            session.commit()

        with pytest.raises(sa.exc.IntegrityError):
            retrying(session, work)
        assert (len(tries), count(session)) == (1, 0)


def test_the_database_says_which_kind_it_is(engine: sa.Engine, database: Database):
    with Session(engine) as session:
        assert is_postgresql(session) is (database.kind == "postgresql")


def test_postgresql_plans_a_statement_once_though_transactions_roll_back(
    engine: sa.Engine, database: Database
):
    if database.kind != "postgresql":
        return

    def prepared(session: Session) -> int:
        names = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%throttle%'"
        return session.scalar(sa.text(names)) or 0

    with Session(engine) as session:
        for _ in range(7):
            count(session)
            session.rollback()
        assert prepared(session) == 1
        session.rollback()
        session.add_all([row("a"), row("a")])
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()
        session.rollback()
        assert prepared(session) == 0


def test_postgresql_works_in_utc(engine: sa.Engine, database: Database):
    if database.kind != "postgresql":
        return
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW timezone").scalar() == "UTC"


# ----------------------------------------------------------------------------------- SQLite


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[sa.Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    upgrade(made)
    yield made
    made.dispose()


def test_sqlite_is_safe_durable_and_checks_its_keys(lite: sa.Engine):
    with lite.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "synchronous", "journal_mode", "busy_timeout")
        }
    safe = sqlite_module().sqlite_version_info >= db_module.SAFE_WAL_VERSION
    full = 2
    assert pragmas == {
        "foreign_keys": 1,
        "synchronous": full,
        "journal_mode": "wal" if safe else "delete",
        "busy_timeout": 5000,
    }


def test_a_read_that_turns_into_a_write_never_fails_under_load(lite: sa.Engine):
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                with Session(lite) as session:
                    count(session)
                    session.add(row(f"{number}-{turn}"))
                    session.commit()
        except sa.exc.DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Session(lite) as session:
        assert count(session) == 40


def test_a_backup_taken_in_the_middle_of_writing_is_whole(lite: sa.Engine, tmp_path: Path):
    with Session(lite) as session:
        session.add_all([row(str(number)) for number in range(500)])
        session.commit()
        session.add(row("not committed"))
        session.flush()
        seen: list[tuple[int, int]] = []
        backup(lite, tmp_path / "copy.db", lambda left, total: seen.append((left, total)))
    assert seen[-1][0] == 0
    with closing(sqlite_module().connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM throttle").fetchone() == (500,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_files_copied_as_the_power_fails_hold_what_was_committed_and_no_more(
    lite: sa.Engine, tmp_path: Path
):
    """R-18: what lies on the disk in the middle of a write is opened again as after a crash."""
    with Session(lite) as session:
        session.add_all([row(str(number)) for number in range(500)])
        session.commit()
        session.add(row("not committed"))
        session.flush()
        copy = tmp_path / "after.db"
        for end in ("", "-wal"):
            shutil.copyfile(f"{lite.url.database}{end}", f"{copy}{end}")
    with closing(sqlite_module().connect(copy)) as opened:
        assert opened.execute("SELECT count(*) FROM throttle").fetchone() == (500,)
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_never_overwrites(lite: sa.Engine, tmp_path: Path):
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(FileExistsError):
        backup(lite, target, lambda _left, _total: None)
    assert target.read_text() == "precious"


# ----------------------------------------------------------------------------------- schema


def test_two_processes_that_migrate_at_once_do_it_once(tmp_path: Path):
    url, errors = f"sqlite:///{tmp_path / 'new.db'}", []

    def work() -> None:
        engine = create_engine(url)
        try:
            upgrade(engine)
        except sa.exc.DBAPIError as error:
            errors.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_empty_database_is_not_served(tmp_path: Path):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(SchemaError, match="run `storefront migrate`"):
        require_current_schema(engine)
    engine.dispose()


def test_a_newer_schema_is_not_served(engine: sa.Engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        assert schema_state(engine).unknown == {"9999"}
        with pytest.raises(SchemaError, match="newer than this version"):
            require_current_schema(engine)
    finally:
        _restore_revision(engine)


def test_a_migrated_database_is_served(engine: sa.Engine):
    require_current_schema(engine)


def test_keys_are_checked_again_after_a_migration(lite: sa.Engine):
    upgrade(lite)
    with lite.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def _restore_revision(engine: sa.Engine) -> None:
    """The tests on PostgreSQL share their database, and this table is not emptied."""
    (expected,) = schema_state(engine).expected
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE alembic_version SET version_num = :number"), {"number": expected}
        )
