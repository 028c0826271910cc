"""Slips and labels: made by the worker in files, whole or not at all, the same bytes again."""

import io
from collections import Counter

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.papers import LAYOUTS
from storefront.jobs.ticker import Ticker
from storefront.jobs.work import PAPERS, run_all
from storefront.models import (
    Address,
    AuditEntry,
    BatchPaper,
    Box,
    BoxCycle,
    Customer,
    FulfilmentBatch,
    Product,
    ProductVariant,
    ShopSettings,
    Staff,
    SubscriptionPeriod,
)
from storefront.operations.audit import Who
from storefront.paper_words import draw
from storefront.queries.papers import batch_pick_list, cycle_pick_list
from storefront.services import papers as service
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.papers import NoSuchPaper, ask_for_paper, make_papers, paper_file
from storefront.services.staff import add_staff
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import make_box


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def plan(rt):
    plan = make_plan(rt, group=make_group(rt), name="Pot")
    teas = [make_variant(rt, sku="ASSAM", name="Assam"), make_variant(rt, sku="KUKICHA")]
    make_recipe(rt, plan, variants=teas)
    return plan


@pytest.fixture
def cycle(rt, plan):
    found = rt.session.scalars(
        sa.select(BoxCycle)
        .where(BoxCycle.group_id == plan.cycle_group_id)
        .order_by(BoxCycle.ship_from)
    ).first()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def make_batch(rt, plan, cycle, clock):
    """Returns the public id of a published batch of some boxes."""

    def make(count=5):
        for number in range(count):
            make_box(rt, plan, cycle, quantity=2 if number == 3 else 1)
        clock.advance(days=14)
        close_cycles(rt)
        return export_boxes(rt, cycle.public_id).public_id

    return make


@pytest.fixture
def who(rt):
    add_staff(
        rt, email="pack@shop.example", name="Pat", password="kettle on the hob 9", role="fulfilment"
    )
    row = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(row.id, row.public_id, "127.0.0.1")


def files(rt):
    folder = rt.files.path_of("papers")
    return sorted(folder.iterdir()) if folder.exists() else []


def pages(path):
    return [page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages]


def parts(rt):
    rows = rt.session.execute(sa.select(BatchPaper.parts, BatchPaper.made_at)).all()
    rt.session.rollback()
    return rows


def test_a_slip_says_what_is_in_the_box_and_who_gets_it(rt, make_batch, who):
    batch = make_batch()
    ref = ask_for_paper(rt, batch, "slips", "a6", who)
    assert files(rt) == [], "whoever asks does not draw"

    make_papers(rt, draw)

    _paper, path = paper_file(rt, ref, 1)
    texts = pages(path)
    assert len(texts) == 5
    box = rt.session.scalars(sa.select(Box).order_by(Box.id)).first()
    first = texts[0]
    for words in (box.ship_to["name"], box.ship_to["street"], "Assam", "ASSAM", box.public_id):
        assert words in first
    assert "Pot" in first
    # Boxes packed alike stand together: the double one comes last.
    assert ["2 boxes in one" in text for text in texts] == [False] * 4 + [True]


def test_a_slip_is_in_the_language_its_subscriber_had_at_the_lock(rt, make_batch, plan, cycle, who):
    box = make_box(rt, plan, cycle)
    rt.session.execute(sa.update(Customer).values(locale="de"))
    rt.session.execute(sa.update(SubscriptionPeriod).values(box_count=3))
    rt.session.commit()
    batch = make_batch(0)
    packed = rt.session.scalars(sa.select(Box.packing)).one()
    lacks = [["Sencha", "", True], ["Gyokuro", "Bancha", False], ["Keemun", "", False]]
    rt.session.execute(sa.update(Box).values(packing={**packed, "lacks": lacks}))
    rt.session.execute(sa.update(Customer).values(locale="fr"))
    rt.session.commit()
    ref = ask_for_paper(rt, batch, "slips", "a4", who)

    make_papers(rt, draw)

    text = pages(paper_file(rt, ref, 1)[1])[0]
    assert "In dieser Box" in text
    assert "Box 1 von 3" in text
    said = " ".join(text.split())
    assert "Sencha war aus und fehlt. Es ist Ihrem Konto gutgeschrieben." in said
    assert "Gyokuro war aus: Stattdessen ist Bancha darin." in said
    assert "Keemun war aus und fehlt." in said
    assert box.public_id in text


