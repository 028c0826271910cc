"""Signing in again and for the first time, in a real browser, with and without its script."""

import re

import pytest
import sqlalchemy as sa

from storefront.models import LoginSession
from tests.browser.people import sign_in, sign_in_as_owner, subscribe
from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser


def end_sessions(rt):
    rt.session.execute(sa.update(LoginSession).values(revoked_at=rt.now()))
    rt.session.commit()


@pytest.mark.parametrize(("script", "size"), [(True, PHONE), (False, DESK)])
def test_what_was_typed_is_there_after_signing_in_again(chromium, live, script, size):
    with Visitor(chromium, live, size, script=script) as ada:
        ada.guard.expect("401")
        subscribe(ada)
        ada.go_home()
        ada.follow("See the subscription")
        ada.see()
        ada.page.locator("a[href$='/address']").first.click()
        ada.see("Change address")
        ada.fill({"Street": "Am Markt 1", "Postcode": "07745"})
        live.do(end_sessions)
        ada.press("Save address")
        ada.see("Sign in")
        ada.says("what you typed is kept")
        sign_in(ada)
        ada.see("Change address")
        ada.says("What you typed is still here")
        assert ada.page.get_by_label("Street").input_value() == "Am Markt 1"
        assert ada.page.get_by_label("Postcode").input_value() == "07745"
        ada.press("Save address")
        ada.says("Am Markt 1, Jena")


@pytest.mark.parametrize(("script", "size"), [(True, DESK), (False, PHONE)])
def test_somebody_new_on_the_staff_gets_in_by_the_mail(chromium, live, script, size):
    with Visitor(chromium, live, size, script=script) as greta:
        sign_in_as_owner(greta)
        greta.go("/admin/staff", "Staff")
        greta.fill({"Name": "Sam", "E-mail": "sam@"})
        greta.press("Send invitation")
        greta.page.locator(".error-summary").wait_for()
        assert greta.page.title().startswith("Error: Staff")
        greta.fill({"E-mail": "sam@shop.example"})
        greta.page.get_by_label("Role", exact=True).select_option("support")
        greta.press("Send invitation")
        greta.says("A link to choose a password is on its way to sam@shop.example.")
        greta.see("Staff")
        assert not greta.page.title().startswith("Error")
    live.tick()
    (mail,) = live.mails_to("sam@shop.example")
    link = re.search(r"http://\S+/sign-in/staff/\S+", mail)
    with Visitor(chromium, live, size, script=script) as sam:
        sam.go(link[0], "Choose a password")
        sam.fill({"New password": "a password of Sam"})
        sam.press("Save password")
        sam.see("Staff sign-in")
        sam.fill({"E-mail": "sam@shop.example", "Password": "a password of Sam"})
        sam.press("Sign in")
        sam.see("Today")


@pytest.mark.parametrize("script", [True, False])
def test_what_ends_is_kept_from_the_first_page(chromium, live, script):
    with Visitor(chromium, live, PHONE, script=script) as ada:
        subscribe(ada)
        ada.go_home()
        ada.follow("Cancel subscription")
        ada.see()
        ada.press("Cancel subscription")
        ada.see("Cancelled")
        ada.go_home()
        ada.press("Keep my subscription")
        ada.says("Your subscription goes on as before.")
        assert "Cancel subscription" in ada.see("Your boxes")
