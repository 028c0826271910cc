"""Operator commands that look after the process."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event
from sqlalchemy.pool import Pool

from storefront.cli import COMMANDS, main
from storefront.settings import PREFIX
from tests.support.databases import Database


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a small shop on its own folder, and nothing of the machine's."""
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "test")
    monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))
    return monkeypatch


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.mark.usefixtures("environ")
def test_every_command_can_be_loaded_and_explains_itself():
    listing = run("--help").output
    assert all(name in listing for name in COMMANDS)
    for name in COMMANDS:
        assert run(name, "--help").exit_code == 0


def test_check_lists_everything_wrong_at_once(environ: pytest.MonkeyPatch):
    environ.setenv("STOREFRONT_ENVIRONMENT", "production")
    done = run("check")
    assert done.exit_code == 1
    named = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert {"secret_key", "base_url", "trusted_hosts", "mail_url"} <= named


def test_check_names_a_variable_that_nothing_reads(environ: pytest.MonkeyPatch):
    environ.setenv("STOREFRONT_BASEURL", "https://shop.example")
    assert run("migrate").exit_code == 0
    done = run("check")
    assert (done.exit_code, "STOREFRONT_BASEURL" in done.stderr) == (1, True)


def in_production(environ: pytest.MonkeyPatch) -> None:
    values = {
        "ENVIRONMENT": "production",
        "SECRET_KEY": "k" * 40,
        "BASE_URL": "https://boxes.example",
        "TRUSTED_HOSTS": "boxes.example",
        "MAIL_URL": "smtp://mail.example:587",
    }
    for name, value in values.items():
        environ.setenv(f"STOREFRONT_{name}", value)


def test_check_lists_the_rest_although_one_value_cannot_be_read(environ: pytest.MonkeyPatch):
    environ.setenv("STOREFRONT_ENVIRONMENT", "production")
    environ.setenv("STOREFRONT_LEASE_SECONDS", "soon")
    environ.setenv("STOREFRONT_BASEURL", "https://shop.example")
    done = run("check")
    assert done.exit_code == 1
    named = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert {"lease_seconds", "secret_key", "trusted_hosts", "STOREFRONT_BASEURL"} <= set(named)
    assert len(named) == len(set(named))


def test_check_says_in_one_line_that_production_has_no_gateway(environ: pytest.MonkeyPatch):
    in_production(environ)
    assert run("migrate").exit_code == 0
    done = run("check")
    assert done.exit_code == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["gateway"]
    assert "plugin demo-gateway is off: it moves no money" in done.stderr


def test_check_names_the_people_of_a_demo_in_production(environ: pytest.MonkeyPatch):
    run("migrate")
    shop = ("--name", "Boxes", "--support-email", "hello@shop.example", "--seller-name", "Boxes")
    place = ("--seller-address", "Lindenweg 4; 07743 Jena", "--country", "DE")
    assert run("setup", *shop, *place).exit_code == 0
    added = ("staff", "add", "owner@shop.example", "--name", "Greta")
    assert run(*added, "--password", "kettles on the hob").exit_code == 0
    in_production(environ)
    assert "1 on the staff with the password of a demo" in run("check").stderr


@pytest.mark.usefixtures("environ")
def test_check_tells_of_an_empty_database_and_migrate_mends_it():
    assert "run `storefront migrate`" in run("check").stderr
    assert run("migrate").exit_code == 0
    assert run("migrate").exit_code == 0
    done = run("check")
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.usefixtures("environ")
def test_nothing_is_served_on_another_schema(command: str):
    done = run(command)
    assert done.exit_code == 1
    assert "run `storefront migrate`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_production_does_not_start_with_the_default_secret(
    environ: pytest.MonkeyPatch, command: str
):
    environ.setenv("STOREFRONT_ENVIRONMENT", "production")
    done = run(command)
    assert (done.exit_code, "secret_key" in done.stderr) == (1, True)


@pytest.mark.usefixtures("environ")
def test_a_backup_is_written_once_and_never_over_another_file(tmp_path: Path):
    run("migrate")
    target = tmp_path / "copy.db"
    assert run("backup", str(target)).exit_code == 0
    assert run("backup", str(target)).exit_code == 1


def test_postgresql_has_its_own_backup(
    environ: pytest.MonkeyPatch, database: Database, tmp_path: Path
):
    environ.setenv("STOREFRONT_DATABASE_URL", database.url)
    done = run("backup", str(tmp_path / "copy.db"))
    assert done.exit_code == (1 if database.kind == "postgresql" else 0)
    assert ("pg_dump" in done.stderr) is (database.kind == "postgresql")


def test_a_command_leaves_no_connection_open(environ: pytest.MonkeyPatch, database: Database):
    environ.setenv("STOREFRONT_DATABASE_URL", database.url)
    opened: list[Any] = []

    closed: list[Any] = []

    def note_opened(connection: Any, _record: object) -> None:
        opened.append(connection)

    def note_closed(connection: Any, _record: object) -> None:
        closed.append(connection)

    event.listen(Pool, "connect", note_opened)
    event.listen(Pool, "close", note_closed)
    try:
        assert run("check").exit_code == 0
    finally:
        event.remove(Pool, "connect", note_opened)
        event.remove(Pool, "close", note_closed)
    assert opened
    assert closed == opened
