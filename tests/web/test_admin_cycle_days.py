"""The page on which one cycle gets days of its own."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.models import AuditEntry, BoxCycle, CycleGroup
from storefront.queries.invariants import broken
from storefront.services.days_off import set_days_off
from storefront.testing.factories import make_group, make_plan, make_recipe, make_subscription
from tests.support.admin import make_staff
from tests.support.desk import Desk


def march(rt):
    row = rt.session.execute(sa.select(BoxCycle).where(BoxCycle.key == "2027-03")).scalar_one()
    found = (row.public_id, row.cutoff_on, row.lock_on, row.ship_from, row.ship_to)
    rt.session.rollback()
    return found


def test_one_cycle_gets_an_earlier_cut_off_and_a_later_ship_day(app, rt, client):
    desk = Desk(app, rt, "owner")
    plan = make_plan(rt, group=make_group(rt), name="Pot", code="pot")
    make_recipe(rt, plan)
    make_subscription(rt, plan=plan)
    ref, cutoff, lock, ships, _until = march(rt)
    at = f"/admin/cycles/{ref}/days"
    assert at in desk.get(f"/admin/cycles/{ref}").text
    typed = {
        "cutoff_on": "2027-03-05",
        "lock_on": str(lock),
        "ship_from": "2027-03-19",
        "ship_to": "2027-03-22",
    }
    assert desk.post(at, typed, on=at).status_code == 303
    assert march(rt)[1:] == (date(2027, 3, 5), lock, date(2027, 3, 19), date(2027, 3, 22))
    assert "5 March" in desk.get(f"/admin/cycles/{ref}").text
    assert "19–22 March" in client.get("/plans/pot").text
    entry = rt.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "cycle.days")).one()
    assert (entry.before["cutoff_on"], entry.after["cutoff_on"]) == (str(cutoff), "2027-03-05")
    rt.session.rollback()
    # A list of days off that is saved later leaves it alone.
    set_days_off(rt, make_staff(rt, "fulfilment"), [ships], (7,))
    assert march(rt)[3] == date(2027, 3, 19)
    assert broken(rt.session) == {}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("cutoff_on", "2027-03-01", "A cut-off that is over stays"),
        ("cutoff_on", "soon", "Enter a day like"),
        ("ship_from", "2027-03-21", "Nothing leaves on that day"),
        # Ada's first box is in it, and she pays again on 12 April.
        ("ship_from", "2027-04-13", "before this one, their first, has left"),
        ("ship_from", "2027-04-20", "That is not before the next cycle"),
    ],
)
def test_days_that_do_not_fit_are_said_beside_the_field(app, rt, field, value, says):
    desk = Desk(app, rt, "owner")
    make_subscription(rt, plan=make_plan(rt, group=make_group(rt)))
    ref, cutoff, lock, ships, _until = march(rt)
    at = f"/admin/cycles/{ref}/days"
    typed = {
        "cutoff_on": str(cutoff),
        "lock_on": str(lock),
        "ship_from": str(ships),
        "ship_to": "2027-04-21",
    }
    refused = desk.post(at, {**typed, field: value}, on=at)
    assert refused.status_code == 422
    assert says in refused.text
    assert f'value="{value}"' in refused.text
    assert march(rt)[3] == ships


def test_a_cycle_that_the_lock_has_reached_keeps_its_days(app, rt, clock):
    make_plan(rt, group=make_group(rt))
    ref = march(rt)[0]
    clock.advance(days=14)
    desk = Desk(app, rt, "owner")
    assert desk.get(f"/admin/cycles/{ref}/days").status_code == 404
    assert "Change the days" not in desk.get(f"/admin/cycles/{ref}").text


def test_days_typed_while_the_worker_locks_lead_back_with_a_word(app, rt, clock):
    make_plan(rt, group=make_group(rt))
    ref, cutoff, lock, ships, until = march(rt)
    at = f"/admin/cycles/{ref}/days"
    typed = {
        "cutoff_on": str(cutoff),
        "lock_on": str(lock),
        "ship_from": str(ships),
        "ship_to": str(until),
    }
    clock.set(datetime(2027, 3, 15, 20, tzinfo=UTC))
    desk = Desk(app, rt, "owner")
    assert desk.get(at).status_code == 200
    clock.advance(hours=6)
    answer = desk.post(at, typed, on=f"/admin/cycles/{ref}")
    assert answer.location == f"/admin/cycles/{ref}"
    assert "It is locked by now; its days stay." in desk.get(answer.location).text


def test_an_order_outside_the_window_of_sale_is_told_of_the_next_box(app, rt, client):
    desk = Desk(app, rt, "owner")
    make_plan(rt, group=make_group(rt), name="Pot", code="pot")
    ref, cutoff, lock, ships, until = march(rt)
    at = f"/admin/cycles/{ref}/days"
    typed = {
        "cutoff_on": str(cutoff),
        "lock_on": str(lock),
        "ship_from": str(ships),
        "ship_to": str(until),
        "sells_from": "2027-03-04",
        "sells_until": "2027-03-05",
    }
    assert desk.post(at, typed | {"sells_until": "2027-03-03"}, on=at).status_code == 422
    assert desk.post(at, typed, on=at).status_code == 303
    assert "2027-03-04" in desk.get(at).text
    assert "<b>4–5 March</b>" in desk.get(f"/admin/cycles/{ref}").text
    for page in ("/", "/plans/pot"):
        assert "is not on sale today" in client.get(page).text
    rt.session.rollback()
    # The first box after a trial comes with its payment, whatever is sold today.
    make_plan(rt, code="try", group=rt.session.scalars(sa.select(CycleGroup)).one(), trial_days=14)
    assert "is not on sale today" not in client.get("/plans/try").text
    # An empty window is no window.
    assert desk.post(at, typed | {"sells_from": "", "sells_until": ""}, on=at).status_code == 303
    assert "is not on sale today" not in client.get("/plans/pot").text
    assert "On sale" not in desk.get(f"/admin/cycles/{ref}").text
    assert broken(rt.session) == {}
