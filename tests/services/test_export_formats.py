"""Exports in the format of a shipping tool: what fits leaves whole, what does not is told."""

import csv
import io
import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState
from storefront.domain.carriers.generic import FIRST
from storefront.domain.carriers.layout import Column, Layout
from storefront.domain.carriers.presets import PRESETS
from storefront.jobs.work import run_all
from storefront.models import Box, BoxCycle, CycleGroup, ExportFormat, FulfilmentBatch
from storefront.services.fulfilment import (
    FormatNotFound,
    batch_as,
    export_all,
    export_boxes,
    exportable_cycles,
    recheck_batch,
)
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box

PACKING = {
    "plan": "Pot",
    "email": "ada@example.org",
    "contents": [["ASSAM", 1], ["KUKICHA", 2]],
    "weight_grams": 240,
}
ADDRESS = {
    "name": "Ada Löw",
    "company": "",
    "street": "Lindenweg 4",
    "extra": "",
    "postcode": "07743",
    "city": "Jena",
    "region": "",
    "country": "DE",
    "phone": "",
}


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def plan(rt):
    return make_plan(rt, group=make_group(rt))


@pytest.fixture
def cycle(rt, plan):
    """A locked cycle without boxes."""
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.commit()
    found = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def add(rt, plan, cycle):
    """Adds a locked box whose address has these parts."""

    def add(**parts):
        box = make_box(
            rt, plan, cycle, state=BoxState.LOCKED, ship_to=ADDRESS | parts, packing=PACKING
        )
        rt.session.execute(sa.update(Box).where(Box.id == box.id).values(locked_at=rt.now()))
        rt.session.commit()
        return box.public_id

    return add


def use(rt, code):
    rt.session.execute(sa.update(CycleGroup).values(export_format=code))
    rt.session.commit()


def own_format(rt, layout):
    row = ExportFormat(
        public_id="fmt_own", name=layout.name, layout=layout.as_data(), created_at=rt.now()
    )
    rt.session.add(row)
    rt.session.commit()
    return "fmt_own"


def state_of(rt, box):
    row = rt.session.execute(
        sa.select(Box.state, Box.problem, Box.batch_id).where(Box.public_id == box)
    ).one()
    rt.session.rollback()
    return row.state.value, row.problem, row.batch_id is not None


def read(rt, batch, delimiter=",", encoding="utf-8"):
    data = rt.files.path_of(batch.file_name).read_bytes().decode(encoding)
    return list(csv.DictReader(io.StringIO(data, newline=""), delimiter=delimiter))


def test_the_worker_exports_in_the_format_of_the_group(rt, cycle, add):
    box = add()
    use(rt, "royal_mail")

    run_all(rt)

    batch = rt.session.scalars(sa.select(FulfilmentBatch)).one()
    assert (batch.format, batch.layout["name"]) == ("royal_mail", "Royal Mail Click & Drop")
    (row,) = read(rt, batch)
    assert (row["Order reference"], row["Country"], row["Weight"]) == (box, "DEU", "0.240")
    assert row["Date"] == cycle.lock_on.strftime("%d/%m/%y")


def test_a_format_with_a_row_for_each_product_counts_boxes(rt, cycle, add):
    first, second = add(), add()

    batch = export_boxes(rt, cycle.public_id, format_code="shippo")

    assert batch.rows == 2
    assert [(row["Order Number"], row["SKU"], row["Quantity"]) for row in read(rt, batch)] == [
        (first, "ASSAM", "1"),
        (first, "KUKICHA", "2"),
        (second, "ASSAM", "1"),
        (second, "KUKICHA", "2"),
    ]
    assert recheck_batch(rt, batch.public_id).is_same


def test_json_names_its_batch(rt, cycle, add):
    box = add(name="=1")

    batch = export_boxes(rt, cycle.public_id, format_code="generic_json")

    data = json.loads(rt.files.path_of(batch.file_name).read_text("utf-8"))
    assert batch.file_name.endswith(".json")
    assert data["batch"] == batch.public_id
    assert [(row["box"], row["name"]) for row in data["rows"]] == [(box, "=1")]


def test_a_box_that_does_not_fit_is_left_out_whole_and_says_so(rt, cycle, add):
    fits, too_long = add(), add(street="x" * 101)

    batch = export_boxes(rt, cycle.public_id, format_code="royal_mail")

    assert [row["Order reference"] for row in read(rt, batch)] == [fits]
    assert state_of(rt, fits) == ("exported", "", True)
    assert state_of(rt, too_long) == ("locked", "no_fit", False)


def test_boxes_that_do_not_fit_make_no_batch_and_are_not_tried_at_every_tick(rt, add):
    box = add(street="x" * 101)
    use(rt, "royal_mail")

    run_all(rt)

    assert state_of(rt, box) == ("locked", "no_fit", False)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(FulfilmentBatch)) == 0
    assert exportable_cycles(rt) == []


def test_a_box_that_did_not_fit_leaves_in_another_format(rt, cycle, add):
    box = add(street="x" * 101)
    assert export_boxes(rt, cycle.public_id, format_code="royal_mail") is None

    batch = export_boxes(rt, cycle.public_id, format_code="generic_csv")

    assert [row["street"] for row in read(rt, batch)] == ["x" * 101]
    assert state_of(rt, box) == ("exported", "", True)


