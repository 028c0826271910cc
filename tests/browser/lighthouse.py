"""``python3 dev.py lighthouse``: Lighthouse reads pricing, plan, checkout and account.

Performance, accessibility and best practices are to be 100, and search on the two public pages.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.browser._demo import demo_shop, sign_in_as_subscriber
from tests.browser.people import order_until_pay
from tests.browser.support import PHONE, LiveShop, Visitor
from tools.console import bad, good
from tools.machine import explain_browser, find_browser

_HELP = """Lighthouse is a program of node (22 or newer):

    npm install lighthouse      in any folder outside this one
    LIGHTHOUSE=/path/to/node_modules/.bin/lighthouse python3 dev.py lighthouse
"""
_ALWAYS = ("performance", "accessibility", "best-practices")
_WHOLE = 1.0


def main(arguments: list[str]) -> int:
    """Measure the pages and return an exit code."""
    parser = argparse.ArgumentParser(prog="dev.py lighthouse", description=(__doc__ or "").strip())
    parser.add_argument("--months", type=int, default=2, help="of history (default: 2)")
    parser.add_argument("--shop", type=Path, help="keep the demo shop in this folder, or use it")
    options = parser.parse_args(arguments)
    program = shutil.which(os.environ.get("LIGHTHOUSE", "lighthouse"))
    browser = find_browser()
    if program is None:
        print(_HELP)
        return 1
    if browser is None:
        print(explain_browser())
        return 1
    is_fine = True
    with (
        demo_shop(browser, options.shop, options.months) as (chromium, shop),
        Visitor(chromium, shop, PHONE) as ada,
        Visitor(chromium, shop, PHONE) as berta,
    ):
        ada.go("/")
        plan = ada.page.locator("a[href*='/plans/']").first.get_attribute("href") or "/"
        order_until_pay(ada)
        sign_in_as_subscriber(berta)
        pages: list[tuple[str, str, Visitor | None]] = [
            ("pricing", "/", None),
            ("plan", plan, None),
            ("checkout", ada.page.url.removeprefix(shop.address), ada),
            ("account", "/account/", berta),
        ]
        for name, path, visitor in pages:
            report = _measure(program, browser, shop, path, visitor)
            is_fine &= _tell(name, report)
    return int(not is_fine)


def _measure(
    program: str, browser: str, shop: LiveShop, path: str, visitor: Visitor | None
) -> dict[str, Any]:
    kinds = (*_ALWAYS, *(() if visitor else ("seo",)))
    command = [program, shop.address + path, "--quiet", "--output=json", "--output-path=stdout"]
    command += [f"--only-categories={','.join(kinds)}"]
    command += ["--chrome-flags=--headless=new --no-sandbox"]
    if visitor:
        cookies = "; ".join(f"{one['name']}={one['value']}" for one in visitor.context.cookies())
        command += [f"--extra-headers={json.dumps({'Cookie': cookies})}"]
    environ = {**os.environ, "CHROME_PATH": browser}
    said = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environ)
    report: dict[str, Any] = json.loads(said.stdout)
    return report


def _tell(name: str, report: dict[str, Any]) -> bool:
    """Say what the page scored, and what cost it a point. Returns whether it is whole."""
    scores = {kind: one["score"] for kind, one in report["categories"].items()}
    words = ", ".join(f"{kind} {round(100 * (score or 0))}" for kind, score in scores.items())
    if all(score == _WHOLE for score in scores.values()):
        good(f"{name}: {words}")
        return True
    bad(f"{name}: {words}")
    for kind in report["categories"].values():
        for audit in kind["auditRefs"]:
            found = report["audits"][audit["id"]]
            if audit["weight"] and found["score"] is not None and found["score"] < _WHOLE:
                print(f"    {kind['id']}: {found['title']} {found.get('displayValue', '')}")
                for item in found.get("details", {}).get("items", [])[:5]:
                    print(f"        {json.dumps(item)[:300]}")
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
