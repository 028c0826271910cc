"""What stands above every page of the admin: a copied database, and renewals that are late."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import charges
from storefront.models import AuditEntry
from storefront.runtime import Runtime
from storefront.services.installation import confirm
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import PASSWORD, desk

LOCKED = "Nothing is charged and no mail is sent."


@pytest.fixture(params=["sqlite"])
def database(databases: Any, tmp_path: Any) -> Any:
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def live(rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo gateway, taken for one that moves real money."""

    def accounts(_rt: Runtime) -> dict[str, str]:
        return {"demo": "demo"}

    make.make_shop(rt)
    for place in (
        "storefront.charges",
        "storefront.services.installation",
        "storefront.blueprints.admin.installation",
    ):
        monkeypatch.setattr(f"{place}.live_accounts", accounts)


def actions(rt: Runtime) -> list[str]:
    found = list(rt.session.scalars(sa.select(AuditEntry.action)))
    rt.session.rollback()
    return found


@pytest.mark.usefixtures("live")
def test_a_copied_database_says_so_everywhere_until_an_owner_confirms_with_their_password(
    app: Flask, rt: Runtime
) -> None:
    browser = desk(app, rt)
    for path in ("/admin/", "/admin/plans", "/admin/installation"):
        assert LOCKED in browser.get(path).text

    wrong = browser.post("/admin/installation", {"password": "a wrong password"})
    assert (wrong.status_code, "This is not your password" in wrong.text) == (422, True)
    assert not charges.is_unlocked(rt)

    assert browser.post("/admin/installation", {"password": PASSWORD}).status_code == 303
    assert charges.is_unlocked(rt)
    assert "installation.confirmed" in actions(rt)
    assert LOCKED not in browser.get("/admin/").text
    assert "It matches" in browser.get("/admin/installation").text


@pytest.mark.usefixtures("live")
def test_only_who_may_change_settings_confirms(app: Flask, rt: Runtime) -> None:
    support = desk(app, rt, "support")
    assert LOCKED in support.get("/admin/").text
    assert support.get("/admin/installation").status_code == 403
    assert support.post("/admin/installation", {"password": PASSWORD}).status_code == 403
    assert not charges.is_unlocked(rt)


@pytest.mark.usefixtures("live")
def test_a_confirmed_database_at_another_account_is_locked_again(
    app: Flask, rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm(rt)
    browser = desk(app, rt)
    assert LOCKED not in browser.get("/admin/").text
    monkeypatch.setattr(
        "storefront.blueprints.admin.installation.live_accounts", lambda _rt: {"demo": "other"}
    )
    assert LOCKED in browser.get("/admin/").text


def test_play_money_needs_no_confirmation(app: Flask, rt: Runtime) -> None:
    make.make_shop(rt)
    browser = desk(app, rt)
    assert LOCKED not in browser.get("/admin/").text
    assert "nothing has to be confirmed" in browser.get("/admin/installation").text


def test_late_renewals_stand_above_every_page_until_the_owner_lets_them_go_on(
    app: Flask, rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, ships=False)
    populate(rt, plan, make.price_of(rt, plan), 3, date(2027, 3, 12))
    clock.set(datetime(2027, 3, 20, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    rt.session.rollback()
    browser = desk(app, rt)
    for path in ("/admin/", "/admin/plans"):
        page = browser.get(path).text
        assert "3 renewals fell due while nothing ran for two days" in page
        assert "€78.00" in page
        assert "the oldest of" in page
    support = desk(app, rt, "support").get("/admin/").text
    assert "Let them go on" not in support
    assert demo_gateway.bank.executed_count() == 0

    assert browser.post("/admin/release-outage").status_code == 303
    assert "fell due while nothing ran" not in browser.get("/admin/").text
    assert {"late.released", "outage.released"} <= set(actions(rt))
    rt.forget_shop()
    assert run_renewals(rt).billed == 3
