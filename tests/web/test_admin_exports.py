"""Formats of exports as a merchant meets them: check, correct, export, again in another format."""

import re

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxCycle, CycleGroup, ExportFormat, FulfilmentBatch, Role
from storefront.services.fulfilment import export_boxes
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import cycles_of, make_box
from tests.support.desk import PARTIAL, Desk

PACKING = {"plan": "Pot", "email": "a@b.c", "contents": [["ASSAM", 1]], "weight_grams": 240}
ADDRESS = {
    "name": "Ada <Löw>",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
    "country": "DE",
}


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "fulfilment")


@pytest.fixture
def plan(rt):
    return make_plan(rt, group=make_group(rt))


@pytest.fixture
def cycle(rt, plan):
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    found = cycles_of(rt, group)[0]
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == found.id).values(state="locked"))
    rt.session.commit()
    return found


@pytest.fixture
def add(rt, plan, cycle):
    def add(**parts):
        box = make_box(
            rt,
            plan,
            cycle,
            state=BoxState.LOCKED,
            locked_at=rt.now(),
            ship_to=ADDRESS | parts,
            packing=PACKING,
        )
        return box.public_id

    return add


def post(desk, path, data, **kwargs):
    return desk.post(path, data, on="/admin/exports/formats/new", **kwargs)


def columns(*rows):
    """Return what the form of a format sends for (heading, source, text)."""
    data = {"rows": str(len(rows))}
    for n, (heading, source, text) in enumerate(rows):
        data |= {f"heading-{n}": heading, f"source-{n}": source, f"text-{n}": text}
    return data


def test_a_box_that_does_not_fit_is_listed_corrected_and_exported(rt, desk, cycle, add):
    long = add(street="x" * 101)
    add()
    check = f"/admin/cycles/{cycle.public_id}/check?format=royal_mail"

    page = desk.get(check).text

    assert "1 box fits." in page
    assert "1 does not and is left out." in page
    assert "has 101 characters, 100 fit: shorten it" in page
    assert "Ada &lt;Löw&gt;" in page

    address = f"/admin/parcels/{long}/address?format=royal_mail"
    assert "x" * 101 in desk.get(address).text
    form = {**ADDRESS, "street": "Kurze Gasse 1"}
    answer = post(desk, address, form)
    assert answer.status_code == 303
    assert "2 boxes fit." in desk.get(check).text

    post(desk, f"/admin/cycles/{cycle.public_id}/export", {"format": "royal_mail"})

    batch = rt.session.scalars(sa.select(FulfilmentBatch)).one()
    assert (batch.format, batch.row_count) == ("royal_mail", 2)
    assert desk.get(address).status_code == 404


def test_an_address_without_a_street_is_told_beside_the_field(rt, desk, add):
    box = add()

    answer = post(desk, f"/admin/parcels/{box}/address", {**ADDRESS, "street": ""})

    assert answer.status_code == 422
    assert "Fill in this field" in answer.text
    assert rt.session.scalar(sa.select(Box.ship_to))["street"] == "Lindenweg 4"


def test_the_board_says_that_boxes_do_not_fit(rt, desk, cycle, add):
    add(street="x" * 101)
    export_boxes(rt, cycle.public_id, format_code="royal_mail")

    page = desk.get(f"/admin/cycles/{cycle.public_id}").text

    assert "1 box does not fit the format of the export." in page
    assert "Check before export" in page


@pytest.mark.parametrize("partial", [None, PARTIAL])
def test_exporting_what_does_not_fit_says_that_nothing_is_left(desk, cycle, add, partial):
    add(street="x" * 101)

    board = f"/admin/cycles/{cycle.public_id}"
    answer = post(desk, f"{board}/export", {"format": "royal_mail"}, headers=partial)

    page = answer.text if partial else desk.get(board).text
    assert "No box is left that fits." in page