def test_labels_stand_on_their_sheet_and_name_the_country_when_it_is_another(
    rt, make_batch, plan, cycle, who
):
    batch = make_batch()
    ship_to = rt.session.scalar(sa.select(Box.ship_to).order_by(Box.id))
    abroad = {**ship_to, "country": "FR"}
    rt.session.execute(sa.update(Box).where(Box.quantity == 2).values(ship_to=abroad))
    rt.session.commit()
    ref = ask_for_paper(rt, batch, "labels", "l7160", who)

    make_papers(rt, draw)

    (text,) = pages(paper_file(rt, ref, 1)[1])
    assert text.count(ship_to["street"]) == 5
    assert text.count("FRANCE") == 1


def test_many_boxes_make_several_files_over_several_ticks(rt, make_batch, who, monkeypatch):
    monkeypatch.setattr(service, "PART", 2)
    monkeypatch.setattr(service, "AT_ONCE", 1)
    batch = make_batch()
    ask_for_paper(rt, batch, "slips", "a6", who)
    ticker = Ticker([PAPERS])

    for done in (1, 2, 3):
        assert ticker.tick(rt) == [PAPERS]
        assert len(files(rt)) == done
    assert ticker.tick(rt) == [], "nothing waits any more"

    ((found, made_at),) = parts(rt)
    assert [part["boxes"] for part in found] == [2, 2, 1]
    assert made_at is not None
    named = [line for path in files(rt) for text in pages(path) for line in text.split()]
    boxes = rt.session.scalars(sa.select(Box.public_id)).all()
    counted = Counter(word.rstrip(".") for word in named)
    assert {box: counted[box] for box in boxes} == dict.fromkeys(boxes, 1)


def test_a_crash_after_a_file_is_there_makes_the_same_file_again(rt, make_batch, who):
    batch = make_batch()
    ask_for_paper(rt, batch, "slips", "a6", who)
    arm("papers.after_publish:raise")
    with pytest.raises(FailpointReached):
        make_papers(rt, draw)
    rt.session.rollback()
    (before,) = [path.read_bytes() for path in files(rt)]
    assert parts(rt)[0].made_at is None
    arm("")

    assert make_papers(rt, draw)["files"] == 1

    assert [path.read_bytes() for path in files(rt)] == [before]
    assert len(parts(rt)[0].parts) == 1


def test_a_file_that_cannot_be_drawn_leaves_nothing_and_is_tried_again(rt, make_batch, who):
    batch = make_batch()
    ask_for_paper(rt, batch, "slips", "a6", who)

    def broken(_paper, _boxes):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_papers(rt, broken)
    rt.session.rollback()

    assert files(rt) == []
    ask_for_paper(rt, batch, "labels", "l7160", who)

    def broken_slips(paper, boxes):
        return broken(paper, boxes) if paper.kind == "slips" else draw(paper, boxes)

    # What was asked for behind it does not wait for it.
    with pytest.raises(OSError, match="disk full"):
        make_papers(rt, broken_slips)
    assert len(files(rt)) == 1
    assert make_papers(rt, draw)["files"] == 1


def test_papers_say_the_same_whatever_changed_since_the_lock(rt, make_batch, who):
    batch = make_batch()
    ask_for_paper(rt, batch, "slips", "a6", who)
    ask_for_paper(rt, batch, "labels", "4x6", who)
    make_papers(rt, draw)
    before = {path.name: path.read_bytes() for path in files(rt)}
    assert len(before) == 2
    for table, values in (
        (Customer, {"name": "Somebody Else", "locale": "fr"}),
        (Address, {"street": "Other Street 9"}),
        (Product, {"name": "Other Tea"}),
        (ShopSettings, {"name": "Other Shop", "seller_address": "Elsewhere"}),
    ):
        rt.session.execute(sa.update(table).values(values))
    rt.session.execute(sa.update(ProductVariant).values(name="other"))
    rt.session.commit()
    for path in files(rt):
        path.unlink()

    for kind, layout in (("slips", "a6"), ("labels", "4x6")):
        ask_for_paper(rt, batch, kind, layout, who)
    make_papers(rt, draw)

    assert {path.name: path.read_bytes() for path in files(rt)} == before


