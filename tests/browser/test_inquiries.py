"""Asking the shop, its answer, and what else stands in the account, each page read by axe."""

import pytest

from tests.browser.axe import axe_findings
from tests.browser.people import sign_in_as_owner, subscribe
from tests.browser.support import DESK, PHONE, LiveShop, Visitor

pytestmark = pytest.mark.browser


def is_clean(visitor: Visitor) -> None:
    assert axe_findings(visitor.page) == []


def announce(visitor: Visitor) -> None:
    visitor.go("/admin/announcements/new", "New announcement")
    is_clean(visitor)
    visitor.fill({"Last day": "2099-01-01"})
    visitor.press("Save")
    visitor.says("Write a title")
    visitor.fill({"Title, English": "We moved", "Text, English": "Round the corner."})
    visitor.press("Save")
    visitor.see("Announcements")
    visitor.says("shown now")
    is_clean(visitor)


def ask(visitor: Visitor) -> None:
    visitor.go("/account/inquiries", "Inquiries")
    visitor.follow("Write to us")
    visitor.see("Write to us")
    visitor.press("Send")
    visitor.says("Write your message")
    is_clean(visitor)
    visitor.fill({"In a few words": "Cracked cup", "Your message": "What now?"})
    visitor.press("Send")
    visitor.see("Cracked cup")
    visitor.says("Sent. We answer here and by e-mail.")
    is_clean(visitor)


def answer(visitor: Visitor) -> None:
    visitor.go("/admin/", "Today")
    visitor.says("1 inquiry waits for an answer")
    visitor.go("/admin/inquiries?state=open", "Inquiries")
    is_clean(visitor)
    visitor.follow("Cracked cup")
    visitor.see("Cracked cup")
    visitor.fill({"Your answer": "A new one leaves tomorrow."})
    visitor.press("Send the answer")
    visitor.says("Sent. It goes out by mail too.")
    is_clean(visitor)


def test_somebody_asks_on_a_phone_and_finds_answer_and_announcement(
    chromium, live: LiveShop
) -> None:
    with Visitor(chromium, live, PHONE) as ada, Visitor(chromium, live, DESK) as greta:
        subscribe(ada)
        ask(ada)
        sign_in_as_owner(greta)
        answer(greta)
        announce(greta)

        ada.go_home()
        ada.says("1 new notice")
        ada.says("Round the corner.")
        is_clean(ada)
        ada.press("Put away")
        ada.page.get_by_text("Round the corner.").wait_for(state="detached")
        ada.follow("All notices")
        ada.see("Notices")
        is_clean(ada)
        ada.press("Mark as read")
        ada.says("Marked as read.")
        is_clean(ada)
        ada.follow("We answered your inquiry.")
        ada.see("Cracked cup")
        ada.says("A new one leaves tomorrow.")
