"""The waiting list as a shopper without an account and the staff see it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.models import Checkout, Role, Staff, Throttle, WaitingPlace
from storefront.operations.audit import Who
from storefront.operations.secrets import return_token
from storefront.services.places import set_places
from storefront.services.staff import add_staff
from storefront.services.waiting import invite_waiting
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import make_subscribed
from tests.support.desk import Desk
from tests.support.shopper import Shopper
from tests.support.visitor import Visitor


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


def names(rt):
    found = rt.session.scalars(sa.select(WaitingPlace.email).order_by(WaitingPlace.id)).all()
    rt.session.rollback()
    return list(found)


def _planner(app, rt):
    """Somebody who makes plans and may not see subscribers."""
    planner = Desk(app, rt, "fulfilment")
    mine = sa.update(Role).where(Role.code == "fulfilment")
    rt.session.execute(mine.values(permissions=["plans.manage"]))
    rt.session.commit()
    return planner


def test_a_shopper_waits_is_invited_and_leaves_and_staff_see_it(app, rt):
    visitor, desk = Visitor.of(app), Desk(app, rt, "owner")
    staff = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    who = Who(staff.id, staff.public_id, "192.0.2.1")
    plan = make_plan(rt, group=make_group(rt))
    make_recipe(rt, plan, variants=[make_variant(rt)])
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    make_subscribed(rt, plan)
    ask = f"/waiting/plans/{plan.code}"
    assert f'href="{ask}"' in visitor.get("/").text
    assert f'href="{ask}"' in visitor.get(f"/plans/{plan.code}").text

    visitor.get(ask)
    refused = visitor.post(ask, email="nobody")
    assert refused.status_code == 422
    assert "Enter an e-mail like" in refused.text
    assert "or we may not write to you" in refused.text
    for _ in range(2):
        assert visitor.post(ask, email="Ada@Example.org", agrees="y").status_code == 303
    assert len(names(rt)) == 1
    page = f"/admin/places/{plan.public_id}/waiting"
    assert names(rt)[0] in desk.get(page).text
    assert "1 person waits" in desk.get("/admin/places").text
    planner = _planner(app, rt)
    assert planner.get(page).status_code == 403
    assert page not in planner.get("/admin/places").text
    assert "1 person waits" in planner.get("/admin/places").text
    ref = rt.session.scalar(sa.select(WaitingPlace.public_id))
    rt.session.rollback()
    answer = desk.post(f"{page}/{ref}/invite", {}, on=page)
    assert (answer.status_code, "No place is free" in answer.text) == (422, True)

    set_places(rt, who, plan.public_id, 2, sells_by_stock=False)
    assert invite_waiting(rt).invited == 1
    link = f"/waiting/place/{return_token(rt.settings.secret_key, 'waiting', ref)}"
    shown = visitor.get(link).text
    assert "is kept for you" in shown
    assert f"/checkout?plan={plan.code}" in shown
    assert visitor.get(f"/waiting/place/{ref}.forged").status_code == 404
    assert visitor.post(f"{link}/leave").status_code == 303
    assert names(rt) == []
    assert visitor.get(link).status_code == 404

    rt.session.execute(sa.update(Throttle).values(count=1000))
    rt.session.commit()
    assert visitor.post(ask, email="ben@example.org", agrees="y").status_code == 429


@pytest.fixture
def full(rt):
    """A plan with one place, which is taken."""
    plan = make_plan(rt, code="pot", name="Pot", group=make_group(rt))
    add_staff(rt, email="o@shop.example", name="O", password="kettle on the hob 9", role="owner")
    _more_places(rt, plan, 1)
    return plan


def _more_places(rt, plan, places):
    staff = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    who = Who(staff.id, staff.public_id, "192.0.2.1")
    set_places(rt, who, plan.public_id, places, sells_by_stock=False)


def test_a_place_that_is_free_again_is_shown_to_nobody_while_somebody_waits_for_it(app, rt):
    desk, visitor = Desk(app, rt, "owner"), Visitor.of(app)
    staff = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    who = Who(staff.id, staff.public_id, "192.0.2.1")
    plan = make_plan(rt, group=make_group(rt))
    make_recipe(rt, plan, variants=[make_variant(rt)])
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    make_subscribed(rt, plan)
    ask, choose = f"/waiting/plans/{plan.code}", f"/checkout?plan={plan.code}"
    assert visitor.post(ask, email="ada@example.org", agrees="y").status_code == 303

    set_places(rt, who, plan.public_id, 2, sells_by_stock=False)
    for page in ("/", f"/plans/{plan.code}"):
        shown = visitor.get(page).text
        assert (ask in shown, choose in shown) == (True, False)
    # There are places for more than wait.
    set_places(rt, who, plan.public_id, 3, sells_by_stock=False)
    shown = visitor.get(f"/plans/{plan.code}").text
    assert (ask in shown, choose in shown) == (False, True)
    # Who waited leaves the list of themselves, and what was theirs is sold at once.
    set_places(rt, who, plan.public_id, 2, sells_by_stock=False)
    assert choose not in visitor.get(f"/plans/{plan.code}").text
    ref = rt.session.scalar(sa.select(WaitingPlace.public_id))
    rt.session.rollback()
    page = f"/admin/places/{plan.public_id}/waiting"
    assert desk.post(f"{page}/{ref}/remove", {}, on=page).status_code == 303
    assert choose in visitor.get(f"/plans/{plan.code}").text


def test_a_full_plan_is_refused_before_anything_is_typed(rt, full, client, demo_gateway):
    make_subscribed(rt, full)
    ada = Shopper(client, demo_gateway)
    assert 'href="/waiting/plans/pot"' in client.get("/plans/pot").text

    page = ada.get("/checkout?plan=pot").text
    answer = ada.post("/checkout", plan="pot", step="box")

    for text in (page, answer.text):
        assert "Pot is sold out for now: every place is taken." in text
        assert 'href="/waiting/plans/pot"' in text
        assert "Continue to delivery" not in text
    assert answer.status_code == 422
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Checkout)) == 0


def test_who_is_too_late_can_wait_with_the_email_that_was_typed(rt, full, client, demo_gateway):
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))
    make_subscribed(rt, full)

    late = ada.order()

    assert late.status_code == 422
    assert "Somebody else took the last one" in late.text
    assert "Lindenweg 4" in late.text
    assert 'value="y" required checked' in late.text
    link = f"/waiting/plans/pot?order={ada.key}"
    assert f'href="{link}"' in late.text
    assert 'value="ada@example.org"' in client.get(link).text
    assert f'href="{link}"' in client.get(f"{ada.at('pay')}?problem=sold_out").text
    assert 'value="ada@example.org"' not in client.get("/waiting/plans/pot?order=chk_x").text


def test_who_was_invited_orders_with_the_email_of_the_invitation(rt, full, client, demo_gateway):
    make_subscribed(rt, full)
    ada = Shopper(client, demo_gateway)
    ada.get("/waiting/plans/pot")
    ada.post("/waiting/plans/pot", email="ada@example.org", agrees="y")
    _more_places(rt, full, 2)
    assert invite_waiting(rt).invited == 1
    ref = rt.session.scalar(sa.select(WaitingPlace.public_id))
    rt.session.rollback()
    token = return_token(rt.settings.secret_key, "waiting", ref)
    link = f"/checkout?plan=pot&amp;place={token}"
    assert link in ada.get(f"/waiting/place/{token}").text
    assert "is sold out for now" in ada.get("/checkout?plan=pot").text

    page = ada.get(link.replace("&amp;", "&")).text
    assert f'name="place" value="{token}"' in page
    assert "is sold out for now" not in page
    ada.begin(place=token, step="box")

    assert 'value="ada@example.org"' in ada.get(ada.at("delivery")).text
    ada.deliver()
    assert ada.order().status_code == 303
