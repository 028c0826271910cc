"""The terms of a plan and its price list, as a merchant sets them."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Plan, Price
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

TERMS = {
    "trial_days": "14",
    "trial_needs_card": "y",
    "second_withdrawal": "y",
    "first_period": "full",
    "charge_day": "",
    "min_boxes": "3",
    "max_boxes": "12",
    "ends_on": "",
    "at_term_end": "renew",
    "change_policy": "days",
    "past_due_shipping": "ship_once",
    "pause_unpaid": "keep",
}
PRICE = {"country": "", "currency": "EUR", "billing": "1m", "amount": "31.00", "is_tax_inside": "y"}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    make.make_plan(rt, code="pot", name="Pot")
    return desk(app, rt)


@pytest.fixture
def address(rt: Runtime, owner: Desk) -> str:
    ref = rt.session.scalar(sa.select(Plan.public_id))
    rt.session.rollback()
    return f"/admin/plans/{ref}"


def plan_of(rt: Runtime) -> Plan:
    rt.session.rollback()
    return rt.session.scalars(sa.select(Plan)).one()


def prices(rt: Runtime) -> list[tuple[str, str, int, bool]]:
    rt.session.rollback()
    rows = rt.session.scalars(sa.select(Price).order_by(Price.id)).all()
    found = [(one.country, one.currency, one.amount_minor, one.retired_at is None) for one in rows]
    rt.session.rollback()
    return found


def test_every_term_is_saved_and_shown_again(rt: Runtime, owner: Desk, address: str) -> None:
    assert "Terms and price list" in owner.get(address).text
    owner.get(f"{address}/terms")

    assert owner.post(f"{address}/terms", TERMS).status_code == 303

    plan = plan_of(rt)
    assert (plan.trial_days, plan.min_boxes, plan.max_boxes) == (14, 3, 12)
    assert plan.second_withdrawal
    assert (plan.change_policy, plan.past_due_shipping, plan.pause_unpaid) == (
        "days",
        "ship_once",
        "keep",
    )
    page = owner.get(f"{address}/terms").text
    assert 'value="14"' in page
    assert 'value="12"' in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trial_days": "many"}, "Enter a whole number from 0 to 365"),
        ({"first_period": "prorated"}, "A box has no parts"),
        ({"max_boxes": "2"}, "Fewer than the least it binds for"),
        ({"ends_on": "soon"}, "Enter a day like 2027-03-12"),
        ({"ends_on": "2020-01-01"}, "Choose a day in the future"),
        ({"ends_on": "2027-03-02"}, "Choose a day in the future"),
        ({"charge_day": "5"}, "Boxes are charged on the day of their cycle group"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused_beside_their_field(
    rt: Runtime, owner: Desk, address: str, wrong: dict[str, str], message: str
) -> None:
    owner.get(f"{address}/terms")
    answer = owner.post(f"{address}/terms", {**TERMS, **wrong}, partial=True)
    assert answer.status_code == 422
    assert message in answer.text
    assert plan_of(rt).trial_days == 0


@pytest.mark.parametrize(("days", "is_warned"), [("0", False), ("7", True), ("8", False)])
def test_a_trial_without_time_for_a_reminder_is_warned_of(
    owner: Desk, address: str, days: str, *, is_warned: bool
) -> None:
    owner.post(f"{address}/terms", {**TERMS, "trial_days": days})
    said = "there is no time for it" in owner.get(f"{address}/terms").text
    assert said is is_warned


def test_a_price_of_a_country_stands_beside_the_one_for_everywhere(
    rt: Runtime, owner: Desk, address: str
) -> None:
    owner.get(f"{address}/terms")
    swiss = {**PRICE, "country": "AT", "currency": "EUR", "fee": "5.00", "intro_boxes": "3"}
    answer = owner.post(f"{address}/price-list", {**swiss, "intro_amount": "9.00"})
    assert answer.status_code == 303

    assert prices(rt) == [("", "EUR", 2600, True), ("AT", "EUR", 3100, True)]
    page = owner.get(f"{address}/terms").text
    assert "Austria" in page
    assert "€9.00 up to box 3" in page
    assert "€5.00" in page


def test_another_price_retires_the_one_on_sale(rt: Runtime, owner: Desk, address: str) -> None:
    owner.get(f"{address}/terms")
    owner.post(f"{address}/price-list", PRICE)
    owner.post(f"{address}/price-list", PRICE)
    assert prices(rt) == [("", "EUR", 2600, False), ("", "EUR", 3100, True)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"amount": ""}, "Enter an amount like 26.00"),
        ({"amount": "0"}, "A price above 0 is needed"),
        ({"currency": "CHF"}, "Choose a country, or the shop&#39;s own currency"),
        ({"billing": "2w"}, "Must be a whole multiple of how often a box leaves"),
        ({"intro_boxes": "3"}, "Enter the price for the first boxes"),
        ({"intro_boxes": "3", "intro_amount": " "}, "Enter the price for the first boxes"),
        ({"intro_amount": "9"}, "Enter for how many boxes"),
        ({"intro_boxes": "3", "intro_amount": "31"}, "Must be below the price"),
        ({"intro_boxes": "3", "intro_amount": "100"}, "Must be below the price"),
    ],
)
def test_prices_that_cannot_be_sold_are_refused_beside_their_field(
    rt: Runtime, owner: Desk, address: str, wrong: dict[str, str], message: str
) -> None:
    owner.get(f"{address}/terms")
    answer = owner.post(f"{address}/price-list", {**PRICE, **wrong}, partial=True)
    assert answer.status_code == 422
    assert message in answer.text
    assert len(prices(rt)) == 1


def test_a_country_is_sold_in_one_currency(rt: Runtime, owner: Desk, address: str) -> None:
    owner.get(f"{address}/terms")
    austria = {**PRICE, "country": "AT"}
    assert owner.post(f"{address}/price-list", austria).status_code == 303
    other = {**austria, "currency": "CHF", "amount": "29"}
    refused = owner.post(f"{address}/price-list", other, partial=True)
    assert (refused.status_code, "is sold in another currency" in refused.text) == (422, True)
    ref = rt.session.scalar(sa.select(Price.public_id).where(Price.country == "AT"))
    rt.session.rollback()
    owner.post(f"{address}/prices/{ref}/retire")
    assert owner.post(f"{address}/price-list", other).status_code == 303
    assert ("AT", "CHF", 2900, True) in prices(rt)


def test_a_last_day_that_has_passed_does_not_block_the_other_terms(
    rt: Runtime, owner: Desk, address: str
) -> None:
    plan_of(rt).ends_on = date(2027, 2, 1)
    rt.session.commit()
    owner.get(f"{address}/terms")
    assert owner.post(f"{address}/terms", {**TERMS, "ends_on": "2027-02-01"}).status_code == 303
    assert plan_of(rt).trial_days == 14


def test_a_plan_whose_last_day_has_come_is_not_sold(rt: Runtime, owner: Desk, address: str) -> None:
    for day, sold in ((date(2027, 3, 3), True), (date(2027, 3, 2), False)):
        plan_of(rt).ends_on = day
        rt.session.commit()
        assert owner.client.get("/plans/pot").status_code == (200 if sold else 404)
        assert owner.client.get("/checkout?plan=pot").status_code == (200 if sold else 404)


def test_a_price_is_not_changed_to_its_introductory_price(
    rt: Runtime, owner: Desk, address: str
) -> None:
    owner.get(f"{address}/terms")
    owner.post(f"{address}/price-list", {**PRICE, "intro_boxes": "3", "intro_amount": "9"})
    ref = rt.session.scalar(sa.select(Price.public_id).where(Price.retired_at.is_(None)))
    rt.session.rollback()
    answer = owner.post(f"{address}/prices", {"for": ref, f"{ref}-amount": "9"}, partial=True)
    assert (answer.status_code, "Must be above its introductory" in answer.text) == (422, True)
    assert prices(rt) == [("", "EUR", 2600, False), ("", "EUR", 3100, True)]


def test_an_unknown_plan_is_not_found(owner: Desk) -> None:
    assert owner.get("/admin/plans/plan_nothing/terms").status_code == 404


def test_the_places_that_bind_for_less_stand_beside_the_terms_with_their_source(
    owner: Desk, address: str
) -> None:
    shown = owner.get(f"{address}/terms").text

    assert "California (United States)" in shown
    assert "Forbrugeraftaleloven § 28" in shown
    assert "6 months" in shown
