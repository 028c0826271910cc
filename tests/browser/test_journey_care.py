"""What goes wrong at a till: impatience, second tabs, the Back button; and who sees no mouse."""

import re

import pytest

from tests.browser.people import (
    ADDRESS,
    PAY,
    order,
    order_until_pay,
    pay,
    sign_in,
    subscribe,
)
from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser


def bought(live):
    """Return (subscriptions, charges at the bank, orders paid for twice)."""
    return live.subscriptions(), live.bank.executed_count(), live.bank.double_charges()


ONCE = (1, 1, [])
#: Pixels that a label of one line never has.
TWO_LINES = 40


@pytest.mark.parametrize("script", [True, False])
def test_a_double_click_orders_once(chromium, live, script):
    with Visitor(chromium, live, script=script) as ada:
        order_until_pay(ada)
        ada.choose("I agree that")
        ada.button(PAY).dblclick()
        ada.see("asks for")
        ada.choose("Demo card ending 4242")
        ada.button("Pay €").dblclick(no_wait_after=True)
        if not script:
            ada.see("One last moment")
            ada.button("Finish my order").dblclick(no_wait_after=True)
            look_again_while_it_waits(ada)
        ada.see("Thank you, Ada")
        ada.page.reload()
        ada.see("Thank you, Ada")
    assert bought(live) == ONCE


@pytest.mark.parametrize(("size", "script"), [(PHONE, True), (DESK, True), (DESK, False)])
def test_the_country_is_chosen_in_one_line(chromium, live, size, script):
    with Visitor(chromium, live, size, script=script) as ada:
        ada.go("/", "Nine kettles")
        place = ada.page.get_by_label("Deliver to")
        label = ada.page.locator("label[for=place]")
        assert place.bounding_box()["height"] >= label.bounding_box()["height"]
        assert abs(middle(place) - middle(label)) < 4
        assert place.bounding_box()["width"] < 300
        place.select_option("France")
        if not script:
            ada.press("Show prices")
        ada.page.locator("#place option[selected]").filter(has_text="France").wait_for(
            state="attached"
        )
        ada.see("Nine kettles")
        assert ada.page.get_by_role("button", name="Show prices").is_visible() is not script


def middle(element):
    box = element.bounding_box()
    return box["y"] + box["height"] / 2


def look_again_while_it_waits(visitor, times=10):
    """Do what the page asks of people without its script while the bank takes its time."""
    checking, thanks = "We are checking your payment", "Thank you, Ada"
    for _ in range(times):
        both = visitor.page.locator("h1").filter(has_text=re.compile(f"{checking}|{thanks}"))
        both.wait_for(state="attached")
        if thanks in both.inner_text():
            return
        visitor.page.wait_for_timeout(1000)
        visitor.press("Check again")
    visitor.see(thanks)


def test_two_tabs_order_once(chromium, live):
    with Visitor(chromium, live) as ada:
        order_until_pay(ada)
        first, address = ada.page, ada.page.url
        second = ada.tab()
        ada.go(address, "Review and pay")
        for ada.page in (first, second):
            order(ada)
        ada.page = first
        pay(ada)
        ada.see("Thank you, Ada")
        ada.page = second
        ada.choose("Demo card ending 4242")
        # The first tab signed Ada in, so this tab's form is too old; the page leads on.
        ada.guard.expect("400")
        ada.press("Pay €")
        ada.see("We could not read that")
        ada.follow("Open the page again")
        ada.see("Thank you, Ada")
    assert bought(live) == ONCE


def test_back_after_payment_leads_to_the_order_and_charges_nothing(chromium, live):
    with Visitor(chromium, live) as ada:
        subscribe(ada)
        steps = []
        for _ in range(6):
            ada.page.go_back()
            ada.page.wait_for_load_state()
            steps.append(ada.page.locator("h1").first.inner_text())
            if steps[-1] == "Your box":
                break
        assert "Review and pay" not in steps
        ada.go("/account/", "Your boxes")
        assert ada.page.locator(".next-box").count() == 1
    assert bought(live) == ONCE


