"""Formats a merchant makes and chooses, and the address of one parcel put right."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.carriers.layout import Column, Layout
from storefront.domain.carriers.presets import PRESETS
from storefront.models import Address, AuditEntry, Box, BoxCycle, CycleGroup, ExportFormat, Staff
from storefront.operations.audit import Who
from storefront.operations.export_formats import layout_named
from storefront.queries.worklists import box_problems
from storefront.services.export_formats import (
    BadFormat,
    FormatGone,
    FormatInUse,
    remove_format,
    save_format,
    use_format,
)
from storefront.services.parcel_addresses import (
    AddressIncomplete,
    ParcelGone,
    correct_parcel_address,
)
from storefront.services.staff import add_staff
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box

MINE = Layout("x", "Mine", (Column("Ref", "box"), Column("Service", text="24h")))
SHIP_TO = {"name": "Ada", "street": "x" * 101, "city": "Jena", "country": "DE", "extra": ""}


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
def group(rt):
    found = make_group(rt)
    return found.public_id


@pytest.fixture
def box(rt):
    plan = make_plan(rt, group=make_group(rt))
    cycle = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    packing = {"plan": "Pot", "email": "", "contents": [], "weight_grams": 0}
    made = make_box(rt, plan, cycle, state=BoxState.LOCKED, ship_to=SHIP_TO, packing=packing)
    rt.session.execute(sa.update(Box).values(problem="no_fit"))
    rt.session.commit()
    return made.public_id


def chosen(rt, group):
    code = rt.session.scalar(
        sa.select(CycleGroup.export_format).where(CycleGroup.public_id == group)
    )
    rt.session.rollback()
    return code


def actions(rt):
    found = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    rt.session.rollback()
    return [each for each in found if not each.startswith("staff.")]


def test_a_format_is_kept_used_changed_and_taken_off_the_list(rt, who, group):
    ref = save_format(rt, who, MINE)
    assert use_format(rt, who, group, ref)
    assert not use_format(rt, who, group, ref)
    assert save_format(rt, who, replace(MINE, name="Other"), ref) == ref

    with pytest.raises(FormatInUse):
        remove_format(rt, who, ref)
    use_format(rt, who, group, "generic_csv")
    remove_format(rt, who, ref)

    assert layout_named(rt.session, ref) is None
    assert chosen(rt, group) == "generic_csv"
    row = rt.session.scalars(sa.select(ExportFormat)).one()
    assert (row.name, row.layout["code"]) == ("Other", "own")
    rt.session.rollback()
    assert actions(rt) == [
        "exports.format_saved",
        "exports.format_used",
        "exports.format_saved",
        "exports.format_used",
        "exports.format_removed",
    ]


def test_an_address_for_the_file_is_kept_and_taken_away(rt, who, group):
    assert use_format(rt, who, group, "generic_csv", "packing@shop.example")
    assert rt.session.scalar(sa.select(CycleGroup.export_mail)) == "packing@shop.example"
    rt.session.rollback()

    assert use_format(rt, who, group, "generic_csv")
    assert rt.session.scalar(sa.select(CycleGroup.export_mail)) == ""


@pytest.mark.parametrize("code", ["", "nonsense", "dhl_de", "fmt_gone"])
def test_a_format_that_cannot_be_used_is_not_chosen(rt, who, group, code):
    with pytest.raises(FormatGone):
        use_format(rt, who, group, code)

    assert chosen(rt, group) == "generic_csv"


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        (replace(MINE, name=""), "no_name"),
        (replace(MINE, columns=()), "no_columns"),
        (replace(MINE, columns=(Column("A", "box"), Column("A"))), "twice"),
        (replace(MINE, columns=(Column("A", "secret"),)), "unknown_field"),
        (replace(MINE, columns=(Column("A", "sku"),)), "item_field"),
        (replace(MINE, columns=tuple(Column(str(n)) for n in range(61))), "too_many_columns"),
    ],
)
def test_a_format_that_makes_no_sense_is_refused(rt, who, layout, problem):
    with pytest.raises(BadFormat) as bad:
        save_format(rt, who, layout)

    assert bad.value.params["problem"] == problem


def test_a_removed_format_is_not_changed(rt, who):
    ref = save_format(rt, who, MINE)
    remove_format(rt, who, ref)

    with pytest.raises(FormatGone):
        save_format(rt, who, MINE, ref)


@pytest.mark.parametrize("code", [code for code, each in PRESETS.items() if each.is_ready])
def test_every_ready_preset_can_be_chosen(rt, who, group, code):
    use_format(rt, who, group, code)

    assert chosen(rt, group) == code


def test_what_did_not_fit_is_tried_again_in_another_format(rt, who, box):
    group = rt.session.scalar(sa.select(CycleGroup.public_id))
    rt.session.rollback()

    use_format(rt, who, group, "shippo")

    assert rt.session.scalar(sa.select(Box.problem)) == ""


def test_what_did_not_fit_is_tried_again_when_the_format_in_use_was_changed(rt, who, box):
    group = rt.session.scalar(sa.select(CycleGroup.public_id))
    rt.session.rollback()
    ref = save_format(rt, who, MINE)
    use_format(rt, who, group, ref)
    rt.session.execute(sa.update(Box).values(problem="no_fit"))
    rt.session.commit()

    save_format(rt, who, replace(MINE, name="Wider"), ref)

    assert rt.session.scalar(sa.select(Box.problem)) == ""


def test_a_box_that_does_not_fit_is_among_the_problems_of_the_day(rt, box):
    found = rt.session.execute(box_problems(rt.moment(), rt.now())).all()

    assert len(found) == 1


def test_the_address_of_one_parcel_is_put_right_and_no_other(rt, who, box):
    address = rt.session.scalar(sa.select(Address.street))
    rt.session.rollback()

    assert correct_parcel_address(rt, who, box, {"street": "Kurz 1", "country": "FR", "extra": ""})
    assert not correct_parcel_address(rt, who, box, {"street": "Kurz 1"})

    row = rt.session.scalars(sa.select(Box)).one()
    assert (row.ship_to, row.problem) == ({**SHIP_TO, "street": "Kurz 1"}, "")
    assert rt.session.scalar(sa.select(Address.street)) == address
    rt.session.rollback()
    assert actions(rt) == ["parcel.address_corrected"]


def test_an_address_is_not_emptied(rt, who, box):
    with pytest.raises(AddressIncomplete):
        correct_parcel_address(rt, who, box, {"city": " "})


@pytest.mark.parametrize("state", ["exported", "planned", "canceled"])
def test_only_a_locked_parcel_is_put_right(rt, who, box, state):
    rt.session.execute(sa.update(Box).values(state=state))
    rt.session.commit()

    with pytest.raises(ParcelGone):
        correct_parcel_address(rt, who, box, {"street": "Kurz 1"})
