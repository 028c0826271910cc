"""Ending a contract and withdrawing from the foot of a page, with and without the script."""

import pytest

from tests.browser.axe import axe_findings
from tests.browser.people import sign_in_as_owner
from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("script", [True, False], ids=["script", "bare"])
def test_a_contract_is_ended_from_the_foot_of_the_first_page(chromium, live, script):
    with Visitor(chromium, live, PHONE, script=script) as ada:
        ada.page.goto("/")
        ada.page.get_by_role("link", name="Cancel a contract here").click()
        ada.see("End a contract")
        if script:
            assert axe_findings(ada.page) == []
        ada.press("End contract now")
        ada.page.locator(".field .error").first.wait_for()
        ada.fill({"Your name": "Ada", "E-mail": "ada@example.org", "Which contract?": "Pot"})
        ada.press("End contract now")
        ada.see("We have your declaration")
        if script:
            assert axe_findings(ada.page) == []
    live.tick()
    (mail,) = live.mails_to("ada@example.org")
    assert "We received your cancellation" in mail


def test_a_withdrawal_shows_what_is_declared_before_it_is_sent(chromium, live):
    with Visitor(chromium, live, PHONE, script=False) as ada:
        ada.go("/contracts/withdraw", "Withdraw from a contract")
        ada.fill({"Your name": "Ada", "E-mail": "ada@example.org", "Which contract?": "Pot"})
        ada.press("Check what I declare")
        ada.see("Is this right?")
        ada.press("Change something")
        ada.fill({"Which contract?": "Pot, 2 boxes"})
        ada.press("Check what I declare")
        ada.press("Confirm withdrawal")
        ada.see("We have your declaration")
        ada.says("Pot, 2 boxes")


def test_the_owner_finds_what_waits_and_notes_it_as_done(chromium, live):
    with Visitor(chromium, live, PHONE, script=False) as ada:
        ada.go("/contracts/end", "End a contract")
        ada.choose("For cause")
        ada.fill({"Reason": "Mouldy", "Your name": "Ada", "E-mail": "ada@example.org"})
        ada.fill({"Which contract?": "Pot"})
        ada.press("End contract now")
        ada.see("We have your declaration")
    with Visitor(chromium, live, DESK) as mia:
        sign_in_as_owner(mia)
        mia.go("/admin/declarations", "Declarations")
        assert axe_findings(mia.page) == []
        mia.page.set_viewport_size({"width": 360, "height": 740})
        mia.see("Declarations")
        mia.fill({"What you did": "Ended by hand"})
        mia.press("Note as done")
        mia.says("Nothing waits for a decision")
        mia.says("Ended by hand")
