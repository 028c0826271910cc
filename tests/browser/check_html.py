"""``python3 dev.py check-html``: the Nu HTML checker reads every kind of page of a demo shop."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.browser._demo import demo_shop, sign_in_as_subscriber
from tests.browser.crawl import endpoints
from tests.browser.people import order_until_pay, sign_in_as_owner
from tests.browser.support import DESK, PHONE, LiveShop, Visitor
from tools.console import bad, good, say
from tools.machine import explain_browser, find_browser

_HELP = """The Nu HTML checker needs Java 17 or newer and its program, vnu.jar:

    npm install vnu-jar      in a folder outside this one
    VNU_JAR=/path/to/node_modules/vnu-jar/build/dist/vnu.jar python3 dev.py check-html
"""
#: Of all it says the one thing that is meant so: htmx reads its attributes under these names.
_OF_HTMX = "Attribute “hx-"


def main(arguments: list[str]) -> int:
    """Check all pages and return an exit code."""
    parser = argparse.ArgumentParser(prog="dev.py check-html", description=(__doc__ or "").strip())
    parser.add_argument("--months", type=int, default=2, help="of history (default: 2)")
    parser.add_argument("--shop", type=Path, help="keep the demo shop in this folder, or use it")
    options = parser.parse_args(arguments)
    jar, java, browser = Path(os.environ.get("VNU_JAR", "")), shutil.which("java"), find_browser()
    if not jar.is_file() or java is None:
        print(_HELP)
        return 1
    if browser is None:
        print(explain_browser())
        return 1
    with tempfile.TemporaryDirectory() as folder:
        with demo_shop(browser, options.shop, options.months) as (chromium, shop):
            count = _save_pages(chromium, shop, Path(folder))
        say(f"reading {count} kinds of pages")
        findings = _findings([java, "-jar", str(jar)], folder)
    for finding in findings:
        bad(finding)
    if not findings:
        good(f"{count} kinds of pages, nothing found")
    return int(bool(findings))


def _save_pages(chromium: Browser, shop: LiveShop, folder: Path) -> int:
    """Write each kind of page into ``folder``, as the server sent it, and return their number."""

    def keep(name: str, html: str) -> None:
        (folder / f"{name}.html").write_text(html, encoding="utf-8")

    with Visitor(chromium, shop, PHONE) as ada:
        for name, html in endpoints(shop, "/", ada):
            keep(f"shop {name}", html)
        order_until_pay(ada)
        for name, html in endpoints(shop, ada.page.url.removeprefix(shop.address), ada):
            keep(f"checkout {name}", html)
    with Visitor(chromium, shop, PHONE) as berta:
        sign_in_as_subscriber(berta)
        for name, html in endpoints(shop, "/account/", berta):
            keep(f"account {name}", html)
    with Visitor(chromium, shop, DESK) as greta:
        sign_in_as_owner(greta)
        for name, html in endpoints(shop, "/admin/", greta):
            keep(f"admin {name}", html)
    return len(list(folder.iterdir()))


def _findings(checker: list[str], folder: str) -> list[str]:
    """Return a line for each thing the checker calls an error or a warning."""
    command = [*checker, "--format", "json", "--exit-zero-always", folder]
    said = subprocess.run(command, check=True, text=True, capture_output=True)
    messages: list[dict[str, Any]] = json.loads(said.stderr)["messages"]
    return [
        f"{Path(one.get('url', '')).stem.replace('%20', ' ')}: {one['message']}"
        f" | {one.get('extract', '').strip()}"
        for one in messages
        if one["type"] != "info" or one.get("subType") == "warning"
        if not one["message"].startswith(_OF_HTMX)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
