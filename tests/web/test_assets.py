"""Files for the browser: cached for ever under their digest, small, and never another folder's."""

import gzip
import re

import pytest
from flask import Flask

from storefront import assets
from storefront.assets import FILES, FOLDER, asset_named, brand_url, static_url
from storefront.domain.look import Look


@pytest.fixture
def small_app():
    app = Flask("small")
    app.register_blueprint(assets.bp)
    return app


@pytest.fixture
def visit(small_app):
    return small_app.test_client()


def address(app, name):
    with app.test_request_context():
        return static_url(name)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_kept_for_ever_under_its_digest(small_app, visit, name):
    answer = visit.get(address(small_app, name))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.data == asset_named(name).body


def test_a_digest_of_yesterday_gets_todays_file_for_a_minute(visit):
    answer = visit.get("/assets/0123456789abcdef/app.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=60"


def test_a_file_travels_compressed_to_those_who_read_that(small_app, visit):
    answer = visit.get(address(small_app, "app.css"), headers={"Accept-Encoding": "gzip, br"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == asset_named("app.css").body
    assert "Accept-Encoding" in answer.vary


def test_a_file_that_is_known_is_not_sent_again(small_app, visit):
    first = visit.get(address(small_app, "app.js"))
    again = visit.get(
        address(small_app, "app.js"), headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/assets/x/storefront/app.css", "/assets/x/..%2Fsettings.py", "/assets/x/htmx.min.js"],
)
def test_nothing_but_the_listed_files_is_served(visit, path):
    assert visit.get(path).status_code == 404


def test_stylesheet_and_scripts_stay_within_their_budgets():
    assert len(asset_named("app.css").packed) <= 6_300
    assert len(asset_named("parts.css").packed) <= 3_000
    assert len(asset_named("app.js").packed) <= 4_096
    assert len(asset_named("htmx.js").packed) <= 13_700


def test_tightening_a_stylesheet_keeps_its_rules():
    css = asset_named("app.css").body.decode()
    assert css.count("{") == css.count("}")
    assert "/*" not in css
    assert "--s-4:1rem" in css
    assert re.search(r"calc\([^()]* [-+*] ", css), "calc needs the spaces around its signs"


def test_tightening_our_script_drops_comments_and_indentation_alone():
    source = (FOLDER / FILES["app.js"]).read_text(encoding="utf-8")
    body = asset_named("app.js").body.decode()
    lines = [line.strip() for line in source.splitlines()]
    assert body.splitlines() == [one for one in lines if one and not one.startswith("//")]
    for line in lines:
        assert line.count("`") % 2 == 0, f"a text that goes over a line loses spaces: {line}"
        assert "/*" not in line
        assert "*/" not in line


def test_our_own_colours_need_no_second_stylesheet(small_app):
    with small_app.test_request_context():
        assert brand_url(Look()) == ""


def test_another_brand_is_a_small_file_of_four_numbers(small_app, visit):
    with small_app.test_request_context():
        url = brand_url(Look(135, 85, 350, 120))
    answer = visit.get(url)
    assert answer.text == ":root{--brand-h:135;--brand-c:0.085;--accent-h:350;--accent-c:0.12}"
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "values",
    [
        "1-2-3",
        "150-0.1-20-0.12",
        "400-0.1-1-0.1-warm-serif-soft-even",
        "1-0.9-1-0.1-warm-serif-soft-even",
        "a-b-c-d-warm-serif-soft-even",
        "1-0.1-1-;}-warm-serif-soft-even",
        "1-0.1-1-0.1-warm-serif-soft-;}",
    ],
)
def test_a_brand_out_of_range_is_not_found(visit, values):
    assert visit.get(f"/assets/x/brand/{values}.css").status_code == 404


def test_headings_corners_ground_and_air_are_rules_of_the_same_file(small_app, visit):
    with small_app.test_request_context():
        url = brand_url(Look(paper="grey", heading="sans", corners="round", spacing="airy"))
    rules = visit.get(url).text
    assert "--paper-h:85;--paper-c:0;--font-head:var(--font-text)" in rules
    assert "--r-1:8px;--r-2:14px;--r-3:24px;--air:1.3}" in rules
    used = asset_named("app.css").body.decode()
    for name in re.findall(r"--[\w-]+(?=:)", rules):
        assert f"var({name})" in used, name


def test_each_look_has_an_address_of_its_own(small_app):
    looks = [Look(1), Look(spacing="airy"), Look(paper="cool"), Look(heading="sans")]
    with small_app.test_request_context():
        assert len({brand_url(look) for look in looks}) == len(looks)
