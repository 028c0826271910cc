"""Promotion codes in the admin: made, tried, taken out of use."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Coupon, PromotionCode
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

NEW = {"code": "Lemon 10", "kind": "percent", "percent": "10", "duration": "once"}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    make.make_plan(rt, code="pot", name="Pot")
    return desk(app, rt)


def add(owner: Desk, **fields: str) -> str:
    owner.get("/admin/codes/new")
    answer = owner.post("/admin/codes/new", {**NEW, **fields})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def test_a_code_is_made_and_shown_in_its_kept_spelling(rt: Runtime, owner: Desk) -> None:
    page = owner.get(add(owner)).text
    assert "LEMON10" in page
    assert "10% off" in page
    assert rt.session.scalar(sa.select(PromotionCode.code)) == "LEMON10"


def test_kinds_come_with_an_example_on_a_real_plan(owner: Desk) -> None:
    page = owner.get("/admin/codes/new").text
    assert "10% off: Pot costs €23.40 instead of €26.00 a month." in page
    assert "€5.00 off: Pot costs €21.00 instead of €26.00 a month." in page


def test_a_code_that_exists_is_refused_beside_its_field(rt: Runtime, owner: Desk) -> None:
    add(owner)
    answer = owner.post("/admin/codes/new", {**NEW, "code": "LEMON 10"}, partial=True)
    assert answer.status_code == 422
    assert 'id="code-error"' in answer.text
    assert "There is a code LEMON10 already" in answer.text
    assert 'value="LEMON 10"' in answer.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"code": ""}, "Enter a code, like LEMON"),
        ({"percent": "120"}, "Enter a number from 1 to 100"),
        ({"percent": ""}, "Enter a number from 1 to 100"),
        ({"kind": "fixed"}, "Enter what it takes off"),
        ({"kind": "fixed", "amount": "1,234"}, "Enter an amount like 26.00"),
        ({"duration": "cycles"}, "Enter how many payments, such as 3"),
        (
            {"starts_on": "2027-03-05", "ends_on": "2027-03-01"},
            "Choose a last day that is not before",
        ),
        ({"ends_on": "soon"}, "Enter a day like 2027-03-12"),
        ({"max_uses": "many"}, "Enter a whole number from 1"),
    ],
)
def test_wrong_input_is_answered_beside_its_field(
    rt: Runtime, owner: Desk, wrong: dict[str, str], message: str
) -> None:
    owner.get("/admin/codes/new")
    answer = owner.post("/admin/codes/new", {**NEW, **wrong})
    assert answer.status_code == 422
    assert message in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Coupon)) == 0


def test_the_trial_prices_a_chosen_order(rt: Runtime, owner: Desk) -> None:
    cup = make.make_plan(rt, code="cup", name="Cup", amount_minor=1600)
    make.make_price(rt, cup, amount_minor=4800, count=3)
    path = add(owner, duration="cycles", cycles="3", plans="cup")
    page = owner.get(f"{path}?plan=cup&interval=3m&country=AT").text
    assert "€43.20" in page
    assert "After 3 payments: €48.00 every 3 months." in page
    assert "It is not for this plan." in owner.get(f"{path}?plan=pot").text


def test_an_archived_code_says_so_and_comes_back(rt: Runtime, owner: Desk) -> None:
    path = add(owner)
    owner.get(path)
    gone = owner.post(f"{path}/archive", partial=True)
    assert "Accept it again" in gone.text
    assert "Archived" in owner.get("/admin/codes").text
    assert "Accepted again." in owner.post(f"{path}/restore", partial=True).text


def test_an_unknown_code_is_not_there(owner: Desk) -> None:
    assert owner.get("/admin/codes/cou_x").status_code == 404
    assert owner.post("/admin/codes/cou_x/archive").status_code == 404


def test_who_may_not_make_codes_is_told_so(app: Flask, rt: Runtime) -> None:
    support = desk(app, rt, "support")
    assert support.get("/admin/codes").status_code == 403
    assert support.post("/admin/codes/new", NEW).status_code == 403


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "free_shipping"}, "free delivery"),
        ({"kind": "free_first_box"}, "first box free"),
        ({"kind": "first_box_price", "amount": "9.00"}, "first box for €9.00"),
        ({"applies_to_fee": "y"}, "10% off the sign-up fee"),
        ({"from_billed": "6", "duration": "forever"}, "from payment 6 on"),
    ],
)
def test_every_kind_of_discount_says_what_it_does(
    owner: Desk, fields: dict[str, str], says: str
) -> None:
    assert says in owner.get(add(owner, **fields)).text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "first_box_price"}, "Enter what the first box costs"),
        ({"kind": "free_first_box", "duration": "forever"}, "lowers the first payment only"),
        ({"kind": "free_shipping", "applies_to_fee": "y"}, "lowers the fee"),
        ({"way": "automatic"}, "Enter the name that the line shows"),
        (
            {"way": "automatic", "name": "Loyal", "from_billed": "6", "max_per_customer": "1"},
            "it is for all subscribers",
        ),
    ],
)
def test_what_contradicts_itself_is_said_beside_a_field(
    rt: Runtime, owner: Desk, wrong: dict[str, str], message: str
) -> None:
    owner.get("/admin/codes/new")
    answer = owner.post("/admin/codes/new", {**NEW, **wrong})
    assert answer.status_code == 422
    assert message in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Coupon)) == 0


def test_an_automatic_discount_is_listed_by_its_name(owner: Desk) -> None:
    path = add(owner, way="automatic", name="Spring", code="")
    assert "Given without a code" in owner.get(path).text
    assert "without a code" in owner.get("/admin/codes").text


def test_a_campaign_makes_its_codes_lists_them_and_gives_them_out(rt: Runtime, owner: Desk) -> None:
    path = add(owner, way="unique", name="Flyer", code="")
    made = owner.post(f"{path}/batches", {"name": "March", "count": "12", "prefix": "tea"})
    assert made.status_code == 303
    assert "0 of 12 used" in owner.get(path).text
    listing = owner.get(f"{path}/batch?batch=March").text
    assert listing.count("<code>TEA-") == 12
    answer = owner.get(f"{path}/batch.csv?batch=March")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert len(answer.text.splitlines()) == 13

    owner.post(f"{path}/batches/switch", {"batch": "March", "on": "0"})
    assert "out of use" in owner.get(path).text
    assert owner.post(f"{path}/batches/switch", {"batch": "April", "on": "0"}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "", "count": "5"}, "Enter a name, such as Spring flyer"),
        ({"name": "x", "count": ""}, "Enter how many codes, such as 500"),
        ({"name": "x", "count": "100001"}, "Enter a whole number from 1 to 100000"),
        ({"name": "x", "count": "5", "prefix": "=cmd"}, "Begin with letters or digits"),
    ],
)
def test_a_batch_that_cannot_be_made_is_answered_beside_its_field(
    owner: Desk, fields: dict[str, str], message: str
) -> None:
    path = add(owner, way="unique", name="Flyer", code="")
    answer = owner.post(f"{path}/batches", fields)
    assert answer.status_code == 422
    assert message in answer.text