def test_an_error_takes_the_focus_and_leads_to_its_field(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        order_until_pay(ada)
        ada.follow("Change the address")
        ada.see("Delivery")
        ada.fill({"Full name": "", "Town": ""})
        ada.press("Continue to payment")
        summary = ada.page.locator(".error-summary")
        summary.wait_for()
        assert summary.evaluate("e => e === document.activeElement")
        assert is_in_view(ada, ".error-summary")
        summary.get_by_role("link").first.click()
        assert ada.page.evaluate("document.activeElement.name") == "name"
        assert is_in_view(ada, "[name=name]")
        ada.page.keyboard.type("Ada Lovelace")
        assert not ada.page.locator("#name-error").is_visible()


def is_in_view(ada, selector):
    return ada.page.locator(selector).evaluate(
        "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight }"
    )


def test_the_whole_order_by_keyboard(chromium, live):
    with Visitor(chromium, live) as ada:
        ada.go("/plans/pot", "Pot")
        ada.page.keyboard.press("Tab")
        assert focused(ada) == "Skip to content"
        to(ada, "Choose Pot")
        ada.page.keyboard.press("Enter")
        ada.see("Your box")
        to(ada, "As usual")
        ada.page.keyboard.press("Space")
        to(ada, "Continue to delivery")
        ada.page.keyboard.press("Enter")
        ada.see("Delivery")
        for label, text in ADDRESS.items():
            to(ada, label)
            ada.page.keyboard.type(text)
        ada.page.keyboard.press("Enter")
        ada.see("Review and pay")
        to(ada, "I agree that")
        ada.page.keyboard.press("Space")
        to(ada, PAY)
        ada.page.keyboard.press("Enter")
        ada.see("asks for")
        to(ada, "Demo card ending 4242")
        to(ada, "Pay €")
        ada.page.keyboard.press("Space")
        ada.see("Thank you, Ada")
    assert bought(live) == ONCE


def focused(ada):
    """Return the name of what has the focus; fail when one cannot see it."""
    name, seen = ada.page.evaluate(
        """() => { const e = document.activeElement, c = e.closest(".choice, .check") || e;
        const ring = [e, c].some(one => parseFloat(getComputedStyle(one).outlineWidth) >= 2
          && getComputedStyle(one).outlineStyle !== "none");
        const r = c.getBoundingClientRect();
        const text = e.labels && e.labels[0] ? e.labels[0].innerText : e.innerText;
        return [(text || "").trim(), e === document.body || (ring && r.width > 0
          && r.top >= -1 && r.bottom <= innerHeight + 1)]; }"""
    )
    assert seen, f"the focus is on {name!r} and cannot be seen"
    return name


def to(ada, name):
    """Press Tab until ``name`` has the focus."""
    for _ in range(40):
        if focused(ada).startswith(name):
            return
        ada.page.keyboard.press("Tab")
    raise AssertionError(f"no way to {name} by Tab")


def test_dark_is_kept_and_dark_from_the_first_page_on(chromium, live):
    with Visitor(chromium, live, PHONE, color_scheme="light") as ada:
        ada.go("/", "Nine kettles")
        assert brightness(ada) > 600
        with ada.page.expect_navigation():
            ada.page.get_by_label("Colours").select_option("dark")
        ada.see("Nine kettles")
        assert brightness(ada) < 150
        order_until_pay(ada)
        assert brightness(ada) < 150
    with Visitor(chromium, live, DESK, color_scheme="dark") as bob:
        bob.go("/", "Nine kettles")
        assert brightness(bob) < 150


def brightness(visitor):
    """Return the sum of red, green and blue of the page's background."""
    return visitor.page.evaluate(
        """() => { const c = document.createElement("canvas").getContext("2d");
        c.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
        c.fillRect(0, 0, 1, 1);
        return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3).reduce((a, b) => a + b) }"""
    )


def test_german_fits_on_the_phone(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        ada.go("/")
        ada.follow("Deutsch")
        ada.page.locator("html[lang=de]").wait_for()
        ada.page.locator("#plan-pot a").click()
        ada.see("Kanne")
        assert ada.page.locator("html").get_attribute("lang") == "de"
        ada.go("/?lang=de")
        ada.follow("Tasse wählen")
        ada.see("Ihre Box")
        ada.press("Weiter zur Lieferung")
        ada.see("Lieferung")
        label = ada.page.locator("label[for=postcode]").bounding_box()
        assert label["height"] < TWO_LINES, "the word is cut in two"
        ada.press("Weiter zur Zahlung")
        ada.page.locator(".error-summary").wait_for()
        ada.see("Lieferung")


def test_a_subscriber_who_orders_again_is_known(chromium, live):
    with Visitor(chromium, live) as ada:
        subscribe(ada)
        ada.context.clear_cookies()
        ada.go("/account/", "Sign in")
        sign_in(ada)
        ada.see("Your boxes")
        ada.go("/checkout?plan=cup", "Your box")
        ada.press("Continue to delivery")
        assert "Signed in as ada@example.org" in ada.see("Delivery")
        assert ada.page.get_by_label("E-mail").count() == 0
