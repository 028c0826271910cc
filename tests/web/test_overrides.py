"""Templates of a merchant's folder: shown instead of ours, and never a broken page."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.overrides import copy, replaceable, strangers
from storefront.runtime import Runtime
from storefront.settings import Settings, problems
from storefront.testing import factories as make
from tests.support.admin import desk
from tests.support.visitor import Visitor

INDEX = "storefront/pricing/index.html"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "own"
    made.mkdir()
    return made


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    return replace(settings, templates_dir=str(folder))


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_one_block_of_ours_is_changed_and_the_rest_stays(
    rt: Runtime, folder: Path, client: FlaskClient
) -> None:
    make.make_plan(rt, name="Tea box")
    own = (
        '{% extends "ours/'
        + INDEX
        + '" %}{% block content %}<p>Hello!</p>{{ super() }}{% endblock %}'
    )
    write(folder, INDEX, own)
    page = client.get("/").text
    assert "<p>Hello!</p>" in page
    assert "Tea box" in page


def test_the_examples_of_the_docs_do_what_they_say(
    rt: Runtime, folder: Path, client: FlaskClient
) -> None:
    make.make_plan(rt, group=make.make_group(rt))
    text = (Path(__file__).parents[2] / "docs/theming.md").read_text()
    examples = re.findall(r'```html\n(\{% extends "ours/([^"]+)" %\}\n.*?)```', text, re.DOTALL)
    assert [name for _example, name in examples] == [
        "storefront/frames/shop.html",
        "storefront/pricing/index.html",
    ]
    for example, name in examples:
        write(folder, name, example)
    lines = "Free tasting every Friday.", "New: boxes for two."
    assert [line in client.get("/").text for line in lines] == [True, True]
    assert [line in client.get("/past-boxes").text for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("one\n{% if %}", "line 2"),
        ("one\n\n{{ nobody.knows.this }}", "line 3"),
        ("{{ 1 / 0 }}", "division by zero"),
        ('{% include "storefront/gone.html" %}', "storefront/gone.html"),
    ],
)
def test_a_template_that_fails_is_named_in_the_log_and_ours_is_shown(
    folder: Path, client: FlaskClient, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    write(folder, INDEX, text)
    with caplog.at_level(logging.ERROR):
        page = client.get("/")
    assert page.status_code == 200
    assert "plans-title" in page.text
    (line,) = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert str(folder / INDEX) in line
    assert why in line
    assert "Traceback" not in caplog.text
    caplog.clear()
    assert client.get("/").status_code == 200
    assert "template" not in caplog.text


def test_what_was_sent_is_not_done_again_when_its_page_fails(folder: Path, app: Flask) -> None:
    visitor = Visitor.of(app)
    visitor.get("/sign-in")
    write(folder, "storefront/auth/sign_in.html", "{{ 1 / 0 }}")
    assert app.jinja_env.cache is not None
    app.jinja_env.cache.clear()
    wrong = {"email": "nobody@example.org", "password": "not this one"}
    assert visitor.post("/sign-in/password", **wrong).status_code == 500
    assert visitor.post("/sign-in/password", **wrong).status_code == 422


def test_pages_of_staff_stay_ours(rt: Runtime, folder: Path, app: Flask) -> None:
    write(folder, "storefront/admin/settings/settings.html", "mine")
    assert desk(app, rt).get("/admin/settings").text != "mine"
    assert "storefront/admin/settings/settings.html" in strangers(str(folder))


def test_the_list_says_what_is_replaced_and_what_is_outdated(folder: Path) -> None:
    def state(name: str) -> str:
        return next(one.state for one in replaceable(str(folder)) if one.name == name)

    assert state(INDEX) == "ours"
    path = copy(str(folder), INDEX)
    assert state(INDEX) == "replaced"
    path.write_text("{#- storefront 0123456789ab -#}\n", encoding="utf-8")
    assert state(INDEX) == "outdated"
    path.write_text("mine", encoding="utf-8")
    assert state(INDEX) == "unmarked"
    with pytest.raises(FileExistsError):
        copy(str(folder), INDEX)
    for name in ("storefront/admin/base.html", "../../etc/passwd", "storefront/nothing.html"):
        with pytest.raises(KeyError):
            copy(str(folder), name)
    write(folder, "storefront/pricing/indx.html", "")
    assert strangers(str(folder)) == ["storefront/pricing/indx.html"]


def test_a_copy_shows_the_same_page(folder: Path, client: FlaskClient) -> None:
    copy(str(folder), INDEX)
    copy(str(folder), "storefront/base.html")
    page = client.get("/").text
    assert page.startswith("<!doctype html>")
    assert "plans-title" in page


def test_a_folder_that_is_not_there_is_said_at_start(tmp_path: Path) -> None:
    wrong = Settings(environment="test", templates_dir=str(tmp_path / "nowhere"))
    assert any("templates_dir" in one for one in problems(wrong))
