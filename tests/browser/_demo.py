"""A demo shop with a browser at it, for the commands of ``dev.py`` that look at real pages."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from storefront.demo.cast import CAST
from storefront.demo.catalogue import PASSWORD
from tests.browser.support import LiveShop, Visitor
from tools.environment import PYTHON, ROOT, child_environ


@contextmanager
def demo_shop(path: str, folder: Path | None, months: int) -> Iterator[tuple[Browser, LiveShop]]:
    """Open a shop that lived for ``months``, in ``folder`` or one of its own, in the browser."""
    with tempfile.TemporaryDirectory() as made:
        place = folder or Path(made)
        # A kept shop is brought up to today's tables; its history is made once.
        seed(place / "instance", months)
        with LiveShop(place, environment="demo") as shop, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            # Else the desk says that the worker has not run since the shop was made.
            shop.tick()
            yield browser, shop
            browser.close()


def seed(data_dir: Path, months: int) -> None:
    """Make the demo shop's database in ``data_dir``."""
    data_dir.mkdir(parents=True, exist_ok=True)
    environ = child_environ(STOREFRONT_ENVIRONMENT="demo", STOREFRONT_DATA_DIR=str(data_dir))
    for command in (["migrate"], ["demo", "seed", "--months", str(months)]):
        subprocess.run([PYTHON, "-m", "storefront", *command], cwd=ROOT, env=environ, check=True)


def sign_in_as_subscriber(visitor: Visitor) -> None:
    """Sign in as somebody of the demo who has boxes."""
    visitor.go("/sign-in", "Sign in")
    visitor.page.locator("summary").filter(has_text="Use a password").click()
    visitor.page.locator("#password-email").fill(CAST[0].email)
    visitor.fill({"Password": PASSWORD})
    visitor.button("Sign in").click()
    visitor.see("Your boxes")
