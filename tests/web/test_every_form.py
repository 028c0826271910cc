"""Every form of every kind of page, filled with what people mistype and what attackers send.

The pages are those of the demo shop, found by following links as a guest, as customers in
different states and as the owner. A form that the crawl meets is tried without being listed here.
"""

from __future__ import annotations

import io
import itertools
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from storefront.demo import catalogue, seed
from storefront.demo.cast import CAST, PRESENTS
from storefront.demo.history import Scale, StoryClock
from storefront.runtime import Runtime
from tests.support.databases import Database, Databases
from tests.support.forms import Field, Form, Page, pages
from tests.support.visitor import Visitor

HOME = "http://localhost"
#: Breaks out of a text, an attribute, a script; must come back as text only.
RAW = "\"'></script><svg/onload=q>&amp;{{7*7}}"
NASTY = (
    RAW,
    "",
    "a\x00b",
    "99999999999999999999",
    "-1",
    "\u202e\U0001f916²" * 40,
    "x" * 5000,
)
FILES = (b"\xff\xfe\x00\"';\n\n,,\r", b"email,name\n=cmd|'/c'!A1,<svg/onload=q>\n" * 3)
#: These end the visit itself. What they are given is typed in other tests.
ENDS = {"auth.sign_out", "admin.sign_out", "account.end_session"}
#: Fields of a column of a file; the page says that one without a heading is left out.
_OF_A_HEADING = ("place", "text", "most")
_PLACES = itertools.count(1)
ADA = {
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "country": "DE",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}


@pytest.fixture
def clock() -> StoryClock:
    return StoryClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(params=["sqlite"])
