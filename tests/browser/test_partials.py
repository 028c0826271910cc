"""The pinned htmx file, our own script and a strict content policy, in a real browser."""

from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask, Response, abort, request
from flask_babel import Babel
from flask_wtf import CSRFProtect
from jinja2 import ChoiceLoader, DictLoader, PackageLoader
from werkzeug.serving import make_server

from storefront import assets, htmx, templating

PAGE = """<!doctype html><html lang="en"><head><title>Form</title>
<meta name="htmx-config" content='{"includeIndicatorCSS": false}'>
<link rel="stylesheet" href="{{ asset('app.css') }}">
<script src="{{ asset('htmx.js') }}" defer></script>
<script src="{{ asset('app.js') }}" defer></script>
</head><body hx-status:5xx:inherited="swap:none"><p id="offline" hidden>No connection</p>
{% include "part.html" %}{% include "storefront/components/_status.html" %}</body></html>"""
PART = """{% import "storefront/components/ui.html" as ui %}
{% import "storefront/components/forms.html" as forms %}
<div id="panel">{{ ui.announce(message) }}
{% if error %}<div class="error-summary" tabindex="-1" autofocus>There is a problem</div>{% endif %}
<form method="post" action="/form" hx-post="/form" hx-target="#panel" hx-swap="outerMorph"
 hx-sync="this:drop" novalidate>{{ forms.csrf() }}
<div class="field"><label for="word">Word</label>
{% if error %}<p class="error">{{ error }}</p>{% endif %}
<input id="word" name="word" value="{{ word or '' }}"
{% if error %} aria-invalid="true"{% endif %}></div>
<button id="save">Save</button></form><p id="saved">{{ saved }}</p></div>"""
LIST = """<!doctype html><html lang="en"><head><title>List</title>
<meta name="htmx-config" content='{"includeIndicatorCSS": false}'>
<script src="{{ asset('htmx.js') }}" defer></script>
<script src="{{ asset('app.js') }}" defer></script>
</head><body>{% include "rows.html" %}{% include "storefront/components/_status.html" %}</body>"""
ROWS = """{% import "storefront/components/forms.html" as forms %}
<div id="rows">{% call forms.filter_bar("/list", "#rows") %}
<label for="q">Search</label><input id="q" type="search" name="q" value="{{ q }}">
<select id="state" name="state">{% for each in ("all", "paid") %}
<option{% if each == state %} selected{% endif %}>{{ each }}</option>{% endfor %}</select>
{% endcall %}<p id="found">{{ q }}/{{ state }}</p></div>"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
)


class Shop:
    """A server with one form; it remembers what was posted and waits when asked to."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.asked: list[str] = []
        self.may_answer = Event()
        self.app = Flask("browser", static_folder=None)
        self.app.secret_key = "for this test only"
        self.app.jinja_loader = ChoiceLoader(
            [
                DictLoader(
                    {"page.html": PAGE, "part.html": PART, "list.html": LIST, "rows.html": ROWS}
                ),
                PackageLoader("storefront"),
            ]
        )
        htmx.compose_request_class(self.app)
        Babel(self.app)
        CSRFProtect(self.app)
        templating.init_app(self.app)
        self.app.register_blueprint(assets.bp)
        self.app.add_url_rule("/form", "form", self.form, methods=["GET", "POST"])
        self.app.add_url_rule("/list", "list", self.list)
        self.app.after_request(self.add_policy)
        self.server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.address = f"http://127.0.0.1:{self.server.server_port}/form"

    def form(self) -> Response:
        if request.method == "GET":
            return htmx.show("page.html", "part.html")
        word = request.form["word"]
        self.posted.append(word)
        if word == "slow":
            self.may_answer.wait(10)
        if word == "broken":
            abort(500)
        if word == "gone":
            return htmx.go("/form?left")
        if word == "wrong":
            return htmx.show("page.html", "part.html", 422, error="Not that", word=word)
        return htmx.done("Saved.", "part.html", "/form", saved=word)

    def list(self) -> Response:
        self.asked.append(request.query_string.decode())
        q, state = request.args.get("q", ""), request.args.get("state", "all")
        return htmx.show("list.html", "rows.html", q=q, state=state)

    @staticmethod
    def add_policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        return response


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.may_answer.set()
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def page(chromium: Any, shop: Shop) -> Iterator[Any]:
    """A page with the form; the console and the content policy must stay silent."""
    context = chromium.new_context()
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if "Policy" in m.text else None)
    page.goto(shop.address)
    yield page
    context.close()
    assert problems == []


