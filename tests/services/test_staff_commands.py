"""Letting people in and renewing by hand, from the command line."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from storefront.adapters import totp
from storefront.app import create_app
from storefront.cli import main
from storefront.extensions import db
from storefront.models import Staff
from storefront.services import two_step
from storefront.services.two_step import Person
from storefront.settings import PREFIX
from storefront.testing import factories as make

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migrated shop of its own, found by the environment."""
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "test")
    monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))
    assert run("migrate").exit_code == 0
    app = create_app()
    with app.app_context():
        make.make_shop(app.extensions["storefront"])
        db.session.remove()
        db.engine.dispose()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def add(email: str, role: str = "owner") -> Result:
    options = ("--name", "Mia", "--password", PASSWORD, "--role", role)
    return run("staff", "add", email, *options)


def test_staff_are_added_listed_and_locked_out() -> None:
    assert "mia@shop.example may sign in as owner" in add("mia@shop.example").output
    add("sam@shop.example", "support")
    assert "sam@shop.example  support  Mia" in run("staff", "list").output
    assert run("staff", "role", "sam@shop.example", "fulfilment").exit_code == 0
    assert run("staff", "disable", "sam@shop.example").exit_code == 0
    listed = run("staff", "list").output
    assert "sam@shop.example  fulfilment  Mia  locked out" in listed


def test_what_is_refused_is_said_without_a_trace() -> None:
    add("mia@shop.example")
    for refused in (
        add("mia@shop.example"),
        add("not an address"),
        run("staff", "disable", "mia@shop.example"),
        run("staff", "disable", "nobody@shop.example"),
    ):
        assert refused.exit_code == 1
        assert refused.stderr.startswith("Error: ")
        assert "Traceback" not in refused.output


def test_renewing_says_what_is_due_and_charges_only_when_told() -> None:
    assert "0 renewals are due; --now charges them" in run("renew").output
    assert "0 renewals looked at: nothing to do" in run("renew", "--now").output


def test_an_owner_who_lost_the_authenticator_is_let_in_by_command() -> None:
    add("mia@shop.example")
    assert "mia@shop.example has none" in run("staff", "two-step-off", "mia@shop.example").output
    app = create_app()
    with app.app_context():
        rt = app.extensions["storefront"]
        mia = Person("staff", db.session.scalars(sa.select(Staff.id)).one())
        db.session.rollback()
        two_step.begin(rt, mia)
        setup = two_step.setup_of(rt, mia, "mia@shop.example")
        assert setup is not None
        two_step.confirm(rt, mia, totp.code_at(setup.secret.replace(" ", ""), rt.now()))
        done = run("staff", "two-step-off", "Mia@shop.example")
        assert "signs in without a second step" in done.output
        assert not two_step.is_asked(rt, mia)
        db.session.remove()
        db.engine.dispose()
    assert run("staff", "two-step-off", "eve@shop.example").exit_code == 1