def database(databases: Databases, tmp_path: Any) -> Database:
    """One kind is enough for pages; what is hard to store is tried on both in other tests."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def shop(rt: Runtime, app: Flask, clock: StoryClock) -> Flask:
    """A small demo shop with three weeks of a month gone."""
    end = datetime(2027, 3, 24, 15, 30, tzinfo=UTC)
    seed.tell(rt, clock, end, Scale(months=2, shoppers=6), lambda *_: None)
    return app


@dataclass
class Trial:
    """Somebody who tries forms; what was found wrong is in ``faults``."""

    app: Flask
    visitor: Visitor
    email: str = ""
    is_staff: bool = False
    faults: list[str] = field(default_factory=list)
    #: Kinds of forms that were tried, by others with the same set too.
    known: set[tuple[str, str]] = field(default_factory=set)
    refused: int = 0

    def __post_init__(self) -> None:
        # Each comes from another place: too many tries of one keep nobody else out.
        self.visitor.client.environ_base["REMOTE_ADDR"] = f"198.51.100.{next(_PLACES)}"

    def sign_in(self) -> Trial:
        if self.is_staff:
            self.visitor.get("/admin/sign-in")
            said = {"email": self.email, "password": catalogue.PASSWORD}
            assert self.visitor.post("/admin/sign-in", **said).status_code == 303
            self.visitor.get("/admin/")
        elif self.email:
            self.visitor.sign_in(self.email, catalogue.PASSWORD)
        return self

    def endpoint_of(self, form: Form) -> str:
        path = urlsplit(form.action).path
        return str(self.app.url_map.bind("localhost").match(path, method="POST")[0])

    def forms(self, starts: list[str]) -> list[tuple[str, Form]]:
        """Return (address, form) for each kind of form that changes something."""
        found: dict[tuple[str, str], tuple[str, Form]] = {}
        for _kind, address, page in pages(self.app, self.get, starts):
            for form in page.forms:
                if form.method != "post":
                    continue
                endpoint = self.endpoint_of(form)
                # Numbered fields of one list are one kind of field.
                names = re.sub(r"\d+|[a-z]{3}_[a-z0-9]{20,}", "N", " ".join(sorted(form.fields)))
                if endpoint not in ENDS and (endpoint, names) not in self.known:
                    found.setdefault((endpoint, names), (address, form))
        self.known |= set(found)
        return list(found.values())

    def send(self, address: str, form: Form, data: dict[str, Any]) -> TestResponse:
        """Send a form from its page; who was signed out meanwhile signs in and sends again."""
        answer = self._send(address, form, data)
        if answer.status_code in {401, 303} and "sign-in" in (answer.location or ""):
            self.sign_in()
            answer = self._send(address, form, data)
        return answer

    def _send(self, address: str, form: Form, data: dict[str, Any]) -> TestResponse:
        parts = urlsplit(form.action)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        values = {**data, "csrf_token": self.visitor.token}
        answer: TestResponse = self.visitor.client.post(
            path, data=values, headers={"Referer": address}, buffered=True
        )
        return answer

    def look(self, address: str, form: Form, data: dict[str, Any], answer: TestResponse) -> None:
        """Write down what is wrong with an answer."""
        what = f"{self.endpoint_of(form)} after {data!r:.300}"
        if answer.status_code >= 500:
            self.faults.append(f"{what}: {answer.status_code}")
        if answer.mimetype != "text/html":
            return
        if "<svg/onload" in answer.text:
            self.faults.append(f"{what}: typed text comes back raw")
        if "Traceback" in answer.text:
            self.faults.append(f"{what}: a stack trace")
        if answer.status_code == 422:
            self.refused += 1
            gone = lost(form, data, Page(HOME, answer.text))
            if gone and self.again(address, form) is not None:
                self.faults.append(f"{what}: {', '.join(gone)} lost")

    def get(self, address: str) -> TestResponse:
        """Get a page whole; a file is read to its end too, so that nothing stays open."""
        answer: TestResponse = self.visitor.client.get(address, buffered=True)
        if answer.mimetype == "text/html":
            found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
            self.visitor.token = found[1] if found else self.visitor.token
        return answer

    def again(self, address: str, form: Form) -> Form | None:
        """Return the form as its page shows it now; None where what was sent took it away."""
        parts = urlsplit(address)
        answer = self.get(parts.path + (f"?{parts.query}" if parts.query else ""))
        if answer.status_code == 303 and "sign-in" in answer.location:
            self.sign_in()
            answer = self.get(parts.path + (f"?{parts.query}" if parts.query else ""))
        if answer.status_code != 200 or answer.mimetype != "text/html":
            return None
        same = [one for one in Page(address, answer.text).forms if one.action == form.action]
        same.sort(key=lambda one: -len(set(one.fields) & set(form.fields)))
        return same[0] if same else None

    def fuzz(self, address: str, met: Form) -> None:
        """Send a form with everything nasty, and with one thing at a time."""
        form = self.again(address, met)
        if form is None:
            return
        typed = [one for one in form.fields.values() if one.is_typed]
        picked = [
            one
            for one in form.fields.values()
            if not one.is_typed and one.name != "csrf_token" and one.kind != "file"
        ]
        plain: dict[str, Any] = form.filled()
        uploads = [one.name for one in form.fields.values() if one.kind == "file"]
        sends: list[dict[str, Any]] = []
        if typed:
            sends += [plain | dict.fromkeys(names(typed), nasty) for nasty in NASTY]
            sends += [plain | {one.name: RAW} for one in typed[:4]]
        if picked:
            sends += [plain | dict.fromkeys(names(picked), nasty) for nasty in NASTY[:4]]
            sends += [plain | {one.name: RAW} for one in picked[:3]]
        for number, data in enumerate(sends or [plain]):
            for body in FILES[:1] if uploads and number else FILES if uploads else (b"",):
                files = {name: (io.BytesIO(body), "ü<svg>.csv") for name in uploads}
                answer = self.send(address, form, data | files)
                self.look(address, form, data, answer)


def names(fields: list[Field]) -> list[str]:
    return [one.name for one in fields]


def tidy(text: str) -> str:
    """Return a text as the shop may tidy it: one kind of line end, no control signs, no ends."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) not in {"Cc", "Cf"})
    return " ".join(seen.split()).casefold()


def lost(form: Form, data: dict[str, Any], page: Page) -> list[str]:
    """Return which typed fields of a refused form do not hold what was typed any more."""
    left_out = {
        f"{part}-{name.partition('-')[2]}"
        for name, heading in data.items()
        if name.startswith("heading-") and not tidy(heading)
        for part in _OF_A_HEADING
    }
    back = [one for one in page.forms if set(one.fields) & set(form.fields) - {"csrf_token"}]
    return [
        name
        for name, sent in form.fields.items()
        if sent.is_typed
        and sent.kind != "password"
        and 0 < len(data[name]) < 200
        and name not in left_out
        and not any(
            name in one.fields and tidy(one.fields[name].value) == tidy(data[name]) for one in back
        )
    ]


def walk_to_payment(trial: Trial) -> list[str]:
    """Begin an order as a guest; return the addresses of its steps."""
    page = Page(HOME, trial.visitor.get("/checkout?plan=pot").text)
    start = next(one for one in page.forms if trial.endpoint_of(one) == "checkout.start")
    data = {name: value or "1" for name, value in start.filled().items()}
    for one in start.fields.values():
        if one.offered:
            data[one.name] = next(value for value in one.offered if value)
    answer = trial.send(f"{HOME}/checkout?plan=pot", start, data)
    steps = [urljoin(HOME, answer.location)]
    page = Page(steps[0], trial.visitor.get(urlsplit(steps[0]).path).text)
    delivery = next(one for one in page.forms if "postcode" in one.fields)
    answer = trial.send(steps[0], delivery, delivery.filled() | ADA)
    assert answer.location, answer.text
    return [*steps, urljoin(HOME, answer.location)]


