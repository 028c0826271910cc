"""What axe-core, the checker of the Web Content Accessibility Guidelines, says of a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: WCAG 2.2 A and AA with everything they include, and axe's own good practice.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe_findings(page: Page) -> list[str]:
    """Return a line for each thing on the page that axe calls a violation: rule, place, why."""
    # The frame with a mail in it has an origin of its own, which no script of the page may enter.
    options = {"runOnly": {"type": "tag", "values": _RULES}, "iframes": False}
    found = Axe().run(page, options=options)
    return [
        f"{violation['id']}: {' '.join(node['target'][:1])}: {violation['help']}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]
