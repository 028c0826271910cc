"""What somebody typed when their session had ended: kept until they are back, then filled in.

Kept in our own signed cookie, so nothing is stored on the server: only for forms that are listed
(none of them asks for a secret), only below a size, for half an hour, and only for the person
whose session it was. It is filled into the very form it came from; sending it is theirs to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, flash, request, session
from flask_babel import gettext as _
from markupsafe import escape

from storefront.logins import current_customer, current_staff, owner_of_browser
from storefront.runtime import Runtime

#: Characters of JSON; a cookie holds four thousand with everything else that is in it.
LARGEST = 2000
LASTS = timedelta(minutes=30)
_KEY = "typed"
#: Parts of names that are never kept, should a form that has one be listed by mistake.
_SECRET = ("csrf", "password", "secret", "token")
#: Blueprints without a form: what they answer is the same for everybody.
_FOR_EVERYBODY = {"assets", "logo", "shell", "embed", "health"}
_OK = 200

#: Endpoints of POST forms that are kept.
_FORMS: set[str] = set()
_SIGN_OUT = {"auth.sign_out", "admin.sign_out"}

Pairs = list[tuple[str, str]]


def register_kept(endpoints: Iterable[str]) -> None:
    """List forms whose fields hold nothing secret, by the endpoint they are sent to."""
    _FORMS.update(endpoints)


def init_app(app: Flask) -> None:
    """Fill kept forms in and forget them in time. After ``security``: only who may gets here."""
    app.before_request(_announce_or_forget)
    app.after_request(_fill_in)


def keep(kind: str, page: str | None) -> bool:
    """Keep this request's form for the customer or staff user (``kind``) who was signed in.

    ``page`` is the address the form stands on; without one there is no way back to it.
    """
    if request.endpoint not in _FORMS or request.method != "POST" or page is None:
        return False
    owner = owner_of_browser(kind)
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if not any(part in name.lower() for part in _SECRET)
    ]
    if owner is None or not fields or len(json.dumps(fields)) > LARGEST:
        return False
    session[_KEY] = {
        "for": owner,
        "on": urlsplit(page).path,
        "to": request.script_root + request.path,
        "at": _runtime().now().isoformat(),
        "fields": fields,
    }
    return True


def _kept() -> dict[str, Any] | None:
    """Return what is kept if it is this person's and fresh."""
    found = session.get(_KEY)
    if not found or _runtime().now() - datetime.fromisoformat(found["at"]) > LASTS:
        return None
    people = (current_customer(), current_staff())
    mine = any(who is not None and who.public_id == found["for"] for who in people)
    return cast("dict[str, Any]", found) if mine else None


def _announce_or_forget() -> None:
    # To look into the session is to say that the answer differs per cookie.
    if not request.endpoint or request.blueprint in _FOR_EVERYBODY or _KEY not in session:
        return
    kept, path = _kept(), request.script_root + request.path
    sent = request.method == "POST" and kept and kept["to"] == path
    if sent or request.endpoint in _SIGN_OUT or (kept is None and _somebody()):
        session.pop(_KEY)
    elif kept and request.method == "GET" and kept["on"] == path and not kept.get("told"):
        session[_KEY] = {**kept, "told": True}
        flash(_("You are signed in again. What you typed is still here: check it and save."))


def _somebody() -> bool:
    return current_customer() is not None or current_staff() is not None


def _fill_in(response: Response) -> Response:
    is_page = response.status_code == _OK and response.mimetype == "text/html"
    if request.method != "GET" or not is_page or response.direct_passthrough:
        return response
    if not request.endpoint or request.blueprint in _FOR_EVERYBODY or _KEY not in session:
        return response
    kept = _kept()
    if kept and kept["on"] == request.script_root + request.path:
        fields = [(name, value) for name, value in kept["fields"]]
        response.set_data(fill(response.get_data(as_text=True), kept["to"], fields))
    return response


def fill(page: str, action: str, fields: Pairs) -> str:
    """Return ``page`` with ``fields`` in its forms that are sent to ``action``; no other changes.

    >>> fill('<form action="/a"><input name="n" value="old"></form>', "/a", [("n", "<new>")])
    '<form action="/a"><input name="n" value="&lt;new&gt;"></form>'
    """
    filler = _Filler(page, action, fields)
    filler.feed(page)
    filler.close()
    return filler.result()


class _Filler(HTMLParser):
    """Copies a page and writes the kept values where their controls stand."""

    _WRITTEN = ("", "text", "search", "email", "tel", "url", "number", "date", "time", "month")

    def __init__(self, page: str, action: str, fields: Pairs) -> None:
        super().__init__(convert_charrefs=False)
        self._page, self._action, self._fields = page, action, fields
        self._starts = [0]
        # Not ``splitlines``: the parser counts line feeds only.
        for line in page.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._out: list[str] = []
        self._copied = 0
        self._inside = False
        self._select: set[str] | None = None
        self._textarea: str | None = None

    def result(self) -> str:
        return "".join(self._out) + self._page[self._copied :]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "form":
            self._inside = urlsplit(known.get("action") or "").path == self._action
        if not self._inside:
            return
        values = [value for name, value in self._fields if name == known.get("name")]
        if tag == "input":
            self._input(known, values)
        elif tag == "select":
            self._select = set(values) if values else None
        elif tag == "option" and self._select is not None:
            self._replace(tag, known, "selected", known.get("value") in self._select)
        elif tag == "textarea" and values:
            self._textarea = values[0]
            self._copy_to(self._here() + len(self.get_starttag_text() or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._textarea is not None:
            # The first line break of a text area is not part of its text.
            self._out.append("\n" + str(escape(self._textarea)))
            self._copied = self._here()
            self._textarea = None

    def _input(self, known: dict[str, str | None], values: Sequence[str]) -> None:
        kind = known.get("type") or ""
        if kind in {"checkbox", "radio"}:
            self._replace("input", known, "checked", (known.get("value") or "on") in values)
        elif kind in self._WRITTEN and values:
            self._replace("input", known, "value", values[0])

    def _replace(
        self, tag: str, known: dict[str, str | None], name: str, value: str | bool
    ) -> None:
        """Write the tag again with attribute ``name`` as ``value`` says (a bool: there or not)."""
        self._copy_to(self._here())
        attributes: dict[str, str | None] = {k: v for k, v in known.items() if k != name}
        if value is not False:
            attributes[name] = None if value is True else str(value)
        written = "".join(
            f" {key}" if text is None else f' {key}="{escape(text)}"'
            for key, text in attributes.items()
        )
        self._out.append(f"<{tag}{written}>")
        self._copied += len(self.get_starttag_text() or "")

    def _copy_to(self, end: int) -> None:
        self._out.append(self._page[self._copied : end])
        self._copied = end

    def _here(self) -> int:
        line, column = self.getpos()
        return self._starts[line - 1] + column


def _runtime() -> Runtime:
    return cast("Runtime", current_app.extensions["storefront"])
