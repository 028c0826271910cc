"""Conditions under which somebody visits the shop, and the ways that every journey shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.browser.hands import Hands
from tests.browser.people import ADA
from tests.browser.support import DESK, PHONE, LiveShop, Visitor

TABLET = (768, 1024)
WHO = {
    "email": ADA,
    "name": "Ada Lovelace",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}


@dataclass(frozen=True)
class Look:
    """Under which conditions somebody goes their way."""

    size: tuple[int, int] = DESK
    scheme: str = "light"
    language: str = "en"
    script: bool = True
    keys: bool = False
    slow: bool = False


#: Each condition of ``docs/journeys.md`` at least once, for journeys beside the main one.
THREE_LOOKS = [
    pytest.param(Look(TABLET, language="fr", script=False), id="tablet-french-bare"),
    pytest.param(Look(PHONE, "dark", "de", slow=True), id="phone-dark-german-slow"),
    pytest.param(Look(DESK, keys=True), id="desk-keys"),
]


def visit(chromium: Any, live: LiveShop, look: Look) -> Visitor:
    return Visitor(chromium, live, look.size, script=look.script, color_scheme=look.scheme)


def begin(visitor: Visitor, look: Look) -> Hands:
    hands = Hands(visitor, keys=look.keys, impatient=look.slow)
    hands.speak(look.language)
    if look.slow:
        hands.slow_down()
    return hands


def sign_in(hands: Hands) -> None:
    """Sign in by a code where the page asks for it, by places and not by words."""
    hands.visitor.page.goto("/account/")
    if hands.visitor.page.locator("#account-home").count():
        return
    hands.write({"email": ADA})
    hands.press("main form:has([name=email]) button.filled")
    hands.arrive("#code")
    hands.visitor.shop.tick()
    hands.write({"code": hands.visitor.shop.code_for(ADA)})
    hands.press("main form:has(#code) button.filled")
    hands.arrive("#account-home")


def order(hands: Hands) -> None:
    hands.visitor.go("/plans/pot")
    hands.press("a[href*='/checkout?']")
    hands.arrive("#box-form")
    hands.tick("#box-form [name=option-caffeine][value=usual]")
    hands.press("#box-form button.filled")
    hands.arrive("#delivery-form")
    hands.write(WHO)
    hands.press("#delivery-form button.filled")
    hands.arrive("#pay-form")
    pay(hands)
    hands.arrive(".order-done")


def pay(hands: Hands, card: str = "4242") -> None:
    hands.tick("#pay-form [name=consent]")
    hands.press("#pay-form button.filled")
    hands.arrive(f"#card-{card}")
    hands.tick(f"#card-{card}")
    hands.press("main form button.filled")
    if not hands.visitor.script:
        hands.press("main form button.filled")


def go_home(hands: Hands) -> None:
    hands.visitor.go("/account/")
    hands.arrive("#account-home")


def gone(hands: Hands, selector: str) -> None:
    hands.visitor.page.locator(selector).first.wait_for(state="detached")
    hands.visitor.see()
