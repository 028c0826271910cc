"""The whole way of a subscriber through a real browser: on the phone, wide, without script."""

import pytest

from tests.browser.people import (
    ADA,
    ADDRESS,
    PAY,
    come_back,
    order,
    pay,
    sign_in,
    sign_out,
    subscribe,
)
from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(PHONE, True, id="phone"),
    pytest.param(DESK, True, id="desk"),
    pytest.param(DESK, False, id="without-script"),
]


@pytest.mark.parametrize(("size", "script"), LOOKS)
def test_from_the_plans_to_the_first_box(chromium, live, size, script):
    with Visitor(chromium, live, size, script=script) as ada:
        choose_a_box(ada)
        say_where(ada)
        price_again(ada)
        agree(ada)
        pay_at_the_third_try(ada)
    assert live.bank.executed_total("EUR") == 2340
    assert live.bank.executed_count() == 1


def choose_a_box(ada):
    ada.go("/", "Nine kettles")
    ada.follow("Every 3 months")
    ada.says("€24.70")
    ada.follow("Monthly")
    ada.says("€26.00")
    ada.page.locator("#plan-pot a").click()
    text = ada.see("Pot")
    assert "Thu 18" in text or "18–20 March" in text
    ada.follow("Choose Pot")
    ada.see("Your box")
    ada.press("Continue to delivery")
    ada.says("Choose one: Caffeine")
    ada.choose("As usual")
    ada.press("Continue to delivery")
    ada.see("Delivery")


def say_where(ada):
    ada.fill({"E-mail": "ada@", "Full name": "Ada Lovelace", "Postcode": "0774"})
    ada.press("Continue to payment")
    ada.page.locator(".field .error").filter(has_text="Enter street and house number").wait_for()
    refused = ada.see("Delivery")
    assert "Enter an e-mail like name@example.com" in refused
    assert "Enter the town" in refused
    if not ada.script:
        assert ada.page.title().startswith("Error:")
    for name, typed in (("email", "ada@"), ("name", "Ada Lovelace"), ("postcode", "0774")):
        assert ada.page.input_value(f"[name={name}]") == typed
    ada.fill(ADDRESS)
    ada.press("Continue to payment")
    ada.see("Review and pay")


def price_again(ada):
    ada.page.locator("summary").filter(has_text="I have a code").click()
    ada.fill({"Code": "LEMONADE"})
    ada.press("Use code")
    # Looked for by its class: texts in <noscript> are none to Playwright.
    refused = ada.page.locator(".error:visible").filter(has_text="We do not know LEMONADE")
    refused.wait_for()
    assert ada.page.locator("input[name=code]:visible").input_value() == "LEMONADE"
    ada.fill({"Code": "lemon"})
    ada.press("Use code")
    ada.page.locator("#pay-form").get_by_text("€23.40").first.wait_for()
    text = ada.see("Review and pay")
    assert text.count("€23.40") >= 2
    assert "€26.00 on Mon 12 April" in text
    assert "ships Thu 18 March" in text


def agree(ada):
    ada.press(PAY)
    ada.page.locator(".field .error").filter(has_text="Tick the box to agree").wait_for()
    assert not ada.page.get_by_label("I agree").is_checked()
    assert "Lindenweg 4" in ada.see("Review and pay")


def pay_at_the_third_try(ada):
    order(ada)
    pay(ada, "0002")
    ada.see("Review and pay")
    ada.says("Nothing was charged")
    order(ada)
    ada.follow("Go back without paying")
    ada.see("Review and pay")
    order(ada)
    pay(ada, "3220")
    ada.see("Your bank wants to know it is you")
    ada.follow("Continue to your bank")
    ada.says("Nine Kettles asks for €23.40")
    ada.press("Yes, it is me")
    come_back(ada)
    done = ada.see("Thank you, Ada")
    assert "Your first box leaves on Thu 18 March" in done
    assert "Paid. €23.40 from Visa •••• 3220." in done
    assert "Mon 12 April" in done


@pytest.mark.parametrize(("size", "script"), LOOKS)
def test_from_the_first_box_to_goodbye(chromium, live, clock, size, script):
    with Visitor(chromium, live, size, script=script) as ada:
        subscribe(ada)
        ada.follow("See your boxes")
        ada.see("Your boxes")
        sign_out(ada)
        ada.go("/account/invoices", "Sign in")
        sign_in(ada)
        assert "€26.00" in ada.see("Invoices")
        skip_and_take_back(ada)
        look_at_another_plan(ada)
        live_through_the_first_box(ada, clock)
        live_through_the_first_renewal(ada, clock)
        leave_and_return(ada)
        sign_out(ada)
    assert live.bank.executed_total("EUR") == 2 * 2600
    assert live.bank.double_charges() == []


