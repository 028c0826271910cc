"""Drafts of extra charges on the admin's pages, all with plain forms."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, Customer, Invoice, Subscription
from storefront.models.base import table_of
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

WISH = {"text": "Teapot", "amount": "9.90", "tax_class": "standard"}


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def one(rt: Runtime, statement: Any) -> Any:
    rt.session.rollback()
    found = rt.session.execute(statement).scalars().all()[-1]
    # The pages write on a connection of their own.
    rt.session.rollback()
    return found


@pytest.fixture
def sub(rt: Runtime, demo_gateway) -> Subscription:
    return make.make_subscription(rt, plan=make.make_plan(rt, group=make.make_group(rt, cycles=30)))


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


@pytest.fixture
def subscriber(rt: Runtime, sub: Subscription) -> str:
    return f"/admin/subscribers/{one(rt, sa.select(Customer.public_id))}"


@pytest.fixture
def form(rt: Runtime, subscriber: str) -> str:
    return f"{subscriber}/{one(rt, sa.select(Subscription.public_id))}/extra"


@pytest.fixture
def url(owner: Desk, form: str) -> str:
    """The page of a draft that was saved from the form."""
    fields = WISH | {"do": "draft", "once": hidden(owner.get(form).text, "once")}
    first, second = owner.post(form, fields), owner.post(form, fields)
    assert (first.status_code, second.location) == (303, first.location)
    return str(first.location)


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', text)
    assert found is not None
    return found[1]


def state(rt: Runtime) -> InvoiceState:
    found: InvoiceState = one(rt, sa.select(Invoice.state).order_by(Invoice.id))
    return found


def test_a_draft_is_saved_from_the_preview_as_well(owner: Desk, form: str, rt: Runtime) -> None:
    preview = owner.post(form, WISH).text
    assert 'name="do" value="draft"' in preview
    shown = hidden(preview, "shown")
    assert owner.post(form, WISH | {"shown": shown, "do": "draft"}).status_code == 303
    assert state(rt) == InvoiceState.DRAFT


def test_what_is_wrong_is_said_before_a_draft_is_saved(owner: Desk, form: str) -> None:
    answer = owner.post(form, WISH | {"amount": "much", "do": "draft"})
    assert answer.status_code == 422
    assert 'value="Teapot"' in answer.text
    assert 'value="much"' in answer.text


def test_a_draft_is_listed_with_its_state(owner: Desk, url: str, subscriber: str) -> None:
    for page in (subscriber, "/admin/extras"):
        text = owner.get(page).text
        assert f'href="{url}"' in text
        assert "Draft" in text
    assert 'href="/admin/extras"' in owner.get(url).text


def saved_before(rt: Runtime, age: timedelta) -> None:
    draft = table_of(Invoice).c.state == InvoiceState.DRAFT
    rt.session.execute(sa.update(table_of(Invoice)).where(draft).values(created_at=rt.now() - age))
    rt.session.commit()


def test_the_first_page_names_a_draft_that_has_waited_for_a_week(
    app: Flask, rt: Runtime, owner: Desk, url: str
) -> None:
    text = "1 draft of an extra charge has waited for a week"
    saved_before(rt, timedelta(days=7))
    assert text not in owner.get("/admin/").text
    saved_before(rt, timedelta(days=7, seconds=1))

    page = owner.get("/admin/").text
    assert text in page
    assert 'href="/admin/extras"' in page[page.index(text) :]
    assert text not in desk(app, rt, "fulfilment").get("/admin/").text

    owner.get(url)
    owner.post(f"{url}/discard", {"version": hidden(owner.get(url).text, "version")})
    assert text not in owner.get("/admin/").text


def test_a_draft_is_changed_and_charged_as_shown_once(
    owner: Desk, rt: Runtime, url: str, subscriber: str
) -> None:
    page = owner.get(url).text
    assert "Charge €9.90" in page
    changed = WISH | {"text": "A cup", "amount": "5", "version": hidden(page, "version")}
    assert owner.post(f"{url}/save", changed).status_code == 303
    page = owner.get(url).text
    assert "Charge €5.00" in page
    shown = {"shown": hidden(page, "shown")}

    first, second = owner.post(f"{url}/charge", shown), owner.post(f"{url}/charge", shown)

    assert (first.status_code, second.location) == (303, first.location)
    assert state(rt) == InvoiceState.PAID
    assert one(rt, sa.select(sa.func.count()).select_from(ChargeAttempt)) == 2
    assert "A cup" in owner.get(first.location).text
    assert owner.get(url).location == first.location
    assert "There are no drafts." in owner.get("/admin/extras").text


def test_bad_input_keeps_what_was_typed(owner: Desk, url: str) -> None:
    version = hidden(owner.get(url).text, "version")
    answer = owner.post(
        f"{url}/save", {"text": "Cup", "amount": "0", "tax_class": "zero", "version": version}
    )
    assert answer.status_code == 422
    assert "Enter an amount above zero" in answer.text
    assert 'value="Cup"' in answer.text
    assert '<option value="zero" selected>' in answer.text
    assert "Charge €9.90" in answer.text


def test_the_second_of_two_staff_sees_the_draft_as_it_stands_now(
    owner: Desk, app: Flask, rt: Runtime, url: str
) -> None:
    page = owner.get(url).text
    old, shown = hidden(page, "version"), hidden(page, "shown")
    rt.session.execute(sa.text("UPDATE staff SET email = 'ada@shop.example'"))
    rt.session.commit()
    other = desk(app, rt)
    assert other.post(f"{url}/save", WISH | {"amount": "7", "version": old}).status_code == 303

    late = owner.post(f"{url}/save", WISH | {"amount": "8", "version": old})
    assert late.status_code == 422
    assert "This changed meanwhile" in late.text
    assert 'value="8"' in late.text
    for answer in (
        owner.post(f"{url}/charge", {"shown": shown}),
        owner.post(f"{url}/discard", {"version": old}),
    ):
        assert answer.status_code == 422
        assert "Charge €7.00" in answer.text
    assert state(rt) == InvoiceState.DRAFT


def test_a_draft_is_discarded_and_stays_marked(
    owner: Desk, rt: Runtime, url: str, subscriber: str
) -> None:
    version = {"version": hidden(owner.get(url).text, "version")}
    for _ in range(2):
        assert owner.post(f"{url}/discard", version).status_code == 303
    assert state(rt) == InvoiceState.DISCARDED
    assert "Discarded" in owner.get(subscriber).text
    page = owner.get(url)
    assert page.status_code == 200
    assert "/charge" not in page.text
    assert owner.post(f"{url}/charge", {"shown": "x"}).status_code == 422


def test_a_draft_on_hold_says_why_it_cannot_be_charged(owner: Desk, rt: Runtime, url: str) -> None:
    rt.session.execute(sa.update(Subscription).values(held_at=rt.now(), hold_reason="staff"))
    rt.session.commit()
    page = owner.get(url).text
    assert "The subscription is on hold. Release it first." in page
    assert "/charge" not in page
    assert "Save draft" in page


def test_an_unknown_draft_is_not_found(owner: Desk, sub: Subscription) -> None:
    assert owner.get("/admin/extras/inv_nobody").status_code == 404
    assert owner.post("/admin/extras/inv_nobody/charge", {"shown": "x"}).status_code == 404
