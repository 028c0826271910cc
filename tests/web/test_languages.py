"""A page has an address in each language, and who came by it stays in that language."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.forms import Page
from tests.support.visitor import Visitor

HOME = "http://localhost"


@pytest.fixture
def pot(rt: Runtime) -> None:
    make.make_plan(rt, code="pot", name="Pot")


def alternates(page: str) -> dict[str, str]:
    return dict(re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)">', page))


@pytest.mark.usefixtures("pot")
def test_a_page_says_where_it_is_in_other_languages(client: FlaskClient) -> None:
    plain = client.get("/plans/pot?interval=1m").text
    german = client.get("/plans/pot?lang=de").text

    expected = {code: f"{HOME}/plans/pot?lang={code}" for code in ("en", "de", "fr")}
    expected["x-default"] = f"{HOME}/plans/pot"
    assert alternates(plain) == alternates(german) == expected
    assert f'<link rel="canonical" href="{HOME}/plans/pot">' in plain
    assert f'<link rel="canonical" href="{HOME}/plans/pot?lang=de">' in german
    assert '<html lang="de"' in german


@pytest.mark.usefixtures("pot")
def test_a_plan_that_is_not_listed_names_no_other_address(rt: Runtime, client: FlaskClient) -> None:
    make.make_plan(rt, code="friends", name="Friends", is_public=False)
    assert alternates(client.get("/plans/friends").text) == {}


@pytest.mark.usefixtures("pot")
def test_the_language_of_an_address_is_the_same_for_every_browser(client: FlaskClient) -> None:
    answers = [
        client.get("/?lang=fr", headers={"Accept-Language": browser})
        for browser in ("de", "en", "")
    ]
    assert len({answer.get_data() for answer in answers}) == 1
    assert {answer.headers["Vary"].count("Accept-Language") for answer in answers} == {0}
    assert all("s-maxage" in answer.headers["Cache-Control"] for answer in answers)
    assert all("Set-Cookie" not in answer.headers for answer in answers)
    assert "Accept-Language" in client.get("/").headers["Vary"]


@pytest.mark.usefixtures("pot")
def test_links_lead_on_in_the_language_of_the_address(client: FlaskClient) -> None:
    page = Page(f"{HOME}/?lang=de", client.get("/?lang=de").text)
    inside = [link for link in page.links if link.startswith(f"{HOME}/") and "#" not in link]
    assert len(inside) > 5
    strays = [link for link in inside if "lang=" not in link]
    assert strays == []
    assert not any(
        "lang=" in link for link in Page(HOME, client.get("/").text).links if "?" not in link
    )


@pytest.mark.usefixtures("pot")
def test_the_switch_is_links_that_keep_the_page(client: FlaskClient) -> None:
    html = client.get("/plans/pot?interval=1m&lang=de").text
    found = re.findall(r'<a href="([^"]+)" lang="(\w\w)"( aria-current="true")?>', html)
    assert found == [
        (f"/plans/pot?interval=1m&amp;lang={code}", code, ' aria-current="true"' * (code == "de"))
        for code in ("en", "de", "fr")
    ]


def test_the_switch_keeps_the_path_a_shop_is_mounted_under(
    rt: Runtime, client: FlaskClient
) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    html = client.get("/plans/pot", environ_overrides={"SCRIPT_NAME": "/boxes"}).text
    assert 'href="/boxes/plans/pot?lang=fr"' in html


@pytest.mark.usefixtures("pot")
def test_the_checkout_remembers_the_language_of_the_address(app: Flask) -> None:
    ada = Visitor.of(app)
    answer = ada.get("/checkout?plan=pot&lang=fr", **{"Accept-Language": "de"})
    assert any(one.startswith("language=fr;") for one in answer.headers.getlist("Set-Cookie"))
    assert '<html lang="fr"' in ada.get("/sign-in", **{"Accept-Language": "de"}).text
    assert '<html lang="fr"' in ada.get("/", **{"Accept-Language": "de"}).text


def test_a_choice_in_a_form_holds_over_the_address_it_was_made_on(client: FlaskClient) -> None:
    answer = client.post("/look", data={"language": "fr", "to": "/plans/pot?lang=de&interval=1m"})
    assert answer.location == "/plans/pot?interval=1m"


def test_another_choice_of_colours_forgets_no_language(client: FlaskClient) -> None:
    client.post("/look", data={"language": "fr", "theme": "dark"})
    answer = client.post("/look", data={"theme": "light", "to": "/?lang=de"})
    assert answer.location == "/?lang=de"
    assert '<html lang="fr" data-theme="light"' in client.get("/nowhere").text


@pytest.mark.usefixtures("pot")
def test_the_language_of_the_element_leads_into_the_shop(client: FlaskClient) -> None:
    links = Page(HOME, client.get("/embed/plans?lang=fr&plan=pot").text).links
    assert links
    assert all("lang=fr" in link for link in links)
    target = next(link for link in links if "/plans/pot" in link).removeprefix(HOME)
    further = Page(HOME, client.get(target, headers={"Accept-Language": "de"}).text).links
    assert any("/checkout" in link and "lang=fr" in link for link in further)