def send(page: Any, word: str) -> None:
    page.fill("#word", word)
    page.click("#save")


def test_a_change_is_swapped_in_and_said_once(page):
    send(page, "tea")
    page.wait_for_selector("#saved:text('tea')")
    assert page.locator("#status .toast").count() == 1
    assert page.inner_text("#status p") == "Saved."


def test_an_error_keeps_the_text_and_takes_the_focus(page):
    send(page, "wrong")
    page.wait_for_selector(".error")
    assert page.input_value("#word") == "wrong"
    assert page.evaluate("document.activeElement.className") == "error-summary"


def test_an_error_is_said_in_the_title_until_it_is_mended(page):
    send(page, "wrong")
    page.wait_for_selector(".error")
    assert page.title() == "Error: Form"
    send(page, "wrong")
    page.wait_for_selector("#save:not([aria-busy])")
    assert page.title() == "Error: Form"
    send(page, "tea")
    page.wait_for_selector("#saved:text('tea')")
    assert page.title() == "Form"


def test_enter_in_a_search_asks_once_and_quietly(page, shop):
    told = []
    page.on("console", lambda m: told.append(m.text) if "htmx" in m.text else None)
    page.goto(f"{shop.address.removesuffix('form')}list")
    shop.asked.clear()
    page.fill("#q", "ada")
    page.press("#q", "Enter")
    page.wait_for_selector("#found:text('ada/all')")
    page.select_option("#state", "paid")
    page.wait_for_selector("#found:text('ada/paid')")
    page.wait_for_timeout(200)
    assert shop.asked == ["q=ada&state=all", "q=ada&state=paid"]
    assert told == []
    assert page.url.endswith("/list?q=ada&state=paid")


def test_an_error_leaves_the_moment_the_entry_is_right(page):
    send(page, "wrong")
    page.wait_for_selector(".error")
    page.fill("#word", "right")
    assert not page.is_visible(".error")


def test_a_broken_server_leaves_the_form_as_it_was(page):
    send(page, "broken")
    page.wait_for_selector("#status .problem")
    assert page.input_value("#word") == "broken"
    assert "Your entries are still here" in page.inner_text("#status")


def test_no_connection_leaves_the_form_as_it_was(page):
    page.context.set_offline(True)
    assert page.is_visible("#offline")
    send(page, "far away")
    page.wait_for_selector("#status .problem")
    assert page.input_value("#word") == "far away"
    page.context.set_offline(False)
    page.wait_for_selector("#offline", state="hidden")


def test_a_double_click_sends_once_and_the_button_keeps_the_focus(page, shop):
    send(page, "slow")
    page.wait_for_selector("#save[aria-busy=true]")
    page.click("#save", force=True)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "save"
    shop.may_answer.set()
    page.wait_for_selector("#saved:text('slow')")
    assert shop.posted == ["slow"]
    assert page.get_attribute("#save", "aria-busy") is None


def test_a_redirect_header_leaves_the_page(page):
    send(page, "gone")
    page.wait_for_url("**/form?left")


def test_without_the_script_the_same_form_works(chromium, shop):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(shop.address)
    send(page, "tea")
    assert page.inner_text("#status") == "Saved."
    send(page, "wrong")
    assert page.input_value("#word") == "wrong"
    assert page.locator(".error").count() == 1
    context.close()
