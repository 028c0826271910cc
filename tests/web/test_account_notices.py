"""Notices and announcements on the pages of the account, and where staff write them."""

import re

import pytest
from flask import Flask

from storefront.models import Customer
from storefront.queries.account_notices import announcements
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.desk import Desk
from tests.support.notices import make_announcement, make_notice
from tests.support.visitor import Visitor, customer_with_password


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    key = customer_with_password(rt, "ada@example.org")
    found = rt.session.get(Customer, key)
    assert found is not None
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def browser(app: Flask, ada: Customer) -> Visitor:
    return Visitor.of(app).sign_in("ada@example.org")


def test_the_first_page_names_what_is_new_and_the_menu_counts_it(
    rt: Runtime, ada: Customer, browser: Visitor
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    sub = make.make_subscription(rt, plan=plan, customer=ada)
    page = browser.get("/account/").text
    assert "new notice" not in page
    assert "unread" not in page

    make_notice(rt, ada)
    price = make_notice(rt, ada, "price_change", subscription=sub.public_id)
    page = browser.get("/account/").text
    assert "2 new notices" in page
    assert "Your bank closed a card. Add another one." in page
    assert f'<a href="/account/subscriptions/{sub.public_id}">A new price is coming.</a>' in page
    assert "2 unread" in browser.get("/account/invoices").text
    # Looking reads nothing.
    assert "2 unread" in browser.get("/account/notices").text

    assert browser.post(f"/account/notices/{price}/read").location == "/account/notices"
    assert "1 unread" in browser.get("/account/notices").text
    done = browser.post(f"/account/notices/{price}/read-all", **{"from": "home"})
    assert done.location == "/account/"
    page = browser.get("/account/").text
    assert "new notice" not in page
    assert "unread" not in page
    page = browser.get("/account/notices").text
    assert "A new price is coming." in page
    assert "Mark as read" not in page


def test_notices_lead_to_where_something_can_be_done(
    rt: Runtime, ada: Customer, browser: Visitor
) -> None:
    leads = (
        ("payment_failed", {"invoice": "inv_1"}, "/account/payment"),
        ("inquiry_answered", {"inquiry": "inq_1"}, "/account/inquiries/inq_1"),
        ("dispute_won", {"dispute": "dsp_1"}, "/account/disputes/dsp_1"),
        ("dispute_opened", {"dispute": "dsp_1"}, "/account/disputes/dsp_1"),
        ("ship_day_moved", {"subscription": "sub_1"}, "/account/subscriptions/sub_1"),
        ("refunded", {"way": "card"}, "/account/invoices"),
        ("box_short", {"box": "box_1"}, "/account/"),
        ("box_lost", {"subscription": "sub_1", "gift": "gft_1"}, "/account/"),
    )
    for topic, payload, _url in leads:
        make_notice(rt, ada, topic, **payload)
    page = browser.get("/account/notices").text
    found = re.findall(r'<span class="grow"><a href="([^"]+)"><b>', page)
    assert found == [url for _topic, _payload, url in leads][::-1]


def test_an_announcement_stands_on_the_first_page_until_it_is_put_away(
    rt: Runtime, ada: Customer, browser: Visitor
) -> None:
    ref = make_announcement(rt, "We <b>moved</b>")
    assert "We &lt;b&gt;moved&lt;/b&gt;" in browser.get("/account/").text
    for _ in range(2):
        away = browser.post(f"/account/announcements/{ref}/dismiss")
        assert (away.status_code, away.location) == (303, "/account/")
    assert "We &lt;b&gt;moved" not in browser.get("/account/").text


def test_staff_write_an_announcement_in_the_languages_of_their_readers(
    rt: Runtime, app: Flask, browser: Visitor
) -> None:
    desk, new = Desk(app, rt, "support"), "/admin/announcements/new"
    assert "/admin/announcements" in desk.get("/admin/outbox").text
    today = rt.today().isoformat()
    form = {
        "from_on": today,
        "until_on": today,
        "plan": "",
        "title_en": "New tea",
        "text_en": "Two lines.\nOf tea.",
        "title_de": "Neuer Tee",
        "text_de": "",
        "title_fr": "",
        "text_fr": "",
    }
    wrong = (
        ({"title_en": ""}, "Write a title"),
        ({"text_fr": "Du thé"}, "Write a title"),
        ({"until_on": "2020-01-01"}, "Choose a day not before the first"),
        ({"from_on": "soon"}, "Enter a day like"),
        ({"plan": "none"}, "Choose one from the list"),
        ({"text_en": "x" * 601}, "600 characters or fewer"),
    )
    for values, words in wrong:
        answer = desk.post(new, {**form, **values}, on=new)
        assert answer.status_code == 422
        assert words in answer.text
        assert "Neuer Tee" in answer.text
    assert announcements(rt.session) == ()
    rt.session.rollback()

    assert desk.post(new, form, on=new).location == "/admin/announcements"
    (row,) = announcements(rt.session)
    rt.session.rollback()
    assert "shown now" in desk.get("/admin/announcements").text
    assert "Of tea." in browser.get("/account/").text
    browser.headers["Accept-Language"] = "de"
    assert "Neuer Tee" in browser.get("/account/").text

    edit = f"/admin/announcements/{row.ref}"
    page = desk.get(edit).text
    assert "Neuer Tee" in page
    assert desk.post(edit, {**form, "title_en": "Old tea"}, on=edit).status_code == 303
    assert "Old tea" in desk.get("/admin/announcements").text
    assert desk.post(f"{edit}/remove", {}, on=edit).status_code == 303
    assert desk.get(edit).status_code == 404
    assert desk.post(f"{edit}/remove", {}, on="/admin/outbox").status_code == 404
    assert Desk(app, rt, "fulfilment").get("/admin/announcements").status_code == 403
