"""Who comes to the shop in these tests: Ada, who subscribes, and Greta, who runs it."""

from __future__ import annotations

from storefront.demo.catalogue import PASSWORD, STAFF
from tests.browser.support import Visitor

ADA = "ada@example.org"
ADDRESS = {
    "E-mail": ADA,
    "Full name": "Ada Lovelace",
    "Street": "Lindenweg 4",
    "Postcode": "07743",
    "Town": "Jena",
}
PAY = "Order with obligation to pay"
#: What the shop's own button says where no script goes on by itself.
FINISH = "Finish my order"


def order_until_pay(visitor: Visitor) -> None:
    """Fill in everything up to the last step of the checkout."""
    visitor.go("/checkout?plan=pot", "Your box")
    visitor.choose("As usual")
    visitor.press("Continue to delivery")
    visitor.see("Delivery")
    visitor.fill(ADDRESS)
    visitor.press("Continue to payment")
    visitor.see("Review and pay")


def order(visitor: Visitor) -> None:
    """Agree and go to the demo gateway's page."""
    visitor.choose("I agree that")
    visitor.press(PAY)
    visitor.see("asks for")


def pay(visitor: Visitor, card: str = "4242") -> None:
    """Take a demo card and come back to the shop."""
    visitor.choose(f"Demo card ending {card}")
    visitor.press("Pay €")
    come_back(visitor)


def come_back(visitor: Visitor) -> None:
    """Do what the script does by itself after the gateway's page."""
    if not visitor.script:
        visitor.see("One last moment")
        visitor.press(FINISH)


def subscribe(visitor: Visitor) -> None:
    """Become a subscriber, without a detour."""
    order_until_pay(visitor)
    order(visitor)
    pay(visitor)
    visitor.see("Thank you, Ada")


def sign_in(visitor: Visitor) -> None:
    """Sign in as Ada with the code from her mail, from any page that asks for it."""
    visitor.see("Sign in")
    visitor.fill({"E-mail": ADA})
    visitor.press("Send me a code")
    visitor.see("Enter your code")
    visitor.shop.tick()
    visitor.fill({"Code from the e-mail": visitor.shop.code_for(ADA)})
    visitor.press("Sign in")


def sign_out(visitor: Visitor) -> None:
    visitor.page.locator(".account-menu summary").click()
    visitor.press("Sign out")
    visitor.see("Sign in")


def sign_in_as_owner(visitor: Visitor) -> None:
    visitor.go("/admin/", "Staff sign-in")
    visitor.fill({"E-mail": STAFF[0].email, "Password": PASSWORD})
    visitor.press("Sign in")
    visitor.see("Today")
