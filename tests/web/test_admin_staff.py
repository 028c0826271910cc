"""Who works here: invited, given a role, locked out, by who may, and never the last owner."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.adapters.mail import FileMailbox
from storefront.jobs.work import run_all
from storefront.models import Staff
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.api_tokens import make_token
from storefront.services.staff import list_staff
from tests.support.admin import PARTIAL, Desk, desk, make_staff

SAM = {"name": "Sam Support", "email": "Sam@shop.example", "role": "support"}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    browser = desk(app, rt)
    browser.get("/admin/staff")
    return browser


def ref_of(rt: Runtime, email: str) -> str:
    return next(row.public_id for row in list_staff(rt) if row.email == email)


def link_in_mail(rt: Runtime, email: str) -> str:
    """Return the path of the link in the only mail to ``email``."""
    assert run_all(rt)
    (mail,) = [
        one for one in FileMailbox(rt.settings.data_dir / "mail").read() if email in str(one["To"])
    ]
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://localhost(/sign-in/staff/\S+)", body.get_content())
    assert found is not None
    return found[1]


def test_an_invited_person_chooses_a_password_and_works(
    app: Flask, rt: Runtime, owner: Desk
) -> None:
    answer = owner.post("/admin/staff", SAM)
    assert (answer.status_code, answer.location) == (303, "/admin/staff")
    page = owner.get("/admin/staff").text
    assert "Invited. A link to choose a password is on its way to sam@shop.example." in page
    assert "Sam Support" in page

    sam = Desk(app.test_client())
    link = link_in_mail(rt, "sam@shop.example")
    shown = sam.get(link)
    assert "sam@shop.example" in shown.text
    short = sam.post(link, {"password": "short"})
    assert (short.status_code, "Use 10 characters or more" in short.text) == (422, True)
    chosen = sam.post(link, {"password": "a password of Sam"})
    assert (chosen.status_code, chosen.location) == (303, "/admin/sign-in")
    sam.get("/admin/sign-in")
    entered = {"email": "sam@shop.example", "password": "a password of Sam"}
    assert sam.post("/admin/sign-in", entered).location == "/admin/"
    assert sam.get("/admin/subscribers").status_code == 200
    assert "/admin/staff" not in sam.get("/admin/").text

    somebody = Desk(app.test_client())
    used = somebody.get(link)
    assert (used.status_code, used.location) == (303, "/admin/sign-in")
    assert "That link is too old or was used." in somebody.get("/admin/sign-in").text


def test_the_link_is_shown_to_nobody_on_the_staff(rt: Runtime, owner: Desk) -> None:
    owner.post("/admin/staff", SAM)
    row = re.search(
        r'href="(/admin/outbox/[^"]+)"[^>]*>Link for staff', owner.get("/admin/outbox").text
    )
    assert row is not None
    assert "/sign-in/staff/" not in owner.get(row[1]).text


@pytest.mark.parametrize("partial", [False, True])
def test_wrong_input_keeps_what_was_typed(rt: Runtime, owner: Desk, partial: bool) -> None:
    wrong = owner.post("/admin/staff", {**SAM, "email": "sam@"}, partial=partial)
    assert wrong.status_code == 422
    assert "Enter an e-mail like name@example.com" in wrong.text
    assert 'value="Sam Support"' in wrong.text
    assert ("<title>Error: Staff" in wrong.text) is not partial
    twice = owner.post("/admin/staff", {**SAM, "email": "owner@shop.example"}, partial=partial)
    assert "Somebody on the staff has this e-mail already" in twice.text
    emperor = owner.post("/admin/staff", {**SAM, "role": "emperor"}, partial=partial)
    assert emperor.status_code == 422
    assert len(list_staff(rt)) == 1


def test_role_and_access_are_changed_and_signed_out_at_once(
    app: Flask, rt: Runtime, owner: Desk
) -> None:
    sam = desk(app, rt, "support")
    ref = ref_of(rt, "support@shop.example")
    moved = owner.post(f"/admin/staff/{ref}/role", {"role": "fulfilment"}, partial=True)
    assert moved.status_code == 200
    assert "has another role now" in moved.text
    assert sam.get("/admin/").status_code == 303
    key = rt.session.scalar(sa.select(Staff.id).where(Staff.public_id == ref))
    rt.session.rollback()
    make_token(rt, Who(key, ref), "Label printer")
    locked = owner.post(f"/admin/staff/{ref}/lock", partial=True)
    assert "Locked out" in locked.text
    assert "1 key that they made for a program still works" in locked.text
    assert "Let in again" in locked.text
    owner.post(f"/admin/staff/{ref}/unlock")
    assert [row.disabled_at for row in list_staff(rt)] == [None, None]
    log = owner.get("/admin/log").text
    for words in ("Role changed", "Locked out", "Let in again"):
        assert words in log


def test_an_owner_cannot_remove_herself(rt: Runtime, owner: Desk) -> None:
    ref = ref_of(rt, "owner@shop.example")
    for act, fields in (("lock", {}), ("role", {"role": "support"})):
        for partial in (False, True):
            answer = owner.post(f"/admin/staff/{ref}/{act}", fields, partial=partial)
            assert answer.status_code == 409
            assert "Somebody else has to do this" in answer.text
    page = owner.get("/admin/staff").text
    assert f"/admin/staff/{ref}/lock" not in page
    assert list_staff(rt)[0].disabled_at is None


def test_an_unknown_role_or_person_is_refused(app: Flask, rt: Runtime, owner: Desk) -> None:
    make_staff(rt, "support")
    ref = ref_of(rt, "support@shop.example")
    assert owner.post(f"/admin/staff/{ref}/role", {"role": "emperor"}).status_code == 409
    for act in ("role", "link", "lock", "unlock"):
        assert owner.post(f"/admin/staff/stf_nobody/{act}").status_code == 404


def test_the_page_says_what_each_role_may(owner: Desk) -> None:
    page = owner.get("/admin/staff").text
    for words in ("Owner", "Fulfilment", "Support", "Download files with names and addresses"):
        assert words in page
    assert "staff.manage" not in page
    form = page[page.index('id="invite"') :]
    first = re.search(r'<select[^>]*name="role"[^>]*><option[^>]*value="(\w+)"', form)
    assert first is not None
    assert first[1] != "owner", "nobody is made an owner by not looking"


def test_only_who_may_sees_and_changes_the_staff(app: Flask, rt: Runtime, owner: Desk) -> None:
    assert 'href="/admin/staff"' in owner.get("/admin/").text
    sam = desk(app, rt, "support")
    ref = ref_of(rt, "owner@shop.example")
    assert 'href="/admin/staff"' not in sam.get("/admin/").text
    assert sam.get("/admin/staff").status_code == 403
    assert sam.post("/admin/staff", SAM).status_code == 403
    assert sam.post(f"/admin/staff/{ref}/lock").status_code == 403


def test_a_forged_link_is_no_way_in(app: Flask) -> None:
    browser = Desk(app.test_client())
    for token in ("x", "stf_x.1.y", "a.99999999999999999999.b", "\u00b2.\u00b2.x"):
        answer = browser.client.get(f"/sign-in/staff/{token}", headers=PARTIAL)
        assert answer.headers["HX-Redirect"] == "/admin/sign-in"
