"""Pages and questions that staff write: on the desk, in the shop, for caches and for machines."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.domain.content import MOST_PAGES
from storefront.models import ContentPage
from storefront.queries import content as query
from storefront.runtime import Runtime
from storefront.services.content import remove_page
from storefront.testing import factories as make
from tests.support.content import write_page, write_question
from tests.support.desk import PARTIAL, Desk
from tests.support.notices import make_writer

NEW_PAGE, NEW_QUESTION = "/admin/content/pages/new", "/admin/content/questions/new"
PAGE = {
    "title_en": "About us",
    "text_en": "# Nine\n\nWe **brew**.",
    "title_de": "Über uns",
    "text_de": "Wir **brauen**.",
    "title_fr": "",
    "text_fr": "",
    "slug": "",
    "place": "footer",
    "shown": "public",
}
QUESTION = {
    "question_en": "How fresh is it?",
    "answer_en": "Of [this year](/pages/about-us).",
    "question_de": "",
    "answer_de": "",
    "question_fr": "",
    "answer_fr": "",
    "plan": "",
    "shown": "public",
}


@pytest.fixture(autouse=True)
def shop(rt: Runtime) -> None:
    make.make_shop(rt)
    make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def desk(app: Flask, rt: Runtime) -> Desk:
    return Desk(app, rt, "owner")


def blocks(page: str) -> list[dict[str, object]]:
    found = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(one) for one in found]


def test_staff_write_a_page_and_everybody_reads_it_in_their_language(
    rt: Runtime, desk: Desk, client: FlaskClient
) -> None:
    assert "No page of your own yet" in desk.get("/admin/content").text
    assert "/admin/content" in desk.get("/admin/settings").text
    assert "about-us" not in client.get("/").text

    assert desk.post(NEW_PAGE, PAGE, on=NEW_PAGE).location == "/admin/content"

    listed = desk.get("/admin/content").text
    assert "About us" in listed
    assert "English and Deutsch" in listed
    page = client.get("/pages/about-us")
    assert page.status_code == 200
    assert "<h1>About us</h1>" in page.text
    assert "<h2>Nine</h2>" in page.text
    assert "We <strong>brew</strong>." in page.text
    assert '<link rel="canonical" href="http://localhost/pages/about-us">' in page.text
    assert '<meta name="description" content="We brew.">' in page.text
    assert '<meta property="og:title" content="About us">' in page.text
    assert 'content="noindex"' not in page.text
    assert '<a href="/pages/about-us" aria-current="page">About us</a>' in page.text
    for other in ("/", "/plans/pot", "/sign-in", "/nowhere"):
        assert '<a href="/pages/about-us">About us</a>' in client.get(other).text, other
    german = client.get("/pages/about-us", headers={"Accept-Language": "de"}).text
    assert "<h1>Über uns</h1>" in german
    # No French text: the shop's own, and said to be that.
    french = client.get("/pages/about-us", headers={"Accept-Language": "fr"}).text
    assert '<article class="stack loose" lang="en">' in french
    assert "http://localhost/pages/about-us" in client.get("/sitemap.xml").text


def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_lost(
    rt: Runtime, desk: Desk
) -> None:
    write_page(rt, "taken")
    wrong = (
        ({"title_en": ""}, "Write a title"),
        ({"text_en": ""}, "Write a text"),
        ({"title_fr": "Nous"}, "Write a text"),
        ({"text_fr": "Du thé"}, "Write a title"),
        ({"slug": "About us"}, "Use lower case letters"),
        ({"slug": "x" * 61}, "Use lower case letters"),
        ({"slug": "taken"}, "Another page has this address"),
        ({"title_en": "茶"}, "Enter an address, like about-us"),
        ({"title_en": "x" * 121}, "120 characters or fewer"),
        ({"text_en": "x" * 20_001}, "20000 characters or fewer"),
        ({"place": "wall"}, "Choose one from the list"),
        ({"shown": ""}, "Choose one from the list"),
    )
    for values, words in wrong:
        answer = desk.post(NEW_PAGE, {**PAGE, **values}, on=NEW_PAGE)
        assert (answer.status_code, values) == (422, values)
        assert words in answer.text, values
        assert "Wir **brauen**." in answer.text
    assert rt.session.query(ContentPage).count() == 1
    rt.session.rollback()


def test_a_preview_shows_what_is_typed_and_saves_nothing(rt: Runtime, desk: Desk) -> None:
    typed = {**PAGE, "slug": "NO", "text_en": "**bold** <script>x</script>", "preview": "1"}
    for headers in ({}, PARTIAL):
        answer = desk.post(NEW_PAGE, typed, on=NEW_PAGE, headers=headers)
        assert answer.status_code == 200
        assert "Nothing is saved yet." in answer.text
        assert "<strong>bold</strong> &lt;script&gt;x&lt;/script&gt;" in answer.text
        assert '<article class="prose" lang="de"><h3>Über uns</h3>' in answer.text
        assert "**bold** &lt;script&gt;" in answer.text
        assert "There is a problem" not in answer.text
    answer = desk.post(NEW_QUESTION, {**QUESTION, "preview": "1"}, on=NEW_QUESTION)
    assert '<a href="/pages/about-us">this year</a>' in answer.text
    assert query.pages(rt.session) == query.questions(rt.session) == []
    rt.session.rollback()


def test_a_draft_is_read_by_those_who_write_pages_alone(
    rt: Runtime, app: Flask, desk: Desk, client: FlaskClient
) -> None:
    write_page(rt, "soon", "Soon", is_public=False)

    assert client.get("/pages/soon").status_code == 404
    assert Desk(app, rt, "support").get("/pages/soon").status_code == 404
    shown = desk.get("/pages/soon")
    assert "A draft: only staff see this page." in shown.text
    assert shown.cache_control.no_store
    assert '<meta name="robots" content="noindex">' in shown.text
    assert client.get("/pages/soon").status_code == 404
    assert "soon" not in client.get("/sitemap.xml").text
    assert "/pages/soon" not in client.get("/").text


def test_a_page_is_linked_where_it_was_placed(rt: Runtime, client: FlaskClient) -> None:
    write_page(rt, "head", "In the head", place="header")
    write_page(rt, "foot", "In the <foot>", place="footer")
    write_page(rt, "none", "Nowhere", place="nowhere")
    page = client.get("/").text
    top, _main, foot = page.partition("<main")[0], "", page.partition("</main>")[2]
    assert '<a href="/pages/head">In the head</a>' in top
    assert "/pages/foot" not in top
    assert '<a href="/pages/foot">In the &lt;foot&gt;</a>' in foot
    assert "/pages/head" not in foot
    assert "/pages/none" not in page
    assert client.get("/pages/none").status_code == 200
    assert "/pages/none" in client.get("/sitemap.xml").text


@pytest.mark.parametrize("slug", ["nothing", "About", "a--b", "x" * 61, "%00", "..%2Fadmin"])
def test_an_address_without_a_page_says_so(client: FlaskClient, slug: str) -> None:
    assert client.get(f"/pages/{slug}").status_code in {400, 404}


def test_a_change_shows_at_once_in_pages_that_were_kept(
    rt: Runtime, desk: Desk, client: FlaskClient
) -> None:
    ref = write_page(rt)
    addresses = ("/", "/pages/about-us")
    before = [client.get(one) for one in addresses]
    for answer in before:
        assert answer.cache_control.public
        assert "Set-Cookie" not in answer.headers
        assert "nonce" not in answer.text
    for one, answer in zip(addresses, before, strict=True):
        again = client.get(one, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304

    edit = f"/admin/content/pages/{ref}"
    assert "We brew." in desk.get(edit).text
    changed = {**PAGE, "title_en": "Who we are", "slug": "about-us"}
    assert desk.post(edit, changed, on=edit).status_code == 303

    for one, answer in zip(addresses, before, strict=True):
        assert "Who we are" in client.get(one).text
        etag = {"If-None-Match": answer.headers["ETag"]}
        assert client.get(one, headers=etag).status_code == 200


def test_removing_asks_first(rt: Runtime, desk: Desk, client: FlaskClient) -> None:
    page, question = write_page(rt), write_question(rt)
    for address, words in (
        (f"/admin/content/pages/{page}/remove", "Remove the page About us?"),
        (f"/admin/content/questions/{question}/remove", "How fresh is it?"),
    ):
        assert words in desk.get(address).text
        assert desk.post(address, {}, on=address).status_code == 200
        assert "How fresh" in client.get("/").text or "questions" not in address
        assert desk.post(address, {"sure": "1"}, on=address).location == "/admin/content"
        assert desk.get(address).status_code == 404
        assert desk.client.post(address, data={"sure": "1"}).status_code in {400, 404}
    assert client.get("/pages/about-us").status_code == 404
    assert "How fresh" not in client.get("/").text


def test_pages_and_questions_move_up(rt: Runtime, desk: Desk) -> None:
    write_page(rt, "one", "One")
    second = write_page(rt, "two", "Two")
    write_question(rt, "First?")
    later = write_question(rt, "Later?")
    for address in (f"pages/{second}", f"questions/{later}"):
        assert desk.post(f"/admin/content/{address}/up", {}, on="/admin/content").location
    assert [row.slug for row in query.pages(rt.session)] == ["two", "one"]
    questions = [row.texts["en"]["question"] for row in query.questions(rt.session)]
    assert questions == ["Later?", "First?"]
    rt.session.rollback()
    gone = desk.post("/admin/content/pages/pg_none/up", {}, on="/admin/content")
    assert gone.status_code == 404


def test_questions_stand_below_the_shops_own_and_machines_read_them(
    rt: Runtime, desk: Desk, client: FlaskClient
) -> None:
    assert [one["@type"] for one in blocks(client.get("/").text)] == ["ItemList"]
    assert desk.post(NEW_QUESTION, QUESTION, on=NEW_QUESTION).location == "/admin/content"
    of_plan = {**QUESTION, "question_en": "Enough for two?", "answer_en": "Yes.", "plan": "pot"}
    assert desk.post(NEW_QUESTION, of_plan, on=NEW_QUESTION).status_code == 303

    page = client.get("/").text
    asked = re.findall(r"<summary>([^<]+)</summary>", page)
    assert asked[-2:] == ["What does delivery cost?", "How fresh is it?"]
    assert '<a href="/pages/about-us">this year</a>' in page
    told = next(one for one in blocks(page) if one["@type"] == "FAQPage")
    assert told["mainEntity"] == [
        {
            "@type": "Question",
            "name": "How fresh is it?",
            "acceptedAnswer": {"@type": "Answer", "text": "Of this year."},
        }
    ]
    page = client.get("/plans/pot").text
    asked = re.findall(r"<summary>([^<]+)</summary>", page)
    assert asked[-2:] == ["Enough for two?", "How fresh is it?"]
    assert {one["@type"] for one in blocks(page)} == {"FAQPage", "Product"}
    french = client.get("/", headers={"Accept-Language": "fr"}).text
    assert '<details lang="en"><summary>How fresh is it?' in french


def test_a_question_that_is_incomplete_is_asked_back(rt: Runtime, desk: Desk) -> None:
    wrong = (
        ({"question_en": ""}, "Write the question"),
        ({"answer_en": " "}, "Write the answer"),
        ({"question_de": "Wie?"}, "Write the answer"),
        ({"plan": "none"}, "Choose one from the list"),
        ({"answer_en": "x" * 2001}, "2000 characters or fewer"),
    )
    for values, words in wrong:
        answer = desk.post(NEW_QUESTION, {**QUESTION, **values}, on=NEW_QUESTION)
        assert answer.status_code == 422
        assert words in answer.text, values
        assert "How fresh is it?" in answer.text or "question_en" in values
    ref = write_question(rt, plan="pot")
    edit = f"/admin/content/questions/{ref}"
    assert re.search(r'<option selected value="pot">', desk.get(edit).text)
    assert desk.post(edit, {**QUESTION, "shown": "draft"}, on=edit).status_code == 303
    row = query.question(rt.session, ref)
    rt.session.rollback()
    assert row is not None
    assert (row.plan, row.is_public) == ("", False)


def test_a_page_too_many_is_refused_in_words(rt: Runtime, desk: Desk) -> None:
    for number in range(MOST_PAGES):
        write_page(rt, f"p-{number}", place="nowhere")
    answer = desk.post(NEW_PAGE, PAGE, on=NEW_PAGE)
    assert answer.status_code == 422
    assert "There is no room for more pages" in answer.text
    assert "Wir **brauen**." in answer.text


def test_only_who_may_change_the_shop_writes_pages(app: Flask, rt: Runtime) -> None:
    for role in ("support", "fulfilment"):
        assert Desk(app, rt, role).get("/admin/content").status_code == 403


def test_a_renamed_page_is_found_at_its_old_addresses_until_another_page_takes_them(
    desk: Desk, client: FlaskClient, rt: Runtime
) -> None:
    ref = write_page(rt, slug="about-us")
    path = f"/admin/content/pages/{ref}"

    def rename(slug: str, **other: str) -> TestResponse:
        return desk.post(path, PAGE | {"slug": slug, **other}, on=path)

    for slug in ("who-we-are", "our-story"):
        assert rename(slug).status_code == 303

    for old in ("about-us", "who-we-are"):
        answer = client.get(f"/pages/{old}?lang=de")
        assert (answer.status_code, answer.location) == (301, "/pages/our-story?lang=de")
        assert "max-age=300" in answer.headers["Cache-Control"]
    # Named as before: nobody goes in a circle.
    assert rename("about-us").status_code == 303
    assert client.get("/pages/about-us").status_code == 200
    assert client.get("/pages/our-story").location == "/pages/about-us"

    other = write_page(rt, slug="our-story")
    assert client.get("/pages/our-story").status_code == 200
    assert rename("about-us", shown="draft").status_code == 303
    assert client.get("/pages/who-we-are").status_code == 404
    remove_page(rt, make_writer(rt), ref)
    assert client.get("/pages/who-we-are").status_code == 404
    assert other != ref


def test_a_page_that_is_shared_shows_the_picture_of_a_plan(
    rt: Runtime, client: FlaskClient
) -> None:
    write_page(rt, slug="about-us")
    page = client.get("/pages/about-us").text
    assert re.search(r'<meta property="og:image" content="http[^"]+/pot[^"]*\.png', page)
