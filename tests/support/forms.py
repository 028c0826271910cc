"""Read the links and forms of a page, and go through every kind of page that links lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

#: Inputs into which a person types; the others are chosen from what the page offers.
_TYPED = {"text", "email", "search", "tel", "url", "number", "date", "time", "datetime-local"}


@dataclass
class Field:
    """One control of a form; ``offered`` are the values of a select or of radio buttons."""

    name: str
    kind: str
    value: str = ""
    offered: list[str] = field(default_factory=list)
    parts: list[Field] = field(default_factory=list)

    @property
    def sent(self) -> str | list[str]:
        """What it sends when nobody touches it."""
        return [self.value, *(one.value for one in self.parts)] if self.parts else self.value

    @property
    def is_typed(self) -> bool:
        """Whether a person can type anything into it."""
        return self.kind in _TYPED | {"textarea", "password"}


@dataclass
class Form:
    """A form as a browser reads it; ``sends`` are (name, value) of its buttons."""

    action: str
    method: str
    takes_files: bool = False
    fields: dict[str, Field] = field(default_factory=dict)
    sends: list[tuple[str, str]] = field(default_factory=list)

    def filled(self) -> dict[str, str | list[str]]:
        """Return what the form sends when nobody touches it."""
        return {one.name: one.sent for one in self.fields.values() if one.kind != "unticked"}


class Page(HTMLParser):
    """The links, forms and controls of a page, also those tied to a form by ``form=``."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.address = address
        self.links: list[str] = []
        self.forms: list[Form] = []
        #: The names of all attributes of all elements.
        self.attributes: set[str] = set()
        self._by_id: dict[str, Form] = {}
        self._late: list[tuple[str, Field | tuple[str, str]]] = []
        self._form: Form | None = None
        self._select: Field | None = None
        self._area: Field | None = None
        self.feed(text)
        self.close()
        for key, control in self._late:
            if key in self._by_id:
                self._add(self._by_id[key], control)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        self.attributes |= set(got)
        if tag == "a" and got.get("href") and "download" not in got:
            self.links.append(urljoin(self.address, got["href"]))
        elif tag == "form":
            self._begin(got)
        elif tag == "option" and self._select is not None:
            value = got.get("value", "")
            self._select.offered.append(value)
            if "selected" in got or len(self._select.offered) == 1:
                self._select.value = value
        elif tag in {"input", "select", "textarea", "button"} and "disabled" not in got:
            self._control(tag, got)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.value += data

    def _begin(self, got: dict[str, str]) -> None:
        action = urljoin(self.address, got.get("action") or self.address)
        files = got.get("enctype") == "multipart/form-data"
        self._form = Form(action, got.get("method", "get").lower(), files)
        self.forms.append(self._form)
        if got.get("id"):
            self._by_id[got["id"]] = self._form

    def _control(self, tag: str, got: dict[str, str]) -> None:
        kind = got.get("type", "text").lower() if tag == "input" else tag
        name = got.get("name", "")
        control: Field | tuple[str, str]
        if tag == "button" or kind in {"submit", "image"}:
            control = (name, got.get("value", ""))
        else:
            control = Field(
                name, "fixed" if {"readonly", "hidden"} & set(got) else kind, got.get("value", "")
            )
            if kind in {"checkbox", "radio"}:
                control.offered = [control.value]
                control.kind = kind if "checked" in got else "unticked"
            if tag == "select":
                self._select = control
            if tag == "textarea":
                self._area = control
        if got.get("form"):
            self._late.append((got["form"], control))
        elif self._form is not None:
            self._add(self._form, control)

    @staticmethod
    def _add(form: Form, control: Field | tuple[str, str]) -> None:
        if isinstance(control, tuple):
            form.sends.append(control)
            return
        if not control.name:
            return
        before = form.fields.get(control.name)
        if before is None:
            form.fields[control.name] = control
            return
        before.offered += control.offered
        if control.kind in {"radio", "checkbox"}:
            before.kind, before.value = control.kind, control.value
        elif control.kind == "select":
            # Two controls of one name are one entry: "6" and "weeks".
            before.kind, before.parts = "parts", [control]


def pages(
    app: Flask, get: Callable[[str], TestResponse], starts: list[str], *, each: int = 1
) -> Iterator[tuple[str, str, Page]]:
    """Go through every kind of page that links lead to; yield (endpoint, address, page).

    Of each kind at most ``each`` are read. Raises ``AssertionError`` for a page that breaks.
    """
    adapter = app.url_map.bind("localhost")
    seen: dict[str, int] = {}
    tried: set[str] = set()
    waiting = list(starts)
    while waiting:
        address = waiting.pop(0)
        parts = urlsplit(address)
        if parts.netloc not in {"", "localhost"} or address in tried:
            continue
        tried.add(address)
        try:
            endpoint = str(adapter.match(parts.path, method="GET")[0])
        except (HTTPException, RequestRedirect):
            continue
        if seen.get(endpoint, 0) >= each or endpoint == "static" or "sign_out" in endpoint:
            continue
        seen[endpoint] = seen.get(endpoint, 0) + 1
        answer = get(parts.path + (f"?{parts.query}" if parts.query else ""))
        assert answer.status_code < 500, address
        if answer.mimetype != "text/html":
            continue
        if answer.status_code in {301, 302, 303, 307}:
            waiting.append(urljoin(address, answer.location))
            continue
        page = Page(address, answer.text)
        yield endpoint, address, page
        waiting += page.links
