"""Boxes that have left, for everybody: newest first, each at its own address, with a picture."""

import re
import struct
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.domain.boxes import CycleState
from storefront.models import BoxCycle, Plan, Product
from storefront.queries import past_boxes
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.statements import counting

CARD = re.compile(r'<h2 class="card-title"><a href="([^"]*)">([^<]*)</a>')


def past_cycle(rt: Runtime, group, leaves: date) -> BoxCycle:
    """Make a cycle of ``group`` that left on ``leaves``."""
    cycle = make.make_cycles(rt, make.make_group(rt, cycles=0), 1)[0]
    days = dict.fromkeys(("charge_on", "cutoff_on", "lock_on", "ship_from", "ship_to"), leaves)
    rt.session.execute(
        sa.update(BoxCycle)
        .where(BoxCycle.id == cycle.id)
        .values(group_id=group.id, key=leaves.strftime("%Y-%m"), state=CycleState.SHIPPED, **days)
    )
    rt.session.commit()
    return cycle


def test_a_gallery_without_a_box_says_what_comes(rt: Runtime, client: FlaskClient):
    page = client.get("/past-boxes")
    assert page.status_code == 200
    assert "No box has left yet" in page.text
    assert "Past boxes" in client.get("/").text, "the menu leads to it"


def test_every_box_that_left_stands_there_newest_first(rt: Runtime, client: FlaskClient):
    group = make.make_group(rt)
    pot, cup = (
        make.make_plan(rt, group=group, code=one, name=one.title()) for one in ("pot", "cup")
    )
    for leaves in (date(2026, 12, 18), date(2027, 1, 18), date(2027, 2, 18)):
        cycle = past_cycle(rt, group, leaves)
        make.make_recipe(rt, pot, cycle=cycle, variants=[make.make_variant(rt, name="Assam")])
    make.make_recipe(rt, cup, cycle=cycle, variants=[make.make_variant(rt, name="Kukicha")])

    assert CARD.findall(client.get("/past-boxes").text) == [
        ("/past-boxes/pot/2027-02", "Pot, February"),
        ("/past-boxes/cup/2027-02", "Cup, February"),
        ("/past-boxes/pot/2027-01", "Pot, January"),
        ("/past-boxes/pot/2026-12", "Pot, December 2026"),
    ]
    only = CARD.findall(client.get("/past-boxes?plan=cup").text)
    assert [name for _, name in only] == ["Cup, February"]
    older = CARD.findall(client.get("/past-boxes?year=2026&plan=pot").text)
    assert [name for _, name in older] == ["Pot, December 2026"]
    assert "No box left for this choice" in client.get("/past-boxes?year=2026&plan=cup").text


def test_older_boxes_follow_without_one_lost_or_shown_twice(
    rt: Runtime, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(past_boxes, "PAGE", 2)
    group = make.make_group(rt)
    plans = [make.make_plan(rt, group=group, code=f"plan-{one}") for one in range(3)]
    for leaves in (date(2027, 1, 18), date(2027, 2, 18)):
        cycle = past_cycle(rt, group, leaves)
        for plan in plans:
            make.make_recipe(rt, plan, cycle=cycle)

    seen, address = [], "/past-boxes?utm_source=letter"
    while address:
        page = client.get(address).text
        seen += [url.partition("?")[0] for url, _ in CARD.findall(page)]
        found = re.search(r'rel="next" href="([^"]*)"', page)
        address = found[1].replace("&amp;", "&") if found else ""
        assert not address or "utm_source=letter" in address

    assert seen == [
        f"/past-boxes/plan-{plan}/2027-{month}" for month in ("02", "01") for plan in range(3)
    ]


def test_every_link_between_the_pages_with_prices_carries_along_where_a_shopper_came_from(
    rt: Runtime, client: FlaskClient
):
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, code="pot")
    make.make_recipe(rt, plan, cycle=past_cycle(rt, group, date(2027, 2, 18)))
    paths = {"/past-boxes", "/gifts", "/plans/pot", "/past-boxes/plan-pot/2027-02", "/"}

    for start in ("/", "/plans/pot", "/past-boxes", "/past-boxes/pot/2027-02", "/gifts"):
        page = client.get(f"{start}?utm_source=letter").text
        found = [
            url for url in re.findall(r'<a [^>]*href="(/[^"#]*)"', page) if "/static/" not in url
        ]
        led = [url for url in found if url.partition("?")[0] in paths or "/past-boxes/" in url]
        assert len(led) >= 3
        assert [url for url in led if "utm_source=letter" not in url] == [], start
        assert "utm_source" not in client.get(start).text


def test_a_box_names_what_was_in_it_and_what_it_contains(rt: Runtime, client: FlaskClient):
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, code="pot", name="Pot")
    nuts = make.make_variant(rt, name="Almond Cantucci")
    rt.session.execute(
        sa.update(Product).where(Product.id == nuts.product_id).values(allergens=["nuts"])
    )
    first, second = (past_cycle(rt, group, date(2027, month, 18)) for month in (1, 2))
    make.make_recipe(rt, plan, cycle=first)
    make.make_recipe(rt, plan, cycle=second, variants=[make.make_variant(rt, name="Assam"), nuts])

    page = client.get("/past-boxes/pot/2027-02").text

    assert "<h1>Pot, February</h1>" in page
    assert "Left on Thu 18 February" in page
    assert "Almond Cantucci" in page
    assert "contains nuts" in page
    assert 'aria-label="Box of February: Assam and Almond Cantucci"' in page
    assert 'href="/past-boxes/pot/2027-01"' in page
    assert 'href="/plans/pot"' in page


