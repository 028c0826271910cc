"""Staff keep schedules of tries for groups of subscribers."""

from __future__ import annotations

from flask import Flask

from storefront.queries.retry_schedules import schedules
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import desk

FIELDS = {
    "name": "New ones",
    "plan": "",
    "countries": ["DE"],
    "began": "within",
    "began_days": "60",
    "retry_days": "1, 4",
    "retry_time": "6:30",
    "last_action": "pause",
}


def test_a_schedule_is_made_moved_changed_and_removed(app: Flask, rt: Runtime) -> None:
    owner, plan = desk(app, rt), make.make_plan(rt)
    assert "No group has a schedule of its own" in owner.get("/admin/retries").text
    assert "/admin/retries" in owner.get("/admin/plans").text
    assert "/admin/retries" in owner.get(f"/admin/plans/{plan.public_id}").text

    for wrong, said in (
        ({"countries": [], "began": "any"}, "everybody has their plan"),
        ({"retry_days": "4, 1"}, "Enter days in order"),
        ({"retry_time": "25:00"}, "Enter a time like 09:00"),
        ({"began_days": "0"}, "Enter a whole number"),
        ({"name": ""}, "Enter a name"),
    ):
        page = owner.post("/admin/retries/new", FIELDS | wrong)
        assert (page.status_code, said in page.text) == (422, True)
    assert owner.post("/admin/retries/new", FIELDS).status_code == 303
    other = FIELDS | {"name": "<b>Pot</b>", "plan": plan.public_id, "countries": []}
    assert owner.post("/admin/retries/new", other).status_code == 303
    page = owner.get("/admin/retries").text
    assert "Germany; subscribed for at most 60 days" in page
    assert "After 1, 4 days at 06:30" in page
    assert "&lt;b&gt;Pot&lt;/b&gt;" in page

    first, second = schedules(rt.session)
    rt.session.rollback()
    moved = owner.post(f"/admin/retries/{second.ref}/up", {}, partial=True)
    assert "Moved up." in moved.text
    assert [one.ref for one in schedules(rt.session)] == [second.ref, first.ref]
    rt.session.rollback()
    shown = owner.get(f"/admin/retries/{first.ref}").text
    assert 'value="06:30"' in shown
    assert 'value="1, 4"' in shown
    changed = FIELDS | {"retry_days": "2", "began": "before"}
    assert owner.post(f"/admin/retries/{first.ref}", changed).status_code == 303
    assert "subscribed for more than 60 days" in owner.get("/admin/retries").text
    gone = owner.post(f"/admin/retries/{first.ref}/remove", {}, partial=True)
    assert "Removed." in gone.text
    for path in ("", "/up", "/remove"):
        assert owner.post(f"/admin/retries/{first.ref}{path}", FIELDS).status_code == 404
