"""Staff put right a tracking number, and who follows the parcel is told the right one."""

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.mails import compose
from storefront.models import AuditEntry, Box, BoxCycle, Shipment, Staff
from storefront.operations.audit import Who
from storefront.services.fulfilment import export_boxes
from storefront.services.parcel_numbers import BadNumber, NotSent, correct_number
from storefront.services.staff import add_staff
from storefront.services.tracking import take_tracking
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box
from tests.support.paying import waiting_mails

SHIP_TO = {"name": "Ada", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "", "contents": [], "weight_grams": 0}


@pytest.fixture
def who(rt):
    add_staff(
        rt, email="mia@shop.example", name="Mia", password="kettle on the hob 9", role="owner"
    )
    row = rt.session.scalars(sa.select(Staff)).one()
    found = Who(row.id, row.public_id, "127.0.0.1")
    rt.session.rollback()
    return found


@pytest.fixture
def box(rt, who):
    """A box that left with DHL under a wrong number."""
    plan = make_plan(rt, group=make_group(rt))
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.commit()
    cycle = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    made = make_box(rt, plan, cycle, state=BoxState.LOCKED, ship_to=SHIP_TO, packing=PACKING)
    ref = made.public_id
    export_boxes(rt, cycle.public_id)
    take_tracking(rt, f"box,number,carrier\n{ref},WRONG,DHL\n".encode(), who=who, dry_run=False)
    return ref


def parcel(rt):
    row = rt.session.execute(sa.select(Shipment.carrier, Shipment.tracking_number)).one()
    rt.session.rollback()
    return tuple(row)


def test_the_right_number_replaces_the_wrong_one_and_its_customer_gets_it(rt, who, box):
    assert correct_number(rt, box, "DHL", "RIGHT 1", who)

    assert parcel(rt) == ("DHL", "RIGHT 1")
    (mail,) = waiting_mails(rt, "box_renumbered")
    text = compose(rt, mail).text
    assert "piececode=RIGHT%201" in text
    assert "WRONG" not in text
    kept = rt.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "box.number")).one()
    assert (kept.before["number"], kept.after["number"]) == ("WRONG", "RIGHT 1")


def test_the_same_number_again_says_nothing(rt, who, box):
    correct_number(rt, box, "DHL", "RIGHT 1", who)

    assert not correct_number(rt, box, "DHL", "RIGHT 1", who)

    assert len(waiting_mails(rt, "box_renumbered")) == 1


def test_a_number_that_was_put_right_is_known_to_a_file(rt, who, box):
    correct_number(rt, box, "DHL", "RIGHT 1", who)

    report = take_tracking(rt, b"number,status\nRIGHT 1,delivered\n", who=who, dry_run=False)

    assert (report.deliver, report.issues) == (1, [])


def test_nobody_is_mailed_when_the_parcel_has_arrived(rt, who, box):
    take_tracking(rt, f"box,status\n{box},delivered\n".encode(), who=who, dry_run=False)

    assert correct_number(rt, box, "DHL", "RIGHT 1", who)

    assert waiting_mails(rt, "box_renumbered") == []


def test_a_box_in_the_house_has_no_number(rt, who, box):
    rt.session.execute(sa.update(Box).values(shipment_id=None, state=BoxState.EXPORTED))
    rt.session.commit()

    with pytest.raises(NotSent):
        correct_number(rt, box, "DHL", "RIGHT 1", who)


@pytest.mark.parametrize(("carrier", "number"), [("DHL", "1" * 81), ("D" * 41, "1")])
def test_what_is_too_long_is_refused(rt, who, box, carrier, number):
    with pytest.raises(BadNumber):
        correct_number(rt, box, carrier, number, who)
    assert parcel(rt) == ("DHL", "WRONG")
