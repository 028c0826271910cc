"""The command that writes the documents of a month."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from storefront.app import create_app
from storefront.cli import main
from storefront.extensions import db
from storefront.settings import PREFIX, load_settings
from storefront.testing.factories import make_shop, make_subscription


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The month of a paid order in a shop that the commands find by the environment."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "test")
    monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))
    assert run("migrate").exit_code == 0
    app = create_app(load_settings(os.environ))
    with app.app_context():
        rt = app.extensions["storefront"]
        make_shop(rt)
        make_subscription(rt)
        today = rt.today()
        db.session.remove()
        db.engine.dispose()
    for gateway in rt.gateways.values():
        gateway.bank.close()
    return f"{today:%Y-%m}"


def test_a_months_documents_are_written_and_the_same_again(month: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("invoices", "--month", month, "--out", str(out))
    assert (done.exit_code, done.stdout) == (0, f"1 documents in {out}\n")
    assert "documents written: 1 of 1" in done.stderr
    assert [path.name for path in out.iterdir()] == ["invoice-1.pdf"]
    first = (out / "invoice-1.pdf").read_bytes()
    assert first.startswith(b"%PDF-")
    run("invoices", "--month", month, "--out", str(out))
    assert (out / "invoice-1.pdf").read_bytes() == first


def test_the_command_names_the_documents_that_show_a_mark(
    month: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storefront.documents.pdf.illegible", lambda _sheet: "山田")
    done = run("invoices", "--month", month, "--out", str(tmp_path / "out"))
    assert "invoice-1.pdf: 山 田" in done.stderr


def test_a_month_without_documents_says_so(month: str, tmp_path: Path) -> None:
    done = run("invoices", "--month", "2020-12", "--out", str(tmp_path / "out"))
    assert (done.exit_code, done.stdout) == (0, "nothing issued in 2020-12\n")


@pytest.mark.parametrize("typed", ["2027", "2027-13", "march", "2027-03-01", ""])
def test_what_is_no_month_is_refused(month: str, typed: str, tmp_path: Path) -> None:
    done = run("invoices", "--month", typed, "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert "write it like 2027-03" in done.stderr