def try_all(trial: Trial, starts: list[str]) -> None:
    """Try each form that is found from ``starts``, then look at all pages once more."""
    for address, form in trial.forms(starts):
        trial.fuzz(address, form)
    # What was stored is shown on the pages now.
    if trial.get(urlsplit(starts[0]).path).status_code == 303:
        trial.sign_in()
    for kind, _address, page in pages(trial.app, trial.get, starts, each=2):
        assert "onload" not in page.attributes, kind
    if trial.faults:
        pytest.fail("\n".join(trial.faults), pytrace=False)


def test_nothing_that_a_guest_types_breaks_a_page_or_is_lost(shop: Flask) -> None:
    guest = Trial(shop, Visitor.of(shop))
    starts = ["/", "/sign-in", "/sign-in/code", "/contracts/end", "/contracts/withdraw", "/gifts"]
    steps = walk_to_payment(guest)
    try_all(guest, [*(HOME + path for path in starts), *steps])
    tried = {endpoint for endpoint, _names in guest.known}
    assert {"checkout.start", "checkout.save_delivery", "checkout.order", "auth.sign_in"} <= tried
    assert guest.refused > 20, "hardly a form was refused: what was typed is not checked"


def test_nothing_that_a_customer_types_breaks_a_page_or_is_lost(shop: Flask) -> None:
    known: set[tuple[str, str]] = set()
    refused = 0
    for email in [*(one.email for one in CAST), PRESENTS[0].email]:
        ada = Trial(shop, Visitor.of(shop), email, known=known).sign_in()
        try_all(ada, [f"{HOME}/account/"])
        refused += ada.refused
    assert len(known) > 25, known
    assert refused > 50, "hardly a form was refused: what was typed is not checked"


def addresses_of(owner: Trial) -> dict[str, str]:
    """Return, by method and path, the endpoint of all that the account's pages lead to."""
    adapter = owner.app.url_map.bind("localhost")
    found = {}
    for _kind, address, page in pages(owner.app, owner.get, [f"{HOME}/account/"], each=5):
        asked = [(address, "GET"), *((one.action, one.method.upper()) for one in page.forms)]
        for target, method in asked:
            path = urlsplit(target).path
            endpoint, values = adapter.match(path, method=method)
            if endpoint.startswith("account.") and values:
                found[f"{method} {path}"] = endpoint
    return found


def test_nobody_reaches_what_the_pages_of_another_customer_lead_to(shop: Flask) -> None:
    """Also where a page exists only for a plan that offers it: choices, swaps, gifts, allergies."""
    theirs: dict[str, str] = {}
    for email in [*(one.email for one in CAST[1:]), PRESENTS[0].email]:
        theirs |= addresses_of(Trial(shop, Visitor.of(shop), email).sign_in())
    assert len(set(theirs.values())) > 25, theirs
    assert {"account.choose", "account.after_gift", "account.allergies"} <= set(theirs.values())
    stranger = Trial(shop, Visitor.of(shop), CAST[0].email).sign_in().visitor
    leaks = []
    for key in theirs:
        method, path = key.split()
        answer = stranger.get(path) if method == "GET" else stranger.post(path)
        if answer.status_code != 404:
            leaks.append((key, answer.status_code))
    assert leaks == []


def test_nothing_that_staff_type_breaks_a_page_or_is_lost(shop: Flask) -> None:
    greta = Trial(shop, Visitor.of(shop), catalogue.STAFF[0].email, is_staff=True).sign_in()
    try_all(greta, [f"{HOME}/admin/"])
    assert len(greta.known) > 90, greta.known
    assert greta.refused > 200, "hardly a form was refused: what was typed is not checked"


def test_a_form_that_comes_back_without_what_was_typed_is_noticed() -> None:
    shown = """<form action="/a"><input name="name" value="{}"><textarea name="note">{}</textarea>
        <input name="n" value="3"><select name="n"><option value="m">Month</select></form>"""
    form = Page(HOME, shown.format("", "")).forms[0]
    typed = form.filled() | {"name": " Ada  \u202eKing\x00", "note": "One\r\ntwo"}
    assert form.fields["n"].sent == ["3", "m"]
    assert lost(form, typed, Page(HOME, shown.format("Ada King", "One\ntwo"))) == []
    assert lost(form, typed, Page(HOME, shown.format("Ada King", ""))) == ["note"]
    assert lost(form, typed, Page(HOME, "<p>Refused</p>")) == ["name", "note"]
