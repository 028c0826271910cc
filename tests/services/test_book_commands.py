"""The commands that look after the books: their words and their exit codes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from storefront.cli import main
from storefront.database import create_engine
from storefront.domain.ledger import JournalKind
from storefront.models import LedgerJournal, LedgerTransfer
from storefront.settings import PREFIX


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small shop of its own, and nothing of the machine's environment."""
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "test")
    monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))
    monkeypatch.setenv("STOREFRONT_DATABASE_URL", f"sqlite:///{tmp_path / 'shop.sqlite'}")
    assert run("migrate").exit_code == 0
    named = ("--name", "Boxes", "--support-email", "hello@shop.example", "--seller-name", "Boxes")
    assert run("setup", *named, "--seller-address", "Lindenweg 4", "--country", "DE").exit_code == 0


@pytest.fixture
def engine(tmp_path: Path):
    made = create_engine(f"sqlite:///{tmp_path / 'shop.sqlite'}")
    yield made
    made.dispose()


@pytest.fixture
def booked(engine: sa.Engine) -> None:
    """One sale by hand that no document stands behind."""
    journal = {"id": 1, "kind": JournalKind.INVOICE_FINALISED, "event_ref": "inv_x"}
    row = {"id": 1, "journal_id": 1, "debit": "receivable", "credit": "revenue"}
    with engine.begin() as connection:
        at = datetime(2027, 3, 2, 9, tzinfo=UTC)
        connection.execute(sa.insert(LedgerJournal), [{**journal, "at": at}])
        connection.execute(
            sa.insert(LedgerTransfer), [{**row, "amount_minor": 5, "currency": "EUR"}]
        )


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


MARCH = ("export-accounting", "--from", "2027-03-01", "--to", "2027-03-31", "--out")


def test_an_export_says_what_it_wrote_and_refuses_a_full_folder(tmp_path: Path):
    out = str(tmp_path / "march")
    done = run(*MARCH, out)
    assert done.exit_code == 0
    assert "0 rows in" in done.output
    assert "every total equals the ledger" in done.output
    again = run(*MARCH, out)
    assert (again.exit_code, "export_exists" in again.stderr) == (1, True)


@pytest.mark.usefixtures("booked")
def test_a_difference_ends_the_export_with_one_line_that_names_it(tmp_path: Path):
    done = run(*MARCH, str(tmp_path / "march"))
    assert done.exit_code == 1
    assert "invoices.csv: net in EUR is 0.00, the ledger says 0.05" in done.stderr
    assert not (tmp_path / "march").exists()


def test_a_day_that_is_none_is_refused():
    assert (
        run("export-accounting", "--from", "2027-02-30", "--to", "x", "--out", "y").exit_code == 2
    )


def test_a_ledger_without_seals_says_so():
    done = run("verify-ledger")
    assert (done.exit_code, "no day is sealed yet" in done.output) == (0, True)


def test_a_whole_shop_says_so_rule_by_rule():
    done = run("self-check")
    assert done.exit_code == 0, done.output
    assert "BROKEN" not in done.output
    assert "holds   M1" in done.output


@pytest.mark.usefixtures("booked")
def test_a_broken_rule_ends_the_check_with_1_and_is_named():
    done = run("self-check")
    assert done.exit_code == 1
    assert "BROKEN  L3" in done.output
    assert "1 broken: L3" in done.stderr


def test_reconcile_says_for_each_gateway_what_was_compared() -> None:
    done = run("reconcile")
    assert (done.exit_code, "demo demo: 0 charges compared" in done.output) == (0, True)
    assert run("reconcile", "--gateway", "nobody").exit_code == 1


def test_a_database_nobody_confirmed_charges_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def live(_rt: object) -> dict[str, str]:
        return {"demo": "demo"}

    monkeypatch.setattr("storefront.charges.live_accounts", live)
    monkeypatch.setattr("storefront.services.installation.live_accounts", live)
    told = run("check")
    assert (told.exit_code, "run: storefront confirm" in told.stderr) == (1, True)
    assert "run: storefront confirm" in run("renew", "--now").stderr
    assert run("confirm", "--yes").exit_code == 0
    assert "run: storefront confirm" not in run("check").stderr
    assert run("renew", "--now").exit_code == 0