def test_as_many_batches_as_the_tool_takes_rows(rt, cycle, add):
    boxes = [add() for _ in range(5)]
    small = replace(PRESETS["pirate_ship"].layout, code="own", name="Small", most_rows=2)
    use(rt, own_format(rt, small))

    run_all(rt)

    batches = rt.session.scalars(sa.select(FulfilmentBatch).order_by(FulfilmentBatch.number)).all()
    rows = [[row["Order ID"] for row in read(rt, each)] for each in batches]
    assert rows == [boxes[:2], boxes[2:4], boxes[4:]]
    assert {each.format for each in batches} == {"own"}


def test_the_rest_of_a_crashed_run_of_several_batches_leaves_the_same_day(rt, cycle, add, clock):
    boxes = [add() for _ in range(4)]
    clock.advance(minutes=1)
    small = replace(PRESETS["pirate_ship"].layout, code="own", name="Small", most_rows=2)
    use(rt, own_format(rt, small))
    arm("export.after_close:raise")
    with pytest.raises(FailpointReached):
        export_all(rt, cycle.public_id)
    arm("")
    clock.advance(minutes=1)

    assert exportable_cycles(rt) == [cycle.public_id]
    run_all(rt)

    assert {state_of(rt, box) for box in boxes} == {("exported", "", True)}


def test_a_file_made_again_is_the_same_when_the_format_was_changed_since(rt, cycle, add):
    add()
    code = own_format(rt, replace(PRESETS["pirate_ship"].layout, code="own", name="Mine"))
    batch = export_boxes(rt, cycle.public_id, format_code=code)
    rt.session.execute(
        sa.update(ExportFormat).values(layout=PRESETS["royal_mail"].layout.as_data())
    )
    rt.session.commit()
    rt.files.path_of(batch.file_name).unlink()

    assert recheck_batch(rt, batch.public_id).is_same


def test_a_crashed_export_is_finished_in_the_format_it_began_in(rt, cycle, add):
    box = add()
    arm("export.before_publish:raise")
    with pytest.raises(FailpointReached):
        export_boxes(rt, cycle.public_id, format_code="royal_mail")
    arm("")

    batch = export_boxes(rt, cycle.public_id, format_code="shippo")

    assert [row["Order reference"] for row in read(rt, batch)] == [box]


def test_a_batch_that_keeps_no_format_is_made_again_with_the_columns_of_its_time(rt, cycle, add):
    """As batches of the first version, which had one format alone."""
    box = add()
    old = replace(PRESETS["generic_csv"].layout, columns=FIRST.columns)
    batch = export_boxes(rt, cycle.public_id, format_code=own_format(rt, old))
    assert "gift_message" not in read(rt, batch)[0]
    rt.session.execute(sa.update(FulfilmentBatch).values(layout=sa.null()))
    rt.session.commit()
    rt.files.path_of(batch.file_name).unlink()

    assert recheck_batch(rt, batch.public_id).is_same
    name, pieces = batch_as(rt, batch.public_id, "generic_csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline="")))
    assert [(row["box"], row["gift_message"]) for row in rows] == [(box, "")]
    assert name.endswith("-batch-1-generic-csv.csv")


def test_headings_of_a_format_for_spreadsheets_are_guarded_like_its_cells(rt, cycle, add):
    add()
    columns = (Column("=HEAD", "box"), Column("@typed", "", "=1+1"), Column("To", "name"))
    layout = Layout("own", "Süd: neu", columns, is_guarded=True)
    code = own_format(rt, layout)
    batch = export_boxes(rt, cycle.public_id, format_code=code)
    assert list(read(rt, batch)[0]) == ["'=HEAD", "'@typed", "To"]
    assert read(rt, batch)[0]["'@typed"] == "'=1+1"
    rt.files.path_of(batch.file_name).unlink()
    assert recheck_batch(rt, batch.public_id).is_same
    # One that was made before headings were guarded stays the same, byte for byte.
    rt.session.execute(sa.update(FulfilmentBatch).values(layout=layout.as_data()))
    rt.session.commit()
    assert not recheck_batch(rt, batch.public_id).is_same
    name, _pieces = batch_as(rt, batch.public_id, code)
    assert name.endswith("-batch-1-sud-neu.csv")


@pytest.mark.parametrize("code", ["dhl_de", "dpd_be", "nonsense"])
def test_a_format_that_misses_something_is_not_used(rt, cycle, add, code):
    add()

    with pytest.raises(FormatNotFound):
        export_boxes(rt, cycle.public_id, format_code=code)


def test_a_batch_is_written_again_in_another_format_and_stays_as_it_is(rt, cycle, add):
    box, long = add(), add(street="x" * 101)
    batch = export_boxes(rt, cycle.public_id)
    before = rt.files.path_of(batch.file_name).read_bytes()

    name, pieces = batch_as(rt, batch.public_id, "royal_mail")

    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline="")))
    assert name.endswith("-batch-1-royal-mail.csv")
    assert [row["Order reference"] for row in rows] == [box]
    assert state_of(rt, long) == ("exported", "", True)
    assert rt.files.path_of(batch.file_name).read_bytes() == before
    assert recheck_batch(rt, batch.public_id).is_same


def test_a_file_of_windows_characters_is_written_in_them(rt, cycle, add):
    add(name="Zoë Müller™"), add(name="Ада")
    layout = replace(PRESETS["dhl_de"].layout, code="own", name="DHL")

    batch = export_boxes(rt, cycle.public_id, format_code=own_format(rt, layout))

    (row,) = read(rt, batch, ";", "cp1252")
    assert (row["RECV_NAME1"], row["RECV_HOUSENUMBER"]) == ("Zoë Müller™", "4")
