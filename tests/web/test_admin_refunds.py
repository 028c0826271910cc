"""The refund page: nothing before the preview, exactly the preview after it."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.addons import Reach
from storefront.models import (
    AuditEntry,
    Box,
    BoxItem,
    CreditNote,
    Invoice,
    NumberSeries,
    Refund,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.additions import AdditionWish, add_to_boxes, quote_now
from storefront.testing import factories as make
from tests.support.admin import Desk, desk


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def invoice(rt: Runtime, demo_gateway) -> str:
    rt.session.add(NumberSeries(code="INV", prefix="NK-", next_number=1))
    rt.session.commit()
    make.make_subscription(rt, plan=make.make_plan(rt, group=make.make_group(rt, cycles=30)))
    found = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    return str(found)


@pytest.fixture
def owner(app: Flask, rt: Runtime, invoice: str) -> Desk:
    return desk(app, rt)


def fields_of(page: str, **more: str) -> dict[str, str]:
    """What a browser would send of the page's forms: hidden fields and what is typed."""
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    line = re.search(r'name="(line-\d+)"', page)
    typed = {line[1]: "1"} if line else {}
    hidden.pop("csrf_token", None)
    return {**hidden, **typed, **more}


WISH = {"way": "card", "reason": "refund", "afterwards": "stop_now"}


def count(rt: Runtime, model: type) -> int:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
    rt.session.rollback()
    return found


def test_an_invoice_is_refunded_as_previewed(owner: Desk, rt: Runtime, invoice: str) -> None:
    url = f"/admin/documents/{invoice}/refund"
    assert f'href="{url}"' in owner.get(f"/admin/documents/{invoice}").text
    page = owner.get(url).text
    assert "€26.00 of €26.00 left" in page

    preview = owner.post(url, fields_of(page, **WISH))
    assert preview.status_code == 200
    for said in ("This is what happens", "Boxes cancelled", "Refund €26.00", "To the card"):
        assert said in preview.text
    assert count(rt, CreditNote) == 0

    done = owner.post(url, fields_of(preview.text))

    assert done.status_code == 303
    assert "/admin/documents/crn_" in done.location
    assert (count(rt, CreditNote), count(rt, Refund)) == (1, 1)
    assert {box.state for box in rt.session.scalars(sa.select(Box))} == {"canceled"}
    assert rt.session.scalars(sa.select(Subscription)).one().state == "canceled"
    assert rt.session.scalars(sa.select(AuditEntry.action)).all()[-1] == "invoice.refunded"
    rt.session.rollback()
    assert broken(rt.session) == {}
    rt.session.rollback()
    assert owner.get(done.location).status_code == 200
    assert "Nothing of it can go back now" in owner.get(url).text


def test_the_preview_says_what_is_taken_out_of_boxes(
    owner: Desk, rt: Runtime, invoice: str
) -> None:
    """All of an addition to a paid box is given back: it does not leave with the box."""
    sub = rt.session.scalars(sa.select(Subscription)).one()
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    who = (rt, sub.customer_id or 0, sub.public_id, AdditionWish(addon.public_id, 1, Reach.NEXT))
    add_to_boxes(*who, quote_now(*who).quote_hash, "once-1")
    last = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id.desc())).first()
    rt.session.rollback()
    url = f"/admin/documents/{last}/refund"

    sent = fields_of(owner.get(url).text, way="card", reason="refund", afterwards="keep")
    page = owner.post(url, sent).text

    assert "taken out of 1 box that is not packed yet" in page
    assert owner.post(url, fields_of(page)).status_code == 303
    assert count(rt, BoxItem) == 0


def test_a_part_is_typed_and_other_answers_are_asked_back(
    owner: Desk, rt: Runtime, invoice: str
) -> None:
    url = f"/admin/documents/{invoice}/refund"
    page = owner.get(url).text
    amount = re.search(r'name="(amount-\d+)"', page)
    assert amount is not None

    for typed in ("30.00", "abc", "-1", "0"):
        answer = owner.post(url, fields_of(page, **WISH, **{amount[1]: typed}))
        assert (answer.status_code, "This is what happens" in answer.text) == (422, False), typed
    assert owner.post(url, {"way": "card"}).status_code == 422
    answer = owner.post(url, fields_of(page, **WISH, **{amount[1]: "5,50"}))
    assert "Refund €5.50" in answer.text
    assert count(rt, CreditNote) == 0


