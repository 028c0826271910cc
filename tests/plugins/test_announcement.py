"""The announcement plugin, from its settings to the page."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from storefront.plugins import Hooks, load_plugins
from storefront.settings import Settings
from storefront.testing.clock import FrozenClock

TEXT = "We pack <late> this week."


def announcing(tmp_path: Path, clock: FrozenClock, **values: str) -> Hooks:
    environ = {f"STOREFRONT_ANNOUNCEMENT_{name.upper()}": value for name, value in values.items()}
    return load_plugins(Settings(environment="test", data_dir=tmp_path), clock, environ)


def test_the_line_stands_in_the_slot_and_is_escaped(tmp_path: Path, clock: FrozenClock) -> None:
    hooks = announcing(tmp_path, clock, text=TEXT)
    shown = hooks.slot("page.top", {"frame": "shop"})
    assert "We pack &lt;late&gt; this week." in shown
    assert "href" not in shown


def test_it_is_gone_the_day_after_its_last(tmp_path: Path, clock: FrozenClock) -> None:
    hooks = announcing(tmp_path, clock, text=TEXT, until="2027-03-02")
    assert hooks.slot("page.top", {"frame": "shop"})
    clock.set(datetime(2027, 3, 3, tzinfo=UTC))
    assert not hooks.slot("page.top", {"frame": "shop"})


@pytest.mark.parametrize(
    ("slot", "ctx", "values"),
    [
        ("page.top", {"frame": "account"}, {"text": TEXT}),
        ("plan.card", {"frame": "shop"}, {"text": TEXT}),
        ("page.top", {"frame": "shop"}, {}),
    ],
)
def test_it_shows_only_where_and_when_there_is_something(
    tmp_path: Path, clock: FrozenClock, slot: str, ctx: dict[str, Any], values: dict[str, str]
) -> None:
    assert not announcing(tmp_path, clock, **values).slot(slot, ctx)


def test_a_link_that_is_no_web_address_switches_it_off(tmp_path: Path, clock: FrozenClock) -> None:
    hooks = announcing(tmp_path, clock, text=TEXT, link="javascript:alert(1)")
    assert "link must start with" in hooks.failed["announcement"]
    assert not hooks.slot("page.top", {"frame": "shop"})


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, plugins={"announcement": {"text": TEXT, "link": "/news"}})


def test_the_line_is_on_the_page(client: FlaskClient) -> None:
    page = client.get("/nowhere")
    assert '<a href="/news">We pack &lt;late&gt; this week.</a>' in page.text
