"""The plans on other sites: who may frame them, what leaves the frame, what the merchant sets."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

SITE = "https://tea.example"


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    make.make_plan(rt, code="tea", name="Tea box")
    make.make_plan(rt, code="coffee", name="Coffee box")
    browser = desk(app, rt)
    browser.get("/admin/settings")
    return browser


def allow(owner: Desk, *sites: str) -> None:
    answer = owner.post("/admin/settings/embed", {"embed_origins": "\n".join(sites)})
    assert answer.status_code == 303


def ancestors(headers: object) -> str:
    found = re.search(r"frame-ancestors ([^;]*)", dict(headers)["Content-Security-Policy"])  # type: ignore[call-overload]
    assert found is not None
    return str(found[1])


def test_nobody_frames_the_plans_before_the_merchant_names_a_site(
    owner: Desk, client: FlaskClient
) -> None:
    page = client.get("/embed/plans", query_string={"site": SITE})
    assert (page.status_code, ancestors(page.headers)) == (200, "'none'")
    assert "data-site" not in page.text


def test_a_named_site_frames_the_plans_and_no_other_page(owner: Desk, client: FlaskClient) -> None:
    allow(owner, f"{SITE}/any/page", "https://b.example")
    page = client.get("/embed/plans", query_string={"site": SITE})
    assert ancestors(page.headers) == f"{SITE} https://b.example"
    assert f'data-site="{SITE}"' in page.text
    for path in ("/", "/plans/tea", "/sign-in", "/checkout", "/embed/nothing"):
        assert ancestors(client.get(path).headers) == "'none'"


def test_a_site_that_is_not_named_learns_no_height(owner: Desk, client: FlaskClient) -> None:
    allow(owner, SITE)
    for other in ("https://evil.example", "*", f"{SITE}.evil.example", '"><script>'):
        page = client.get("/embed/plans", query_string={"site": other})
        assert "data-site" not in page.text
        assert "<script>" not in page.text


def test_every_link_out_of_the_frame_opens_the_shop_as_the_whole_page(
    owner: Desk, client: FlaskClient
) -> None:
    allow(owner, SITE)
    page = client.get("/embed/plans", query_string={"site": SITE, "lang": "de"}).text
    links = [link for link in re.findall(r"<a [^>]*>", page) if 'href="/embed/' not in link]
    assert len(links) == 4
    for link in links:
        assert 'target="_top"' in link
        assert "ref=tea.example" in link
        assert "lang=de" in link
        address = unescape(link.partition('href="')[2].partition('"')[0])
        assert client.get(address).status_code == 200


def test_the_element_asks_for_some_plans_an_interval_and_a_language(
    owner: Desk, client: FlaskClient
) -> None:
    whole = client.get("/embed/plans").text
    assert "Tea box" in whole
    assert "Coffee box" in whole
    some = client.get("/embed/plans?plan=tea+other&lang=fr&interval=7y").text
    assert '<html lang="fr"' in some
    assert "Tea box" in some
    assert "Coffee box" not in some
    assert 'target="_top"' in client.get("/embed/plans?plan=other").text


def test_the_frame_knows_nobody_sets_no_cookie_and_is_not_found_by_search_engines(
    owner: Desk,
) -> None:
    page = owner.get("/embed/plans")
    assert "Mia" not in page.text
    assert "csrf" not in page.text
    assert "Set-Cookie" not in page.headers
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert page.headers["Cache-Control"] == "public, max-age=60"


def test_the_script_may_be_loaded_by_any_site_and_is_kept_for_an_hour(client: FlaskClient) -> None:
    answer = client.get("/embed/v1.js")
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"].startswith("public, max-age=3600")
    assert "Cookie" not in answer.vary
    again = client.get("/embed/v1.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    packed = client.get("/embed/v1.js", headers={"Accept-Encoding": "gzip"})
    assert len(packed.data) < 2000


def test_files_differ_for_nobody(client: FlaskClient) -> None:
    page = client.get("/").text
    files = re.findall(r'(?:href|src)="(/assets/[^"#]*)', page)
    assert len(files) > 3
    for file in files:
        assert "Cookie" not in client.get(file).vary


def test_what_is_no_site_is_said_beside_the_field_and_stays_typed(owner: Desk) -> None:
    allow(owner, SITE)
    typed = {"embed_origins": "https://b.example\n*.example"}
    answer = owner.post("/admin/settings/embed", typed)
    assert answer.status_code == 422
    assert "“*.example” is no site" in answer.text
    assert "https://b.example\n*.example" in answer.text.replace("\r\n", "\n")
    many = "\n".join(f"https://s{number}.example" for number in range(21))
    assert owner.post("/admin/settings/embed", {"embed_origins": many}).status_code == 422
    assert ancestors(owner.client.get("/embed/plans").headers) == SITE


def test_sites_that_are_taken_out_may_frame_no_more(owner: Desk, client: FlaskClient) -> None:
    allow(owner, SITE)
    allow(owner)
    assert ancestors(client.get("/embed/plans").headers) == "'none'"


def test_the_merchant_copies_the_snippet_from_the_settings(owner: Desk) -> None:
    page = owner.get("/admin/settings").text
    assert "&lt;script async src=&#34;http://localhost/embed/v1.js&#34;&gt;" in page
    assert "&lt;storefront-plans&gt;&lt;a href=&#34;http://localhost/&#34;&gt;" in page