@pytest.mark.parametrize("typed", ["5", ""])
def test_a_second_click_leads_to_the_credit_note_of_the_first(
    owner: Desk, rt: Runtime, invoice: str, typed: str
) -> None:
    url = f"/admin/documents/{invoice}/refund"
    page = owner.get(url).text
    amount = re.search(r'name="(amount-\d+)"', page)
    assert amount is not None
    wish = fields_of(page, way="credit", reason="goodwill", afterwards="keep")
    sent = fields_of(owner.post(url, wish | {amount[1]: typed}).text)

    first, second = owner.post(url, sent), owner.post(url, sent)

    assert (first.status_code, second.location) == (303, first.location)
    assert count(rt, CreditNote) == 1


def test_a_credit_note_of_a_part_says_what_it_is_a_part_of(owner: Desk, invoice: str) -> None:
    url = f"/admin/documents/{invoice}/refund"
    page = owner.get(url).text
    amount = re.search(r'name="(amount-\d+)"', page)
    assert amount is not None
    wish = fields_of(page, way="credit", reason="goodwill", afterwards="keep")
    preview = owner.post(url, wish | {amount[1]: "7.77"}).text
    note = owner.get(owner.post(url, fields_of(preview)).location).text
    row = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", note))
    assert "a part of €26.00" in row
    assert "1 €26.00" not in row


def test_a_payment_is_said_once(owner: Desk, invoice: str) -> None:
    assert owner.get(f"/admin/documents/{invoice}").text.count("Paid with Visa") == 1


def test_the_page_names_the_invoice_by_its_printed_number(owner: Desk, invoice: str) -> None:
    assert "Refund invoice NK-1<" in owner.get(f"/admin/documents/{invoice}/refund").text


def test_support_staff_cannot_refund(app: Flask, rt: Runtime, invoice: str) -> None:
    support = desk(app, rt, "support")

    assert support.get(f"/admin/documents/{invoice}/refund").status_code == 403
    assert "/refund" not in support.get(f"/admin/documents/{invoice}").text


def test_a_refund_for_one_box_says_so_and_takes_its_part_without_an_amount(
    app: Flask, rt: Runtime, demo_gateway
) -> None:
    plan = make.make_plan(rt, amount_minor=7500, count=3, group=make.make_group(rt, cycles=30))
    make.make_subscription(rt, plan=plan)
    owner = desk(app, rt)
    ref = rt.session.scalars(sa.select(Invoice.public_id)).one()
    _first, second, _third = rt.session.scalars(sa.select(Box).order_by(Box.id)).all()
    box, key = second.public_id, second.id
    rt.session.execute(sa.update(Box).where(Box.id == key).values(state="lost"))
    rt.session.commit()
    url = f"/admin/documents/{ref}/refund"

    # From the page of the box the part is typed already; the form itself needs no amount.
    assert f'href="{url}?box={box}"' in owner.get(f"/admin/boxes/{box}").text
    prefilled = owner.get(f"{url}?box={box}").text
    assert f'<option value="{box}" selected>Box 2, ' in prefilled
    assert 'value="25.00"' in prefilled
    page = owner.get(url).text
    assert "€25.00 left</option>" in page
    wish = {"way": "credit", "reason": "refund", "afterwards": "keep", "box": box}
    preview = owner.post(url, fields_of(page, **wish)).text
    assert "Refund €25.00" in preview
    assert "For box" in preview

    assert owner.post(url, fields_of(preview)).status_code == 303
    note = rt.session.scalars(sa.select(CreditNote)).one()
    assert (note.total_minor, note.box_id) == (2500, key)
    entry = rt.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert entry.after["box"] == box
    rt.session.rollback()
    assert owner.post(url, {**wish, "box": "box_nobody", "line-1": "1"}).status_code == 422
