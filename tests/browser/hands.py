"""Whoever uses the shop without reading it: finds things by their place, by mouse or by keys.

Journeys written with it run in every language, because no word of a page is in them.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

from tests.browser.support import Visitor

#: Bytes a second and milliseconds of a train in the country.
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
#: What has the focus without a ring that one sees, or nothing.
_UNSEEN = """() => { const e = document.activeElement, c = e.closest(".choice, .check, .pick") || e;
  const ring = [e, c].some(one => parseFloat(getComputedStyle(one).outlineWidth) >= 2
    && getComputedStyle(one).outlineStyle !== "none");
  const r = c.getBoundingClientRect();
  const seen = ring && r.width > 0 && r.top >= -1 && r.bottom <= innerHeight + 1;
  // The calendar in a date field is the browser's own and has its own ring; where a script put
  // the focus so that reading goes on there, nothing can be pressed.
  if (e === document.body || !e.matches(":focus") || e.tabIndex < 0 || seen) return "";
  return `${ring} ${r.top} ${r.bottom} ${e.outerHTML.slice(0, 200)}`; }"""
MOST_TABS = 60


class Hands:
    """The hands of a visitor. ``keys``: no mouse; ``impatient``: every press is a double click."""

    def __init__(self, visitor: Visitor, *, keys: bool = False, impatient: bool = False) -> None:
        self.visitor, self.keys, self.impatient = visitor, keys, impatient

    def find(self, selector: str) -> Locator:
        return self.visitor.page.locator(selector).locator("visible=true").first

    def reach(self, selector: str) -> Locator:
        """Tab to it. Fails when there is no way, or the focus is out of sight on it."""
        target = self.find(selector)
        target.wait_for()
        for _ in range(MOST_TABS):
            unseen = self.visitor.page.evaluate(_UNSEEN)
            assert not unseen, f"the focus cannot be seen: {unseen}"
            if target.evaluate("e => e === document.activeElement"):
                return target
            if target.evaluate("e => e.type === 'radio' && e.name === document.activeElement.name"):
                self.visitor.page.keyboard.press("ArrowDown")
            else:
                self.visitor.page.keyboard.press("Tab")
        raise AssertionError(f"no way to {selector} by Tab")

    def press(self, selector: str) -> None:
        """Press a button or follow a link."""
        if self.keys:
            self.reach(selector)
            self.visitor.page.keyboard.press("Enter")
        elif self.impatient:
            self.find(selector).dblclick(no_wait_after=True)
        else:
            self.find(selector).click()

    def unfold(self, selector: str) -> None:
        """Open what is folded; once, since a second press folds it again."""
        if self.keys:
            self.press(selector)
        else:
            self.find(selector).click()

    def tick(self, selector: str) -> None:
        """Check a box or a choice."""
        if not self.keys:
            self.find(selector).check()
        elif not self.reach(selector).is_checked():
            self.visitor.page.keyboard.press("Space")

    def write(self, values: dict[str, str]) -> None:
        """Write into the fields of these names."""
        for name, text in values.items():
            if self.keys:
                self.reach(f"[name={name}]")
                self.visitor.page.keyboard.type(text)
            else:
                self.find(f"[name={name}]").fill(text)

    def arrive(self, selector: str) -> None:
        """Wait for a page by something that only it has, and check the page."""
        self.visitor.page.locator(selector).first.wait_for(state="attached")
        self.visitor.see()

    def speak(self, language: str) -> None:
        cookie: Any = {"name": "language", "value": language, "url": self.visitor.shop.address}
        self.visitor.context.add_cookies([cookie])

    def slow_down(self) -> None:
        session = self.visitor.context.new_cdp_session(self.visitor.page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", SLOW)