def test_a_batch_is_downloaded_in_another_format(rt, desk, cycle, add):
    box = add()
    add(street="x" * 101)
    batch = export_boxes(rt, cycle.public_id).public_id

    page = desk.get(f"/admin/batches/{batch}/formats?format=royal_mail").text
    assert "Download 1 box" in page
    assert "Correct the address" not in page

    answer = desk.get(f"/admin/batches/{batch}/as/royal_mail")

    assert answer.headers["Content-Disposition"].endswith('-batch-1-royal-mail.csv"')
    assert re.findall("box_[a-z0-9]+", answer.text) == [box]


def test_a_batch_is_downloaded_as_a_workbook_also_where_that_is_its_own_file(rt, desk, cycle, add):
    add()
    batch = export_boxes(rt, cycle.public_id, format_code="generic_xlsx").public_id
    assert "Excel (XLSX)" in desk.get(f"/admin/batches/{batch}/formats").text
    assert "Excel (XLSX)" in desk.get(f"/admin/cycles/{cycle.public_id}/check").text

    again = desk.get(f"/admin/batches/{batch}/as/generic_xlsx")
    with desk.get(f"/admin/batches/{batch}/file") as own:
        assert own.data == again.data
        assert own.mimetype == again.mimetype
        assert own.headers["Content-Disposition"].endswith("-batch-1.xlsx")

    assert again.mimetype.endswith("spreadsheetml.sheet")
    assert again.data.startswith(b"PK")


def test_another_format_of_no_batch_is_not_found(desk):
    assert desk.get("/admin/batches/bat_none/as/royal_mail").status_code == 404
    assert desk.get("/admin/batches/bat_none/formats").status_code == 404
    assert desk.get("/admin/cycles/cyc_none/check").status_code == 404
    assert desk.get("/admin/exports/formats/fmt_none").status_code == 404


def test_a_group_is_exported_in_the_format_chosen(rt, desk, plan):
    group = rt.session.scalars(sa.select(CycleGroup)).one().public_id
    rt.session.rollback()

    post(desk, f"/admin/exports/groups/{group}", {"format": "shippo"})
    refused = post(desk, f"/admin/exports/groups/{group}", {"format": "dhl_de"})
    no_mail = post(desk, f"/admin/exports/groups/{group}", {"format": "shippo", "mail": "x"})

    assert refused.status_code == no_mail.status_code == 422
    assert "Enter an e-mail like" in no_mail.text
    assert rt.session.scalar(sa.select(CycleGroup.export_format)) == "shippo"


def test_a_format_of_ones_own_is_previewed_saved_used_and_not_removed_while_used(
    rt, desk, plan, cycle, add
):
    box = add()
    typed = {
        "name": "Warehouse",
        "delimiter": "semicolon",
        "encoding": "cp1252",
        **columns(("Ref", "box", ""), ("", "name", ""), ("Service", "", "24h"), ("To", "name", "")),
        "place-3": "1",
        "place-0": "2",
    }

    preview = post(desk, "/admin/exports/formats/new", {**typed, "step": "preview"})
    assert "24h" in preview.text
    assert "Ada &lt;Löw&gt;" in preview.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(ExportFormat)) == 0
    rt.session.rollback()

    assert post(desk, "/admin/exports/formats/new", typed).status_code == 303
    own = rt.session.scalars(sa.select(ExportFormat)).one().public_id
    group = rt.session.scalars(sa.select(CycleGroup)).one().public_id
    rt.session.rollback()
    post(desk, f"/admin/exports/groups/{group}", {"format": own})
    batch = export_boxes(rt, cycle.public_id)

    data = rt.files.path_of(batch.file_name).read_bytes().decode("cp1252")
    assert data.splitlines() == ["To;Ref;Service", f"Ada <Löw>;{box};24h"]

    for path in ("file", f"as/{own}"):
        with desk.get(f"/admin/batches/{batch.public_id}/{path}") as answer:
            assert answer.headers["Content-Type"] == "text/csv; charset=windows-1252"
            assert answer.data.decode("cp1252") == data

    refused = post(desk, f"/admin/exports/formats/{own}/remove", {})
    assert refused.status_code == 422
    assert "Choose another format there first." in refused.text
    post(desk, f"/admin/exports/groups/{group}", {"format": "generic_csv"})
    assert post(desk, f"/admin/exports/formats/{own}/remove", {}).status_code == 303
    assert own not in desk.get("/admin/exports").text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "Give it a name"),
        (columns(("", "box", "")), "Give at least one column a heading."),
        (columns(("A", "box", ""), ("A", "name", "")), "The heading A is there twice."),
        (columns(("A", "sku", "")), "choose one row for each product"),
    ],
)
def test_a_format_that_cannot_work_is_told_and_kept_as_typed(desk, typed, said):
    data = {"name": "Mine", "delimiter": "comma", "encoding": "utf-8", "rows": "0", **typed}

    answer = post(desk, "/admin/exports/formats/new", data)

    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize("typed", ["abc", "-3", "1.5", "10001"])