@pytest.mark.parametrize(("kind", "layout"), LAYOUTS)
def test_every_layout_is_drawn(rt, make_batch, who, kind, layout):
    ref = ask_for_paper(rt, make_batch(), kind, layout, who)

    make_papers(rt, draw)

    paper, path = paper_file(rt, ref, 1)
    assert (paper.kind, paper.layout, paper.boxes) == (kind, layout, 5)
    size = PdfReader(path).pages[0].mediabox
    about = LAYOUTS[kind, layout]
    assert abs(float(size.width) / 72 * 25.4 - about.width) < 0.1


def test_asking_twice_asks_once_and_is_in_the_log(rt, make_batch, who):
    batch = make_batch()

    first = ask_for_paper(rt, batch, "slips", "a6", who)

    assert ask_for_paper(rt, batch, "slips", "a6", who) == first
    assert make_papers(rt, draw)["files"] == 1
    assert ask_for_paper(rt, batch, "slips", "a6", who) == first
    assert make_papers(rt, draw)["files"] == 0
    actions = rt.session.scalars(sa.select(AuditEntry.action)).all()
    assert actions.count("paper.asked_for") == 1


def test_what_does_not_exist_is_refused(rt, make_batch, who):
    batch = make_batch()
    for ref, kind, layout in (
        ("bat_nothing", "slips", "a6"),
        (batch, "slips", "l7160"),
        (batch, "posters", "a6"),
    ):
        with pytest.raises(NoSuchPaper):
            ask_for_paper(rt, ref, kind, layout, who)


def test_papers_are_deleted_when_nobody_prints_them_any_more(rt, make_batch, who, clock):
    ask_for_paper(rt, make_batch(), "slips", "a6", who)
    make_papers(rt, draw)
    clock.advance(days=30)
    assert make_papers(rt, draw)["deleted"] == 0

    clock.advance(days=1)

    assert make_papers(rt, draw)["deleted"] == 1
    assert files(rt) == []
    assert parts(rt) == []


def test_papers_asked_for_again_while_they_are_deleted_are_made_again(
    rt, make_batch, who, clock, monkeypatch
):
    batch = make_batch()
    ask_for_paper(rt, batch, "slips", "a6", who)
    make_papers(rt, draw)
    clock.advance(days=31)
    real = rt.files.path_of

    def asked_meanwhile(name):
        monkeypatch.setattr(rt.files, "path_of", real)
        real(name).unlink()
        ask_for_paper(rt, batch, "slips", "a6", who)
        return real(name)

    monkeypatch.setattr(rt.files, "path_of", asked_meanwhile)
    make_papers(rt, draw)

    assert make_papers(rt, draw)["files"] == 1


def test_the_worker_makes_papers_with_its_other_work(rt, make_batch, who):
    ref = ask_for_paper(rt, make_batch(), "labels", "l7160", who)

    assert run_all(rt)

    assert paper_file(rt, ref, 1) is not None
    assert paper_file(rt, ref, 2) is None


def test_the_pick_list_of_a_batch_keeps_boxes_that_left_and_that_of_a_cycle_does_not(
    rt, make_batch, cycle
):
    batch = make_batch()

    def sums(picked):
        rt.session.rollback()
        return {one.sku: one.pieces for one in picked.found.sums}

    assert sums(batch_pick_list(rt.session, batch)) == {"ASSAM": 6, "KUKICHA": 6}
    assert sums(cycle_pick_list(rt.session, cycle.public_id)) == {"ASSAM": 6, "KUKICHA": 6}

    ship_batch(rt, batch)

    assert sums(batch_pick_list(rt.session, batch)) == {"ASSAM": 6, "KUKICHA": 6}
    assert sums(cycle_pick_list(rt.session, cycle.public_id)) == {}
    groups = batch_pick_list(rt.session, batch).found.groups
    assert [(group.plan, group.boxes) for group in groups] == [("Pot", 4), ("Pot", 1)]
    assert rt.session.scalar(sa.select(FulfilmentBatch.row_count)) == 5
