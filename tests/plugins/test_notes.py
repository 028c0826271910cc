"""The notes plugin: its places in real pages, escaped, and left out when they fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.hooks import Piece, hookimpl
from storefront.plugins import load_plugins
from storefront.runtime import Runtime
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.visitor import Visitor, customer_with_password


@pytest.fixture
def settings(settings: Settings) -> Settings:
    texts = {
        "plans": "tea: Now with a <tasting> card; coffee: Mondays",
        "account": "Tasting evening on Friday.",
    }
    return replace(settings, plugins={"notes": texts})


def test_a_card_has_the_note_of_its_plan_alone_and_it_is_escaped(
    rt: Runtime, client: FlaskClient
) -> None:
    make.make_plan(rt, code="tea")
    page = client.get("/").text
    assert '<p class="meta">Now with a &lt;tasting&gt; card</p>' in page
    assert "Mondays" not in page


def test_the_account_has_its_note_and_nobody_else(app: Flask, rt: Runtime) -> None:
    customer_with_password(rt, "ada@example.org")
    ada = Visitor.of(app).sign_in("ada@example.org")
    assert "Tasting evening on Friday." in ada.get("/account/").text
    assert "Tasting evening" not in app.test_client().get("/").text


def test_a_template_that_fails_is_left_out_and_the_page_goes_on(
    app: Flask, rt: Runtime, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        @hookimpl
        def slot(self, name: str) -> Piece | None:
            return Piece("nowhere/at/all.html") if name == "plan.card" else None

    make.make_plan(rt, code="tea")
    rt.hooks.register(Broken(), name="broken")
    page = client.get("/")
    assert page.status_code == 200
    assert "tasting" in page.text
    assert "plugin broken failed in slot plan.card" in caplog.text


def test_a_text_without_a_plan_switches_the_plugin_off_and_says_why(
    tmp_path: Path, clock: FrozenClock
) -> None:
    hooks = load_plugins(
        Settings(environment="test", data_dir=tmp_path),
        clock,
        {"STOREFRONT_NOTES_PLANS": "no colon"},
    )
    assert "no colon" in str(hooks.failed["notes"])