def skip_and_take_back(ada):
    ada.go("/account/", "Your boxes")
    april = ada.page.locator(".boxes li").filter(has_text="Box of April")
    april.get_by_role("button", name="Skip").click()
    april.get_by_text("Skipped. You are not charged on Mon 12 April.").wait_for()
    assert "€26.00 on Wed 12 May" in ada.see("Your boxes")
    april.get_by_role("button", name="Undo").click()
    april.get_by_role("button", name="Skip").wait_for()
    assert "€26.00 on Mon 12 April" in ada.see("Your boxes")


def look_at_another_plan(ada):
    ada.follow("See the subscription")
    ada.see("Pot, monthly")
    ada.follow("Change plan")
    ada.see("Change plan")
    ada.choose("Cup, monthly")
    if not ada.script:
        ada.press("Show what changes")
    ada.page.locator("#plan-quote").wait_for()
    quote = ada.see("Change plan")
    assert "€16.00 a month" in quote
    assert "What changes" in quote
    ada.follow("Keep Pot")
    ada.see("Pot, monthly")


def live_through_the_first_box(ada, clock):
    clock.advance(days=14)
    ada.shop.tick()
    home = ada.go_home()
    assert "Being packed" in home
    assert ada.page.get_by_role("button", name="Skip Box of March").count() == 0
    assert ada.page.get_by_role("button", name="Skip Box of April").count() == 1


def live_through_the_first_renewal(ada, clock):
    clock.advance(days=27)
    ada.shop.tick()
    ada.shop.tick()
    ada.go_home()
    ada.go("/account/invoices", "Invoices")
    assert ada.page.locator("main tbody tr").count() == 2
    ada.page.locator("main tbody a").first.click()
    invoice = ada.see("Invoice")
    assert "Paid with Visa ending 4242" in invoice
    assert "12 Apr 2027" in invoice
    assert "€26.00" in invoice


def leave_and_return(ada):
    ada.go("/account/", "Your boxes")
    ada.follow("Cancel subscription")
    assert "It ends on Wed 12 May" in ada.see("Cancel your subscription")
    ada.press("Cancel subscription")
    ada.see("Cancelled. You will not be charged again.")
    assert "Ends on 12 May" in ada.go_home()
    ada.page.go_back()
    ada.see("Cancelled.")
    ada.press("Undo")
    ada.says("Cancel subscription")
    ada.see()
    assert "Ends on 12 May" not in ada.go_home()


def test_the_mails_say_what_the_pages_say(chromium, live):
    with Visitor(chromium, live) as ada:
        subscribe(ada)
    live.tick()
    said = live.mails_to(ADA)
    assert any("€26.00" in text and "12 April" in text for text in said)
    assert all(live.address in text for text in said)


def test_what_was_picked_stays_picked_when_the_preview_comes(chromium, live):
    with Visitor(chromium, live) as ada:
        subscribe(ada)
        ada.go("/account/", "Your boxes")
        ada.follow("Change plan")
        ada.see("Change plan")
        ada.choose("Table, monthly")
        ada.choose("As usual")
        ada.page.locator("#plan-quote").wait_for()
        ada.choose("With the next payment")
        ada.says("From Mon 12 April")
        checked = ada.page.locator("#plan-change [type=radio]:checked")
        assert checked.count() == ada.page.locator("#plan-change .choices legend").count()
        assert ada.page.get_by_label("Table, monthly").is_checked()
        assert ada.page.get_by_label("With the next payment").is_checked()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_sum_follows_what_is_picked_before_anything_is_sent(chromium, live, size):
    with Visitor(chromium, live, size) as ada:
        ada.go("/checkout?plan=pot", "Your box")
        total = ada.page.locator("#summary .total dd")
        assert total.inner_text() == "€26.00"
        ada.choose("Every 3 months")
        ada.page.locator("#summary .total dd", has_text="€74.10").wait_for()
        ada.choose("Honey Biscuits")
        ada.page.locator("#summary .order-line", has_text="Honey Biscuits").wait_for()
        assert ada.page.locator("[name=interval][value='3m']").is_checked()
        ada.choose("As usual")
        ada.press("Continue to delivery")
        ada.see("Delivery")
        ada.says("Honey Biscuits")
