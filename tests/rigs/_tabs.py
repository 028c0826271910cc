"""A browser tab that talks to real web processes, each request to any of them."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from flask import Flask

T = TypeVar("T")
#: Seconds a page may take while everybody fights for one database.
_TIMEOUT = 60.0
#: Longest head start of one of several who act at once, in seconds.
_SPREAD = 0.06


@dataclass(frozen=True)
class Page:
    """What came back; ``location`` is a path."""

    status: int
    location: str
    text: str

    def field(self, name: str) -> str:
        """Return the value of a hidden field. Raises ``AssertionError`` if there is none."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name} in a page of status {self.status}: {self.text[:300]}"
        return found[1]


@dataclass
class Tab:
    """``ports`` are those of the web processes; ``seen`` counts the statuses of all tabs.

    With ``is_htmx`` it asks for the parts of pages that its script swaps.
    """

    ports: Sequence[int]
    seen: list[tuple[str, int]]
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    is_htmx: bool = False

    def again(self) -> Tab:
        """Return another tab of the same browser."""
        return Tab(self.ports, self.seen, dict(self.cookies), self.token, self.is_htmx)

    def get(self, path: str) -> Page:
        return self._ask("GET", path, None, {})

    def post(self, path: str, **fields: str) -> Page:
        body = urlencode({"csrf_token": self.token, **fields}).encode()
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> Page:
        """Post ``body`` as it is, as a gateway does."""
        return self._ask("POST", path, body, headers)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Page:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Host": "localhost", "Cookie": cookie, "Accept-Language": "en", **headers}
        if self.is_htmx and method == "POST":
            sent |= {"HX-Request": "true", "HX-Request-Type": "partial"}
        connection = HTTPConnection("127.0.0.1", random.choice(self.ports), timeout=_TIMEOUT)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or ():
            self.cookies.update((one.key, one.value) for one in SimpleCookie(line).values())
        page = Page(answer.status, _path(answer.headers.get("Location", "")), text)
        found = re.search(r'name="csrf_token" value="([^"]+)"', text)
        self.token = found[1] if found else self.token
        self.seen.append((f"{method} {path}", answer.status))
        return page


def signed_in(app: Flask, tab: Tab, **session: object) -> Tab:
    """Put ``session`` into the browser of ``tab``, as signing in does."""
    client = app.test_client()
    with client.session_transaction() as values:
        values.update(session)
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = client.get_cookie(name)
    assert cookie is not None
    tab.cookies[name] = cookie.value
    return tab


def at_once(rng: random.Random, acts: Sequence[Callable[[], T]]) -> list[T]:
    """Do all of ``acts`` at once, each with a head start that is drawn; returns what they did."""
    gate, waits = threading.Barrier(len(acts)), [rng.uniform(0, _SPREAD) for _ in acts]

    def act(number: int) -> T:
        gate.wait()
        time.sleep(waits[number])
        return acts[number]()

    with ThreadPoolExecutor(max_workers=len(acts)) as pool:
        return list(pool.map(act, range(len(acts))))


def _path(location: str) -> str:
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")