def test_what_has_not_left_or_is_not_listed_is_not_there(rt: Runtime, client: FlaskClient):
    group = make.make_group(rt)
    pot = make.make_plan(rt, group=group, code="pot")
    hidden = make.make_plan(rt, group=group, code="friends", is_public=False)
    left = past_cycle(rt, group, date(2027, 2, 18))
    of_march = sa.select(BoxCycle).where(BoxCycle.group_id == group.id, BoxCycle.key == "2027-03")
    coming = rt.session.scalars(of_march).one()
    make.make_recipe(rt, pot, cycle=coming)
    make.make_recipe(rt, hidden, cycle=left)

    for address in (
        "pot/2027-03",
        "friends/2027-02",
        "pot/nothing",
        "POT/2027-02",
        "pot/" + "x" * 400,
    ):
        assert client.get(f"/past-boxes/{address}").status_code == 404, address
        assert client.get(f"/past-boxes/{address}/picture.png").status_code == 404, address
    assert CARD.findall(client.get("/past-boxes").text) == []
    assert "/past-boxes/friends" not in client.get("/plans/friends").text


@pytest.mark.parametrize(
    "asked",
    ["year=1e309", "year=٢٠٢٧", "year=-1", "after=nothing", "after='--", "plan=../", "plan=ü"],
)
def test_what_is_asked_oddly_shows_the_gallery(rt: Runtime, client: FlaskClient, asked: str):
    group = make.make_group(rt)
    make.make_recipe(
        rt,
        make.make_plan(rt, group=group, code="pot"),
        cycle=past_cycle(rt, group, date(2027, 2, 18)),
    )
    page = client.get(f"/past-boxes?{asked}")
    assert page.status_code == 200
    assert len(CARD.findall(page.text)) == 1


def test_links_that_are_shared_have_a_picture(rt: Runtime, client: FlaskClient):
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, code="pot")
    make.make_recipe(rt, plan, cycle=past_cycle(rt, group, date(2027, 2, 18)))

    pictures = []
    for address in ("/", "/plans/pot", "/gifts", "/past-boxes", "/past-boxes/pot/2027-02"):
        page = client.get(address).text
        (found,) = re.findall(r'property="og:image" content="http://localhost([^"]*)"', page)
        answer = client.get(found)
        assert answer.mimetype == "image/png"
        assert answer.cache_control.public
        assert struct.unpack(">II", answer.data[16:24]) == (1200, 630)
        assert (
            client.get(found, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        )
        assert len(answer.data) < 150_000
        pictures.append(answer.data)
    assert pictures[0] == pictures[1] == pictures[2], "of the plan"
    assert pictures[3] == pictures[4], "of the box"
    assert pictures[2] != pictures[3]
    assert client.get("/plans/nothing/picture.png").status_code == 404


def test_a_plan_that_is_no_longer_sold_has_no_picture(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, code="gone")
    rt.session.execute(sa.update(Plan).values(archived_at=rt.now()))
    rt.session.commit()
    assert client.get("/plans/gone/picture.png").status_code == 404


def test_the_sitemap_lists_past_boxes(rt: Runtime, client: FlaskClient):
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, code="pot")
    assert "past-boxes" not in client.get("/sitemap.xml").text
    make.make_recipe(rt, plan, cycle=past_cycle(rt, group, date(2027, 2, 18)))

    addresses = re.findall(r"<loc>http://localhost([^<?]*)</loc>", client.get("/sitemap.xml").text)

    assert addresses == ["/", "/plans/pot", "/gifts", "/past-boxes", "/past-boxes/pot/2027-02"]
    assert 'name="robots" content="noindex"' in client.get("/past-boxes?plan=pot").text
    assert 'name="robots"' not in client.get("/past-boxes").text


def test_the_gallery_is_kept_like_the_prices(rt: Runtime, app: Flask, client: FlaskClient):
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, code="pot")
    make.make_recipe(rt, plan, cycle=past_cycle(rt, group, date(2027, 2, 18)))
    for address in ("/past-boxes", "/past-boxes/pot/2027-02"):
        first, second = client.get(address), app.test_client().get(address)
        assert first.headers.getlist("Set-Cookie") == []
        assert first.cache_control.public
        assert first.headers["ETag"] == second.headers["ETag"]


def test_a_page_of_boxes_takes_the_same_statements_however_many_there_are(
    rt: Runtime, client: FlaskClient
):
    group = make.make_group(rt)
    plans = [make.make_plan(rt, group=group, code=f"plan-{one}") for one in range(4)]
    cycle = past_cycle(rt, group, date(2027, 2, 18))
    counts = []
    for place, plan in enumerate(plans):
        make.make_recipe(rt, plan, cycle=cycle)
        make.make_shop(rt, catalogue_version=2 + place)
        with counting() as statements:
            assert len(CARD.findall(client.get("/past-boxes").text)) == place + 1
        counts.append(len(statements))
    # The shop, what there is, the boxes, their things.
    assert counts == [4] * 4
