"""The pages that say how many boxes a cycle can make, and what a shopper sees of it."""

import pytest
import sqlalchemy as sa

from storefront.models import BoxCycle, CycleGroup
from storefront.testing.factories import make_group, make_plan, make_recipe
from tests.support.boxes import make_subscribed
from tests.support.desk import Desk
from tests.support.orders import begin


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


def test_a_full_cycle_is_named_and_the_next_one_with_room_before_the_order(app, rt, client):
    desk = Desk(app, rt, "owner")
    plan = make_plan(rt, group=make_group(rt), name="Pot", code="pot")
    make_recipe(rt, plan)
    make_subscribed(rt, plan)
    group = rt.session.scalars(sa.select(CycleGroup.public_id)).one()
    march = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.rollback()

    on = "/admin/capacity"
    assert desk.post(f"{on}/{group}", {f"{group}-boxes": "0"}, on=on).status_code == 422
    assert desk.post(f"{on}/{group}", {f"{group}-boxes": "2"}, on=on).status_code == 303
    assert "Choose Pot" in client.get("/plans/pot").text
    one = f"/admin/cycles/{march}/capacity"
    assert desk.post(one, {"boxes": "1"}, on=one).status_code == 303
    assert "1 of 1" in desk.get(one).text
    assert "1 of 1 taken" in desk.get(f"/admin/cycles/{march}").text
    april = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-04")).one()
    rt.session.rollback()
    assert "1 of 2 taken" in desk.get(f"/admin/cycles/{april}").text
    listed = desk.get("/admin/cycles?show=coming").text
    assert "1 of 2 taken" in listed

    page = client.get("/plans/pot").text
    assert "18 March is sold out" in page
    assert "Choose Pot" in page
    key = begin(rt, plan)
    shown = client.get(f"/checkout/{key}/pay").text
    assert "is sold out." in shown
    # One more in each cycle, and nothing is left.
    make_subscribed(rt, plan)
    assert desk.post(one, {"boxes": ""}, on=one).status_code == 303
    page = client.get("/plans/pot").text
    assert "Sold out for now" in page
    assert "Tell me when there is a place" in page
    # Nothing is promised that cannot be ordered.
    assert "Your first box" not in page
    assert "If you choose today" not in client.get("/").text
