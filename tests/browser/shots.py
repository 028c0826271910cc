"""``python3 dev.py shots``: make the pictures of the README from a demo shop made for them."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from storefront.demo.catalogue import PASSWORD, STAFF
from tests.browser._demo import demo_shop, sign_in_as_subscriber
from tests.browser.people import order_until_pay
from tests.browser.review import review
from tests.browser.support import DESK, PHONE, LiveShop, Visitor
from tools.environment import ROOT
from tools.machine import explain_browser, find_browser

FOLDER = ROOT / "docs" / "images"
#: Bytes a picture may have: a README is read over mobile networks too.
MOST_BYTES = 200_000
#: Our pages have few colours; with so many, edges of letters stay smooth.
_COLOURS = 128


def pricing(visitor: Visitor) -> None:
    visitor.go("/", "Nine kettles")


def checkout(visitor: Visitor) -> None:
    order_until_pay(visitor)


def today(visitor: Visitor) -> None:
    visitor.go("/admin/", "Staff sign-in")
    visitor.fill({"E-mail": STAFF[0].email, "Password": PASSWORD})
    visitor.press("Sign in")
    visitor.see("Today")


def cycle(visitor: Visitor) -> None:
    today(visitor)
    visitor.go("/admin/cycles?show=done", "Boxes")
    visitor.page.locator("main tbody tr").filter(has_not_text="Locked").locator("a").first.click()
    visitor.page.locator("#cycle-board").wait_for()


#: Name -> (size, how to get there, pixels of a pixel).
SHOTS: dict[str, tuple[tuple[int, int], Callable[[Visitor], None], int]] = {
    "pricing": ((1280, 980), pricing, 1),
    "checkout": ((1280, 1080), checkout, 1),
    "account-phone": (PHONE, sign_in_as_subscriber, 2),
    "admin-today": (DESK, today, 1),
    "cycle-board": (DESK, cycle, 1),
}


def main(arguments: list[str]) -> int:
    """Make all pictures and return an exit code."""
    parser = argparse.ArgumentParser(prog="dev.py shots", description=(__doc__ or "").strip())
    parser.add_argument("--months", type=int, default=12, help="of history (default: 12)")
    parser.add_argument("--shop", type=Path, help="keep the demo shop in this folder, or use it")
    parser.add_argument(
        "--review",
        type=Path,
        metavar="FOLDER",
        help="look at the pages of docs/review.md instead, measure them, keep pictures here",
    )
    parser.add_argument("--only", nargs="*", default=[], help="these pages of the review")
    options = parser.parse_args(arguments)
    path = find_browser()
    if path is None:
        print(explain_browser())
        return 1
    with demo_shop(path, options.shop, options.months) as (browser, shop):
        if options.review:
            return 1 if review(browser, shop, options.review, options.only) else 0
        for name in SHOTS:
            _take(browser, shop, name)
    return 0


def _take(browser: Browser, shop: LiveShop, name: str) -> None:
    size, go, scale = SHOTS[name]
    with Visitor(browser, shop, size, device_scale_factor=scale) as visitor:
        go(visitor)
        picture = visitor.page.screenshot(caret="initial", animations="disabled")
    target = FOLDER / f"{name}.png"
    target.write_bytes(_small(picture))
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


def _small(picture: bytes) -> bytes:
    """Return the picture with fewer colours. Raises ``ValueError`` when that is not enough."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    written = io.BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    small = written.getvalue()
    if len(small) > MOST_BYTES:
        raise ValueError(f"{len(small)} bytes are more than a README should load")
    return small


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
