"""The whole shop behind a real address, and a visitor who distrusts every page of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request
from werkzeug.serving import WSGIRequestHandler, make_server

from storefront.adapters.clock import Clock
from storefront.adapters.mail import FileMailbox
from storefront.app import create_app
from storefront.demo.opening import change_prices, open_shop
from storefront.extensions import db
from storefront.jobs.work import run_all
from storefront.models import Subscription
from storefront.runtime import Runtime
from storefront.settings import Settings
from storefront_demo_gateway.bank import Bank

#: Milliseconds for anything to show; generous, because machines that test are busy.
PATIENCE = 30_000
PHONE, DESK = (360, 740), (1280, 800)
#: A download ends a navigation, and leaving a page ends what it was still loading.
_ABORTED = "net::ERR_ABORTED"
_LISTENER = """document.addEventListener("securitypolicyviolation", event =>
  console.error("Policy: " + event.violatedDirective + " " + event.blockedURI));"""
_FAULTS = (Path(__file__).parent / "faults.js").read_text(encoding="utf-8")


class _Quiet(WSGIRequestHandler):
    def log(self, *_line: Any) -> None:
        """Say nothing for each request."""


class LiveShop:
    """The shop on a free port of 127.0.0.1, until ``close``."""

    def __init__(
        self,
        folder: Path,
        database_url: str = "",
        clock: Clock | None = None,
        environment: Any = "test",
    ) -> None:
        self.server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.folder = folder / "instance"
        settings = Settings(
            environment=environment,
            secret_key="a secret of the tests, long enough for all",
            database_url=database_url,
            data_dir=self.folder,
            base_url=self.address,
        )
        self.app: Flask = create_app(settings, clock=clock)
        self._thread = threading.Thread(target=self.server.serve_forever)

    def _answer(self, *call: Any) -> Any:
        # The application needs the port in its settings, so the server is there before it.
        return self.app(*call)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def open(self) -> None:
        """Open *Nine Kettles*: everything it sells, its staff, its next boxes; no customers."""
        self.do(lambda rt: open_shop(rt, rt.now().date()))
        self.do(change_prices)
        self.tick()

    def __exit__(self, *failure: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
        self.bank.close()

    @property
    def bank(self) -> Bank:
        """The demo bank: it knows what was really charged."""
        gateway: Any = self.app.extensions["storefront"].gateways["demo"]
        bank: Bank = gateway.bank
        return bank

    def do(self, work: Callable[[Runtime], Any]) -> Any:
        """Run ``work`` in the server's process, as a job of its worker would be."""
        with self.app.app_context():
            rt: Runtime = self.app.extensions["storefront"]
            try:
                return work(rt)
            finally:
                rt.session.remove()

    def tick(self) -> None:
        """Let the worker do everything that is due. Fails when one of its jobs does."""
        assert self.do(run_all), "a job failed; its error is in the log"

    def subscriptions(self) -> int:
        """Return how many subscriptions there are."""
        counted: int = self.do(
            lambda rt: rt.session.scalar(sa.select(sa.func.count()).select_from(Subscription))
        )
        return counted

    def mails_to(self, email: str) -> list[str]:
        """Return subject and text of every mail that left for ``email``, the newest first."""
        texts = []
        for mail in FileMailbox(self.folder / "mail").read():
            body = mail.get_body(("plain",))
            if email in str(mail["To"]) and body:
                texts.append(f"{mail['Subject']}\n{body.get_content()}")
        return texts

    def code_for(self, email: str) -> str:
        """Return the sign-in code of the newest mail to ``email`` that has one."""
        mails = self.mails_to(email)
        codes = [re.search(r"\b\d{6}\b", text) for text in mails]
        return next(code[0] for code in codes if code)


@dataclass
class Guard:
    """Notes what no page may do: speak up in the console, ask elsewhere, break, lose a file."""

    host: str
    #: Statuses of answers that this visit is about.
    expected: set[str] = field(default_factory=lambda: {"422"})
    problems: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.add_init_script(_LISTENER)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def expect(self, status: str) -> None:
        """Let answers with ``status`` pass, which the browser also writes to the console."""
        self.expected.add(status)

    def _console(self, message: ConsoleMessage) -> None:
        told = [f"responded with a status of {status}" for status in self.expected]
        known = any(text in message.text for text in told)
        if message.type in {"error", "warning"} and not known:
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.netloc != self.host and parts.scheme != "data":
            self.problems.append(f"asked elsewhere: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _ABORTED:
            self.problems.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Any) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST and str(response.status) not in self.expected:
            self.problems.append(f"{response.status}: {response.url}")


class Visitor:
    """One person with one browser. Every look at a page is also a check of it."""

    def __init__(
        self,
        chromium: Browser,
        shop: LiveShop,
        size: tuple[int, int] = DESK,
        *,
        script: bool = True,
        **context: Any,
    ) -> None:
        self.shop, self.script = shop, script
        self.context = chromium.new_context(
            base_url=shop.address,
            viewport={"width": size[0], "height": size[1]},
            java_script_enabled=script,
            reduced_motion="reduce",
            locale="en-GB",
            **context,
        )
        self.context.set_default_timeout(PATIENCE)
        self.guard = Guard(urlsplit(shop.address).netloc)
        self.guard.watch(self.context)
        self.page: Page = self.context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.context.close()
        if kind is None:
            assert self.guard.problems == [], self.guard.problems

    def tab(self) -> Page:
        """Open one more tab of the same browser and go on there."""
        self.page = self.context.new_page()
        return self.page

    def go(self, path: str, heading: str = "") -> None:
        self.page.goto(path)
        self.see(heading)

    def see(self, heading: str = "") -> str:
        """Wait for the page with this heading, check it and return its text."""
        if heading:
            self.page.locator("h1").filter(has_text=heading).wait_for(state="attached")
        self.page.wait_for_load_state()
        # Between two documents there is no root element for a moment.
        self.page.locator("body").wait_for(state="attached")
        found = self.page.evaluate(_FAULTS)
        assert found == [], f"{self.page.url}: {found}"
        return " ".join(self.page.inner_text("body").split())

    def go_home(self) -> str:
        """Open the account and return what its first page says; sign in again if asked to."""
        self.page.goto("/account/")
        return self.see("Your boxes")

    def says(self, text: str) -> None:
        """Wait until the page shows ``text``."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name).locator("visible=true").first

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name).locator("visible=true").first

    def press(self, name: str) -> None:
        self.button(name).click()

    def follow(self, name: str) -> None:
        self.link(name).click()

    def fill(self, values: Mapping[str, str]) -> None:
        """Write into the fields whose labels begin so."""
        for label, value in values.items():
            field = self.page.get_by_label(re.compile(f"^{re.escape(label)}"))
            field.locator("visible=true").first.fill(value)

    def choose(self, label: str) -> None:
        """Check the box or the choice whose label begins so."""
        found = self.page.get_by_label(re.compile(f"^{re.escape(label)}"))
        found.locator("visible=true").first.check()
