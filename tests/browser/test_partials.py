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
<button id="save" class="button">Save</button>
<button id="bare" class="bare-only" name="turn" value="1">Turn</button></form>
<p id="saved">{{ saved }}</p></div>"""
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
THINGS = """<!doctype html><html lang="en"><head><title>Things</title>
<script src="{{ asset('htmx.js') }}" defer></script>
<script src="{{ asset('app.js') }}" defer></script></head><body>
<p id="count" hx-get="/polled" hx-trigger="every 1s" hx-target="#count" hx-swap="outerMorph">0</p>
{% include "rest.html" %}{% include "storefront/components/_status.html" %}</body>"""
REST = """{% import "storefront/components/forms.html" as forms %}
<section id="things"><h2>Things</h2>{% for one in things %}
<form id="thing-{{ one }}" method="post" action="/things" hx-post="/things" hx-target="#things"
 hx-swap="outerHTML" hx-sync="this:drop">{{ forms.csrf() }}
<button id="drop-{{ one }}" name="thing" value="{{ one }}">Drop</button></form>
{% endfor %}</section>"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
)


class Shop:
    """A server with one form; it remembers what was posted and waits when asked to."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.asked: list[str] = []
        self.polled = 0
        self.may_answer = Event()
        self.app = Flask("browser", static_folder=None)
        self.app.secret_key = "for this test only"
        self.app.jinja_loader = ChoiceLoader(
            [
                DictLoader(
                    {
                        "page.html": PAGE,
                        "part.html": PART,
                        "list.html": LIST,
                        "rows.html": ROWS,
                        "things.html": THINGS,
                        "rest.html": REST,
                    }
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
        self.app.add_url_rule("/things", "things", self.things, methods=["GET", "POST"])
        self.app.add_url_rule("/polled", "polled", self.poll)
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
        if q == "slow":
            self.may_answer.wait(10)
        return htmx.show("list.html", "rows.html", q=q, state=state)

    def things(self) -> Response:
        rest = [one for one in "abc" if one != request.form.get("thing")]
        return htmx.show("things.html", "rest.html", things=rest)

    def poll(self) -> str:
        self.polled += 1
        every = 'hx-get="/polled" hx-trigger="every 1s" hx-target="#count" hx-swap="outerMorph"'
        return f'<p id="count" {every if self.polled < 3 else ""}>{self.polled}</p>'

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


def test_what_takes_long_shows_a_ring_and_after_ten_seconds_says_so(page, shop):
    page.clock.install()
    page.goto(shop.address)
    send(page, "slow")
    page.wait_for_selector("#save[aria-busy=true]")
    ring = "getComputedStyle(document.getElementById('save'), '::before').animationDelay"
    assert "0.3s" in page.evaluate(ring), "a quick answer shows no ring"
    page.clock.fast_forward(9_000)
    assert page.locator("#status .toast").count() == 0
    page.clock.fast_forward(1_500)
    assert "nothing is lost" in page.inner_text("#status .toast")
    assert page.input_value("#word") == "slow"
    shop.may_answer.set()
    page.wait_for_selector("#saved:text('slow')")
    assert "Saved." in page.inner_text("#status")


def test_a_page_that_is_not_answered_in_ten_seconds_is_given_up_and_said(page, shop):
    page.clock.install()
    page.goto(f"{shop.address.removesuffix('form')}list")
    page.fill("#q", "slow")
    page.press("#q", "Enter")
    page.clock.fast_forward(1_000)
    while "q=slow&state=all" not in shop.asked:
        page.wait_for_timeout(20)
    page.clock.fast_forward(10_100)
    page.wait_for_selector("#status .problem")
    assert page.input_value("#q") == "slow"


def test_back_asks_the_server_again_for_the_page_before(page, shop):
    page.goto(f"{shop.address.removesuffix('form')}list?q=tea")
    page.select_option("#state", "paid")
    page.wait_for_selector("#found:text('tea/paid')")
    shop.asked.clear()
    page.go_back()
    page.wait_for_selector("#found:text('tea/all')")
    assert shop.asked == ["q=tea"]
    assert page.locator("#rows").count() == 1


def test_what_is_gone_leaves_its_focus_to_the_heading_of_its_list(page, shop):
    page.goto(f"{shop.address.removesuffix('form')}things")
    page.focus("#drop-b")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drop-b", state="detached")
    page.wait_for_function("document.activeElement.tagName === 'H2'")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "drop-a"


def test_asking_again_stops_by_the_answer_and_while_nobody_looks(page, shop):
    page.clock.install()
    page.goto(f"{shop.address.removesuffix('form')}things")
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away ?? false})")
    page.evaluate("window.away = true")
    page.clock.run_for(4_000)
    assert shop.polled == 0
    page.evaluate("window.away = false")
    for number in ("1", "2", "3"):
        page.clock.run_for(1_100)
        page.wait_for_selector(f"#count:text('{number}')")
    page.clock.run_for(5_000)
    assert shop.polled == 3


@pytest.mark.parametrize("missing", ["htmx.js", "app.js"])
def test_with_one_script_missing_the_same_form_works(chromium, shop, missing):
    context = chromium.new_context()
    page = context.new_page()
    page.route(f"**/{missing}", lambda route: route.abort())
    page.goto(shop.address)
    # What only the other script does keeps its button.
    page.locator("#bare").wait_for()
    send(page, "tea")
    page.wait_for_selector("#status p:text('Saved.')")
    send(page, "wrong")
    page.wait_for_selector(".error")
    assert page.input_value("#word") == "wrong"
    context.close()


def test_with_both_scripts_the_button_for_neither_is_away(page):
    assert not page.is_visible("#bare")


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
