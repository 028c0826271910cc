"""``python3 dev.py shots --review``: the pages of the checklist, seen the way a reviewer sees them.

Each scene is a page of the demo shop in the state the checklist asks for. It is looked at on a
phone, on a tablet and at a desk, light and dark, in English and German; measured by ``review.js``;
and kept as one picture that shows the phone, the phone in the dark in German, and the desk.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from storefront.demo.catalogue import PASSWORD, STAFF
from tests.browser.axe import axe_findings
from tests.browser.people import order, order_until_pay, pay
from tests.browser.support import DESK, PHONE, LiveShop, Visitor

TABLET = (768, 1024)
#: 1280 px at 200 % have room for this many.
ZOOMED = (640, 400)
NARROWEST = (320, 640)
#: Words that no shopper should read (the English half of the list in our texts' rules).
AVOID = [
    "sorry",
    "oops",
    "invalid",
    "illegal",
    "error occurred",
    "gateway",
    "token",
    "customer id",
    "simply",
    "unfortunately",
    "last chance",
    "are you sure",
    "submit",
    "click here",
]
#: Lines 1.5 high and letters 0.12 em apart, as WCAG 1.4.12 lets people set them.
_SPACED = """() => { const sheet = new CSSStyleSheet(); sheet.replaceSync(
  "* { line-height: 1.5 !important; letter-spacing: .12em !important }"
  + "* { word-spacing: .16em !important } p { margin-block-end: 2em !important }");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]; }"""
_TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"
_MEASURE = (Path(__file__).parent / "review.js").read_text(encoding="utf-8")
#: Pixels of one picture's height; what lies lower is not what a page is judged by.
TALL = 1200


def _nothing(_page: Page) -> None:
    """Leave the page as it opens."""


@dataclass(frozen=True)
class Scene:
    """A page in one state: who opens it, how it is found, and what is then done on it."""

    find: Callable[[Visitor], str]
    act: Callable[[Page], None] = _nothing
    desk: bool = False
    #: Whether the picture shows the desk too.
    is_wide: bool = True


def at(path: str) -> Callable[[Visitor], str]:
    """Find a page by its address alone."""
    return lambda _visitor: path


def in_checkout(act: Callable[[Visitor], None]) -> Callable[[Visitor], str]:
    def find(visitor: Visitor) -> str:
        act(visitor)
        return visitor.page.url

    return find


def signed_in(email: str, ending: str = "") -> Callable[[Visitor], str]:
    """Sign in as somebody of the story and find the first link whose address ends so."""

    def find(visitor: Visitor) -> str:
        visitor.go("/sign-in", "Sign in")
        visitor.page.locator("summary").filter(has_text="Use a password").click()
        visitor.page.locator("#password-email").fill(email)
        visitor.fill({"Password": PASSWORD})
        visitor.button("Sign in").click()
        visitor.see("Your boxes")
        if not ending:
            return visitor.page.url
        return str(visitor.page.locator(f"main a[href$='{ending}']").first.get_attribute("href"))

    return find


def at_the_desk(path: str) -> Callable[[Visitor], str]:
    def find(visitor: Visitor) -> str:
        visitor.go("/admin/", "Staff sign-in")
        visitor.fill({"E-mail": STAFF[0].email, "Password": PASSWORD})
        visitor.press("Sign in")
        visitor.see("Today")
        return path

    return find


def _to_delivery(visitor: Visitor) -> None:
    visitor.go("/checkout?plan=pot", "Your box")
    visitor.choose("As usual")
    visitor.press("Continue to delivery")
    visitor.see("Delivery")


def _press_filled(page: Page) -> None:
    page.locator("main form button.filled:visible").first.click()
    page.locator(".field .error:visible").first.wait_for()


def _paid_with(card: str, heading: str) -> Callable[[Visitor], None]:
    """Order and pay with a demo card that does not simply succeed."""

    def act(visitor: Visitor) -> None:
        order_until_pay(visitor)
        order(visitor)
        pay(visitor, card)
        visitor.see(heading)

    return act


def _left_the_bank(visitor: Visitor) -> None:
    _paid_with("3220", "Your bank wants to know it is you")(visitor)
    visitor.follow("Continue to your bank")
    visitor.press("No, refuse")
    visitor.see("Review and pay")


def _try_a_code(page: Page) -> None:
    page.locator(".order-code summary").click()
    page.locator("[name=code]:visible").fill("LEMONADE")
    page.locator(".order-code button:visible").first.click()
    page.locator(".order-code .error:visible").first.wait_for()


def _without_an_answer(visitor: Visitor) -> None:
    order_until_pay(visitor)
    order(visitor)
    visitor.choose("Demo card ending 0408")
    visitor.button("Pay €").click()
    visitor.see("We are checking your payment")


def _unreachable(visitor: Visitor) -> None:
    order_until_pay(visitor)
    visitor.go(f"{visitor.page.url}?problem=unreachable", "Review and pay")


def _sold_out(visitor: Visitor) -> None:
    order_until_pay(visitor)
    visitor.go(f"{visitor.page.url}?problem=sold_out", "Review and pay")


def _bought(visitor: Visitor) -> None:
    order_until_pay(visitor)
    order(visitor)
    pay(visitor)
    visitor.see("Thank you, Ada")


SCENES: dict[str, Scene] = {
    "pricing": Scene(at("/")),
    "plan": Scene(at("/plans/pot")),
    "checkout-delivery": Scene(in_checkout(_to_delivery)),
    "checkout-errors": Scene(in_checkout(_to_delivery), _press_filled),
    "checkout-pay": Scene(in_checkout(order_until_pay)),
    "checkout-declined": Scene(in_checkout(_paid_with("0002", "Review and pay"))),
    "till-no-money": Scene(in_checkout(_paid_with("9995", "Review and pay")), is_wide=False),
    "till-expired-card": Scene(in_checkout(_paid_with("0069", "Review and pay")), is_wide=False),
    "till-bank-asks": Scene(
        in_checkout(_paid_with("3220", "Your bank wants to know it is you")), is_wide=False
    ),
    "till-bank-refused": Scene(in_checkout(_left_the_bank), is_wide=False),
    "till-no-answer": Scene(in_checkout(_without_an_answer), is_wide=False),
    "till-no-consent": Scene(in_checkout(order_until_pay), _press_filled, is_wide=False),
    "till-unknown-code": Scene(in_checkout(order_until_pay), _try_a_code, is_wide=False),
    "till-unreachable": Scene(in_checkout(_unreachable), is_wide=False),
    "till-sold-out": Scene(in_checkout(_sold_out), is_wide=False),
    "confirmation": Scene(in_checkout(_bought)),
    "account-home": Scene(signed_in("mara@example.org")),
    "change-plan": Scene(signed_in("mara@example.org", "/plan")),
    "box-chooser": Scene(signed_in("mara@example.org", "/choose")),
    "cancel": Scene(signed_in("ida@example.org", "/cancel")),
    "failed-payment": Scene(signed_in("nora@example.org", "/payment")),
    "admin-today": Scene(at_the_desk("/admin/"), desk=True),
    "admin-plans": Scene(at_the_desk("/admin/plans"), desk=True),
    "admin-subscribers": Scene(at_the_desk("/admin/subscribers"), desk=True),
    "admin-cycles": Scene(at_the_desk("/admin/cycles"), desk=True),
    "admin-look": Scene(at_the_desk("/admin/look"), desk=True),
}


def review(browser: Browser, shop: LiveShop, folder: Path, only: list[str]) -> int:
    """Look at every scene, keep its picture in ``folder``; return how many findings there were."""
    folder.mkdir(parents=True, exist_ok=True)
    found = 0
    for name, scene in SCENES.items():
        if only and name not in only:
            continue
        findings = _look(browser, shop, scene, folder / f"{name}.png")
        found += len(findings)
        print(f"{name}: {'nothing to say' if not findings else ''}")
        for finding in findings:
            print(f"  {finding}")
    return found


def _look(browser: Browser, shop: LiveShop, scene: Scene, target: Path) -> list[str]:
    with Visitor(browser, shop, DESK) as visitor:
        page = visitor.page
        address = scene.find(visitor)

        def open_at(size: tuple[int, int], scheme: str = "light", language: str = "en") -> str:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            cookie = {"name": "language", "value": language, "url": shop.address}
            visitor.context.add_cookies([cookie])  # type: ignore[list-item]
            visitor.go(address)
            scene.act(page)
            return f"{size[0]} px {scheme} {language}"

        findings, pictures = [], []
        for size, scheme, language, kept in (
            (PHONE, "light", "en", True),
            (PHONE, "dark", "de", True),
            (DESK, "light", "en", scene.is_wide),
            (TABLET, "light", "fr", False),
            (NARROWEST, "light", "de", False),
            (ZOOMED, "dark", "en", False),
        ):
            look = open_at(size, scheme, language)
            words = AVOID if language == "en" and not scene.desk else []
            said = page.evaluate(_MEASURE, {"desk": scene.desk, "words": words})
            if size in (PHONE, DESK):
                said += axe_findings(page)
            if page.evaluate(_TOO_WIDE):
                said.append("4: wider than the screen")
            if kept:
                pictures.append(page.screenshot(full_page=True, animations="disabled"))
            page.evaluate(_SPACED)
            if page.evaluate(_TOO_WIDE):
                said.append("30: wider than the screen with spaced text")
            findings += [f"{look}: {one}" for one in said]
    _write(pictures, target)
    return findings


def _write(pictures: list[bytes], target: Path) -> None:
    """Put the pictures side by side, cut below what the eye meets first, with few colours."""
    images = [Image.open(io.BytesIO(one)).convert("RGB") for one in pictures]
    height = min(TALL, max(image.height for image in images))
    sheet = Image.new("RGB", (sum(i.width for i in images) + 40, height), "#808080")
    left = 0
    for image in images:
        sheet.paste(image.crop((0, 0, image.width, min(image.height, height))), (left, 0))
        left += image.width + 20
    sheet.quantize(128, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
