"""Pick lists, slips and labels, as a person who packs gets them."""

import io
import re

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from storefront.models import BatchPaper, Role
from storefront.paper_words import draw
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes
from storefront.services.papers import make_papers
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import cycles_of, make_box
from tests.support.desk import PARTIAL, Desk


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def cycle(rt, clock):
    group = make_group(rt)
    plan = make_plan(rt, group=group, name="Pot")
    make_recipe(rt, plan, variants=[make_variant(rt, sku="ASSAM", name="Assam")])
    found = cycles_of(rt, group)[0]
    for _ in range(3):
        make_box(rt, plan, found)
    clock.advance(days=14)
    close_cycles(rt)
    return found


@pytest.fixture
def batch(rt, cycle):
    return export_boxes(rt, cycle.public_id).public_id


@pytest.fixture
def desk(app, rt, batch):
    return Desk(app, rt, "fulfilment")


@pytest.fixture
def url(batch):
    return f"/admin/batches/{batch}/papers"


def test_the_cycle_page_leads_to_the_pick_list_and_the_papers(desk, cycle, batch, url):
    board = desk.get(f"/admin/cycles/{cycle.public_id}").text

    assert f'href="/admin/cycles/{cycle.public_id}/pick-list"' in board
    assert f'href="{url}"' in board
    page = desk.get(f"/admin/cycles/{cycle.public_id}/pick-list").text
    assert "Assam" in page
    assert "ASSAM" in page
    assert "3 boxes packed alike" in page
    boxes = re.findall(r"<input type=\"checkbox\"[^>]*>", page)
    assert boxes, "marks are there without any script"
    assert not any("name=" in box for box in boxes), "and are sent nowhere"


def test_the_pick_list_comes_on_paper_too(desk, batch):
    answer = desk.get(f"/admin/batches/{batch}/pick-list.pdf")

    assert answer.mimetype == "application/pdf"
    text = PdfReader(io.BytesIO(answer.data)).pages[0].extract_text()
    assert "Pick list" in text
    assert "ASSAM" in text


@pytest.mark.parametrize("headers", [{}, PARTIAL], ids=["page", "partial"])
def test_slips_are_asked_for_made_by_the_worker_and_handed_out(rt, desk, batch, url, headers):
    asked = desk.post(f"{url}/slips", {"slips-layout": "4x6"}, on=url, headers=headers)
    assert asked.status_code == (200 if headers else 303)
    waiting = desk.get(url).text
    assert "Being made: 0 of 3 boxes" in waiting
    assert "Look again" in waiting, "without script there is a link"

    make_papers(rt, draw)

    page = desk.get(url).text
    assert "Look again" not in page
    link = re.search(r'href="(/admin/papers/[^"]+)"', page)[1]
    answer = desk.get(link)
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert len(PdfReader(io.BytesIO(answer.data)).pages) == 3
    assert re.search(r'<input checked[^>]*value="4x6"', page), (
        "the same paper is offered first next time"
    )


def test_a_page_that_waits_for_papers_looks_often_at_first_then_seldom(desk, url, clock):
    desk.post(f"{url}/slips", {"slips-layout": "4x6"}, on=url)
    assert 'hx-trigger="every 3s"' in desk.get(url).text
    clock.advance(minutes=3)
    assert 'hx-trigger="every 15s"' in desk.get(url).text


def test_a_paper_that_does_not_exist_is_refused_with_the_choice_kept(desk, url):
    answer = desk.post(f"{url}/labels", {"labels-layout": "napkin"}, on=url)

    assert answer.status_code == 422
    assert "Choose the paper you print on" in answer.text


def test_papers_of_nothing_are_not_found(rt, desk, url):
    for path in (
        "/admin/batches/bat_x/papers",
        "/admin/batches/bat_x/pick-list",
        "/admin/batches/bat_x/pick-list.pdf",
        "/admin/cycles/cyc_x/pick-list",
        "/admin/papers/pap_x/1",
    ):
        assert desk.get(path).status_code == 404
    desk.post(f"{url}/slips", {"slips-layout": "a6"}, on=url)
    ref = rt.session.scalar(sa.select(BatchPaper.public_id))
    rt.session.rollback()
    assert desk.get(f"/admin/papers/{ref}/1").status_code == 404, "it is not made yet"


def test_who_may_not_download_addresses_sees_the_pick_list_only(app, rt, batch, url):
    packer = Desk(app, rt, "fulfilment")
    rt.session.execute(
        sa.update(Role).where(Role.code == "fulfilment").values(permissions=["boxes.manage"])
    )
    rt.session.commit()

    page = packer.get(url)

    assert page.status_code == 200
    assert "Make packing slips" not in page.text
    here = f"/admin/batches/{batch}/pick-list"
    assert packer.post(f"{url}/slips", {"slips-layout": "a6"}, on=here).status_code == 403
    assert packer.get("/admin/papers/pap_x/1").status_code == 403
    assert packer.get(f"/admin/batches/{batch}/pick-list").status_code == 200