def test_a_limit_that_is_no_number_is_told_beside_its_column_and_kept(rt, desk, typed):
    data = {"name": "Mine", "delimiter": "comma", "encoding": "utf-8"}
    data |= columns(("Ref", "box", ""), ("To", "name", "")) | {"most-1": typed}

    answer = post(desk, "/admin/exports/formats/new", data)

    assert answer.status_code == 422
    assert "Look at the column To." in answer.text
    assert "Enter a whole number from 0 to 10,000" in answer.text
    assert f'name="most-1" value="{typed}" aria-invalid="true"' in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(ExportFormat)) == 0
    rt.session.rollback()


def test_a_format_begun_from_dhl_needs_what_no_box_can_say(rt, desk, plan, cycle, add):
    add()
    page = desk.get("/admin/exports/formats/new?start=dhl_de").text
    assert "Type a text for these: SEND_NAME1" in page
    rows = int(re.search(r'name="rows" value="(\d+)"', page)[1])
    data = {"name": "DHL", "delimiter": "semicolon", "encoding": "cp1252", "rows": str(rows)}
    for name in ("heading", "source", "text"):
        for n in range(rows):
            found = re.search(rf'<(?:input|select) name="{name}-{n}"(?: value="([^"]*)")?', page)
            data[f"{name}-{n}"] = found[1] or ""
    for n in range(rows):
        if f'name="needed-{n}" value="1" checked' in page:
            data[f"needed-{n}"] = "1"
    post(desk, "/admin/exports/formats/new?start=dhl_de", data)
    own = rt.session.scalars(sa.select(ExportFormat)).one()
    headings = [one[0] for one in own.layout["columns"]]

    assert headings[0] == "SEND_NAME1"
    assert own.layout["most_rows"] == 100
    check = desk.get(f"/admin/cycles/{cycle.public_id}/check?format={own.public_id}").text
    assert "PRODUCT</b> is needed and missing" in check


def test_who_may_not_download_files_has_none_mailed(rt, desk, plan):
    rt.session.execute(
        sa.update(Role).where(Role.code == "fulfilment").values(permissions=["boxes.manage"])
    )
    rt.session.execute(sa.update(CycleGroup).values(export_mail="packing@shop.example"))
    rt.session.commit()
    group = rt.session.scalars(sa.select(CycleGroup)).one().public_id
    rt.session.rollback()
    assert "Mail the file to" not in desk.get("/admin/exports").text

    post(desk, f"/admin/exports/groups/{group}", {"format": "shippo", "mail": "me@else.example"})

    row = rt.session.execute(sa.select(CycleGroup.export_format, CycleGroup.export_mail)).one()
    assert tuple(row) == ("shippo", "packing@shop.example")


def test_support_may_not_see_formats(app, rt, add):
    box = add()
    desk = Desk(app, rt, "support")

    for path in ("/admin/exports", f"/admin/parcels/{box}/address"):
        assert desk.get(path).status_code == 403
