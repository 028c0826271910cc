"""A new price for running subscribers, from the draft to the last notice."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Plan, Subscription
from storefront.runtime import Runtime
from storefront.services.price_notices import tell_due
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

NEW = {"name": "Spring", "effective_on": "2027-03-20", "notice_days": "30"}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    plan = make.make_plan(rt, code="pot", name="Pot")
    make.make_subscription(rt, plan=plan)
    return desk(app, rt)


@pytest.fixture
def dearer(rt: Runtime, owner: Desk) -> str:
    plan = rt.session.query(Plan).one()
    return make.make_price(rt, plan, amount_minor=2900).public_id


def test_without_an_older_price_the_page_says_what_to_do_first(owner: Desk) -> None:
    page = owner.get("/admin/price-changes").text
    assert "Change a price of a plan first" in page
    assert "Nobody to move" in owner.get("/admin/price-changes/new").text


def test_a_draft_shows_who_pays_what_and_is_set_going(
    rt: Runtime, owner: Desk, dearer: str
) -> None:
    assert "€29.00 EUR (1 on another price)" in owner.get("/admin/price-changes/new").text

    answer = owner.post("/admin/price-changes/new", {**NEW, "price": dearer})
    assert answer.status_code == 303
    page = owner.get(str(answer.location)).text
    assert "1 subscriber would be moved" in page
    assert "€26.00" in page
    assert "12 April 2027" in page or "12 Apr 2027" in page

    assert owner.post(f"{answer.location}/schedule").status_code == 303
    tell_due(rt)
    page = owner.get(str(answer.location)).text
    assert "Stop it" in page
    assert "not told yet" in page or "told" in page

    assert owner.post(f"{answer.location}/stop").status_code == 303
    assert "left, or changed plans" in owner.get(str(answer.location)).text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "Enter a name"),
        ({"effective_on": "2027-03-02"}, "Choose a day in the future"),
        ({"effective_on": "soon"}, "Enter a day like 2027-03-12"),
        ({"effective_on": "2030-01-01"}, "Choose a day within two years"),
        ({"effective_on": "9999-12-31"}, "Choose a day from"),
        ({"notice_days": ""}, "Enter the days of notice"),
        ({"began_before": "soon"}, "Enter a day like 2027-03-12"),
        ({"notice_days": "many"}, "Enter a whole number from 0 to 365"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(
    owner: Desk, dearer: str, wrong: dict[str, str], message: str
) -> None:
    owner.get("/admin/price-changes/new")
    answer = owner.post("/admin/price-changes/new", {**NEW, "price": dearer, **wrong})
    assert answer.status_code == 422
    assert message in answer.text
    for value in ({**NEW, **wrong}).values():
        assert f'value="{value}"' in answer.text or value == ""


def test_a_draft_is_deleted_and_what_runs_is_not(rt: Runtime, owner: Desk, dearer: str) -> None:
    owner.get("/admin/price-changes/new")
    path = str(owner.post("/admin/price-changes/new", {**NEW, "price": dearer}).location)
    assert "Delete the draft" in owner.get(path).text
    assert owner.post(f"{path}/delete").location.endswith("/admin/price-changes")
    assert owner.get(path).status_code == 404
    path = str(owner.post("/admin/price-changes/new", {**NEW, "price": dearer}).location)
    owner.post(f"{path}/schedule")
    owner.post(f"{path}/delete")
    assert "Stop it" in owner.get(path).text


@pytest.mark.parametrize("days", [0, 400])
def test_a_price_names_its_country_and_counts_whom_the_dry_run_moves(
    rt: Runtime, owner: Desk, dearer: str, days: int
) -> None:
    plan = rt.session.query(Plan).one()
    for amount in (2700, 3100):
        make.make_price(rt, plan, country="AT", amount_minor=amount)
    leaving = make.make_subscription(rt, plan=plan)
    old = rt.session.query(Subscription.price_id).order_by(Subscription.id).first()
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == leaving.id)
        .values(price_id=old[0] if old else 0, cancel_on=leaving.next_on + timedelta(days))
    )
    rt.session.commit()
    page = owner.get("/admin/price-changes/new").text
    assert "Pot, everywhere, monthly: €29.00 EUR (1 on another price)" in page
    assert "Austria, monthly" not in page
    answer = owner.post("/admin/price-changes/new", {**NEW, "price": dearer})
    assert "1 subscriber would be moved" in owner.get(str(answer.location)).text


def test_a_draft_counts_who_ends_before_it(rt: Runtime, owner: Desk, dearer: str) -> None:
    rt.session.execute(sa.update(Subscription).values(max_boxes=1))
    rt.session.commit()
    assert "(1 on another price)" in owner.get("/admin/price-changes/new").text
    answer = owner.post("/admin/price-changes/new", {**NEW, "price": dearer})
    page = owner.get(str(answer.location)).text
    assert "1 subscriber on another price is not moved" in page
    assert "would be moved" not in page


@pytest.mark.parametrize(
    ("chosen", "moved"),
    [
        ({"country": "DE"}, True),
        ({"country": "AT"}, False),
        ({"began_before": "2027-03-03"}, True),
        ({"began_before": "2027-03-02"}, False),
    ],
)
def test_a_part_of_the_subscribers_is_chosen(
    owner: Desk, dearer: str, chosen: dict[str, str], moved: bool
) -> None:
    owner.get("/admin/price-changes/new")
    answer = owner.post("/admin/price-changes/new", {**NEW, "price": dearer, **chosen})
    page = owner.get(str(answer.location)).text
    assert ("1 subscriber would be moved" in page) is moved
    assert ("Nobody to move" in page) is not moved


def test_an_unknown_change_is_not_found(owner: Desk) -> None:
    assert owner.get("/admin/price-changes/pmg_nothing").status_code == 404
    owner.get("/admin/price-changes")
    assert owner.post("/admin/price-changes/pmg_nothing/stop").status_code == 404


def test_a_dry_run_says_when_the_tax_provider_was_silent(
    rt: Runtime, owner: Desk, dearer: str
) -> None:
    from storefront.domain.tax_treatment import TaxAnswer, TaxQuestion
    from storefront.hooks import hookimpl

    class Silent:
        @hookimpl
        def quote_tax(self, question: TaxQuestion) -> TaxAnswer | None:
            return None

    said = "The tax provider did not answer"
    answer = owner.post("/admin/price-changes/new", {**NEW, "price": dearer})
    assert said not in owner.get(str(answer.location)).text
    rt.hooks.register(Silent(), name="silent")
    assert said in owner.get(str(answer.location)).text
