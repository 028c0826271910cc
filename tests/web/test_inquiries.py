"""Writing to the shop from the account, and answering in the admin."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Customer, Inquiry, InquiryMessage
from storefront.queries.inquiries import conversation
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.desk import Desk
from tests.support.inquiries import make_inquiry
from tests.support.visitor import Visitor, customer_with_password

NEW = "/account/inquiries/new"


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


def once_of(page: str) -> str:
    found = re.search(r'name="once"[^>]*value="([^"]+)"', page)
    assert found
    return found[1]


def typed(browser: Visitor, **values: str) -> dict[str, str]:
    fields = {"topic": "box", "about": "", "subject": "", "text": "Where is it?"}
    return {**fields, "once": once_of(browser.get(NEW).text), **values}


def messages(rt: Runtime) -> int:
    found = rt.session.scalar(sa.select(sa.func.count(InquiryMessage.id)))
    rt.session.rollback()
    return int(found or 0)


def test_somebody_asks_reads_the_answer_and_writes_back(
    rt: Runtime, app: Flask, ada: Customer, browser: Visitor
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    sub = make.make_subscription(rt, plan=plan, customer=ada)
    assert "No inquiry yet" in browser.get("/account/inquiries").text
    page = browser.get(f"{NEW}?about={sub.public_id}").text
    assert re.search(rf'<option selected value="{sub.public_id}"', page)
    form = typed(browser, subject="A <b>cup</b>", about=sub.public_id)
    for _ in range(2):
        sent = browser.post(NEW, **form)
        assert sent.status_code == 303
    assert messages(rt) == 1
    path = sent.location

    desk = Desk(app, rt, "support")
    assert "1 inquiry waits for an answer" in desk.get("/admin/").text
    listed = desk.get("/admin/inquiries?state=open&q=ada@").text
    assert "A &lt;b&gt;cup&lt;/b&gt;" in listed
    admin = path.replace("/account/", "/admin/")
    page = desk.get(admin).text
    assert f"Subscription {plan.name}" in page
    fields = {"once": once_of(page), "seen": "1", "text": "Tomorrow.\nPromised <i>."}
    for _ in range(2):
        assert desk.post(f"{admin}/answer", fields, on=admin).status_code == 303
    noted = {"once": "n", "note": "Be kind"}
    assert desk.post(f"{admin}/note", noted, on=admin).status_code == 303
    assert "waits for an answer" not in desk.get("/admin/").text

    page = browser.get(path).text
    assert "Promised &lt;i&gt;." in page
    assert "Be kind" not in page
    again = {"once": once_of(page), "text": "Thank you"}
    assert browser.post(f"{path}/reply", **again).status_code == 303
    # What staff still have before them is older than that.
    late = {"once": "l", "seen": "3", "text": "Anything else?"}
    refused = desk.post(f"{admin}/answer", late, on=admin)
    assert refused.status_code == 422
    assert "Anything else?" in refused.text
    assert "Thank you" in refused.text
    assert desk.post(f"{admin}/close", {"seen": "3"}, on=admin).status_code == 422
    assert desk.post(f"{admin}/close", {"seen": "4"}, on=admin).status_code == 303
    assert "It opens this inquiry again." in browser.get(path).text


def test_what_is_missing_is_said_beside_its_field_and_nothing_is_lost(
    rt: Runtime, browser: Visitor
) -> None:
    for htmx in (False, True):
        form = typed(browser, topic="other", subject="", text="Half a thought")
        answer = browser.post(NEW, htmx=htmx, **form)
        assert answer.status_code == 422
        assert "Say in a few words what it is about" in answer.text
        assert "Half a thought" in answer.text
        answer = browser.post(NEW, htmx=htmx, **typed(browser, text=" "))
        assert "Write your message" in answer.text
        longer = browser.post(NEW, htmx=htmx, **typed(browser, text="x" * 4001))
        assert longer.status_code == 422
        assert browser.post(NEW, htmx=htmx, **typed(browser, topic="x")).status_code == 422
    assert messages(rt) == 0


def test_who_writes_too_often_is_slowed_down_and_keeps_what_they_typed(
    rt: Runtime, ada: Customer, browser: Visitor
) -> None:
    ref = make_inquiry(rt, ada)
    path = f"/account/inquiries/{ref}"
    for number in range(12):
        once = once_of(browser.get(path).text)
        answer = browser.post(f"{path}/reply", once=once, text=f"Message {number}")
        assert answer.status_code == 303
    slowed = browser.post(f"{path}/reply", once="x", text="One more thing")
    assert slowed.status_code == 429
    assert "One more thing" in slowed.text
    assert browser.post(NEW, htmx=True, **typed(browser, text="New one")).status_code == 422
    assert messages(rt) == 13


def test_roles_read_and_write_as_they_may(rt: Runtime, app: Flask, ada: Customer) -> None:
    ref = make_inquiry(rt, ada)
    packer = Desk(app, rt, "fulfilment")
    assert packer.get("/admin/inquiries").status_code == 403
    assert packer.get(f"/admin/inquiries/{ref}").status_code == 403
    assert "waits for an answer" not in packer.get("/admin/").text
    desk = Desk(app, rt, "support")
    for path in ("answer", "note", "close"):
        missing = {"once": "a", "seen": "1", "text": "x", "note": "x"}
        url = f"/admin/inquiries/inq_missing/{path}"
        assert desk.post(url, missing, on="/admin/").status_code == 404
    assert desk.post(f"/admin/inquiries/{ref}/note", {"note": ""}, on="/admin/").status_code == 422


def test_looking_writes_nothing(rt: Runtime, ada: Customer, browser: Visitor) -> None:
    ref = make_inquiry(rt, ada)
    browser.get(f"/account/inquiries/{ref}")
    browser.get(NEW)
    found = conversation(rt.session, ref, ada.id)
    rt.session.rollback()
    assert found is not None
    assert (found.row.state, found.seen) == ("open", 1)
    assert rt.session.scalar(sa.select(sa.func.count(Inquiry.id))) == 1
    rt.session.rollback()


def test_the_contact_address_stands_where_somebody_cannot_sign_in(app: Flask, rt: Runtime) -> None:
    page = Visitor.of(app).get("/sign-in").text
    assert "mailto:hello@ninekettles.example" in page
