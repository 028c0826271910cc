"""Page or partial: what htmx 4 says, and what a cache, a Back button and a plain form need."""

import pytest
from flask import Flask, Request, get_flashed_messages, request
from htmx_flask.requests import HtmxAwareRequest
from jinja2 import DictLoader

from storefront import htmx

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "section#plan-panel"}
FULL = {"HX-Request": "true", "HX-Request-Type": "full"}


class HostRequest(Request):
    """A class a shop around us brings."""

    def of_the_host(self):
        return "kept"


@pytest.fixture
def small_app():
    app = Flask("small")
    app.secret_key = "not secret"
    app.request_class = HostRequest
    app.jinja_loader = DictLoader(
        {
            "page.html": "<html>{% include 'part.html' %}</html>",
            "part.html": "<p>{{ message or '' }}{{ word }}</p>",
            "storefront/errors/error.html": "<html>{{ title }} {{ text }}</html>",
            "storefront/errors/_error.html": "<p>{{ title }} {{ text }}</p>",
        }
    )
    htmx.compose_request_class(app)
    app.add_url_rule("/show", view_func=lambda: htmx.show("page.html", "part.html", word="hi"))
    app.add_url_rule(
        "/wrong", "wrong", lambda: htmx.show("page.html", "part.html", 422, word="again")
    )
    app.add_url_rule(
        "/done", "done", lambda: htmx.done("Saved.", "part.html", "/show"), methods=["POST"]
    )
    app.add_url_rule(
        "/go", "go", lambda: htmx.go("/show", "Come back soon", status=401), methods=["POST"]
    )
    app.add_url_rule("/refuse", "refuse", lambda: htmx.refuse(404, "Gone.", "It moved."))
    app.add_url_rule("/target", "target", lambda: htmx.target_id() or "none")
    app.add_url_rule("/class", "class", lambda: f"{request.of_the_host()}")
    app.add_url_rule("/flashed", "flashed", lambda: " ".join(get_flashed_messages()))
    return app


@pytest.fixture
def visit(small_app):
    return small_app.test_client()


def test_a_visit_gets_the_page(visit):
    assert visit.get("/show").text == "<html><p>hi</p></html>"


def test_a_swap_of_one_element_gets_the_partial(visit):
    assert visit.get("/show", headers=PARTIAL).text == "<p>hi</p>"


@pytest.mark.parametrize(
    "headers",
    [
        FULL,
        {**FULL, "HX-Boosted": "true"},
        {**PARTIAL, "HX-Boosted": "true"},
        {**PARTIAL, "HX-History-Restore-Request": "true"},
        {"HX-Request": "true"},
        {"HX-Request-Type": "partial"},
    ],
)
def test_boosted_links_and_the_back_button_get_the_page(visit, headers):
    assert visit.get("/show", headers=headers).text.startswith("<html>")


@pytest.mark.parametrize("headers", [{}, PARTIAL])
@pytest.mark.parametrize("path", ["/show", "/wrong", "/refuse"])
def test_caches_keep_page_and_partial_apart(visit, path, headers):
    assert {"HX-Request", "HX-Request-Type"} <= set(visit.get(path, headers=headers).vary)


def test_a_form_with_errors_comes_back_as_422_either_way(visit):
    page, partial = visit.get("/wrong"), visit.get("/wrong", headers=PARTIAL)
    assert (page.status_code, partial.status_code) == (422, 422)
    assert partial.text == "<p>again</p>"


def test_a_plain_post_is_answered_with_see_other_and_a_message(visit):
    answer = visit.post("/done")
    assert (answer.status_code, answer.location) == (303, "/show")
    assert visit.get("/flashed").text == "Saved."


def test_a_partial_post_carries_its_message_and_leaves_no_flash(visit):
    assert visit.post("/done", headers=PARTIAL).text == "<p>Saved.</p>"
    assert visit.get("/flashed").text == ""


def test_leaving_a_page_is_a_redirect_or_a_header(visit):
    plain, swapped = visit.post("/go"), visit.post("/go", headers=PARTIAL)
    assert (plain.status_code, plain.location) == (303, "/show")
    assert (swapped.status_code, swapped.headers["HX-Redirect"]) == (401, "/show")
    assert swapped.location is None


def test_a_refusal_never_replaces_the_form_it_answers(visit):
    answer = visit.get("/refuse", headers=PARTIAL)
    assert answer.status_code == 404
    assert answer.headers["HX-Retarget"] == "#status"
    assert answer.text == "<p>Gone. It moved.</p>"
    assert "HX-Retarget" not in visit.get("/refuse").headers


def test_the_target_is_known_by_its_id(visit):
    assert visit.get("/target", headers=PARTIAL).text == "plan-panel"
    assert visit.get("/target", headers={"HX-Target": "div"}).text == "none"


def test_a_hosts_request_class_is_kept(small_app, visit):
    assert issubclass(small_app.request_class, HtmxAwareRequest)
    assert visit.get("/class").text == "kept"


def test_composing_twice_changes_nothing(small_app):
    before = small_app.request_class
    htmx.compose_request_class(small_app)
    assert small_app.request_class is before
