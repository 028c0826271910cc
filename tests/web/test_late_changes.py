"""Asking the shop for a change of a closed box, and the staff's queue."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Flask

from storefront.jobs.work import CLOSE_CYCLES, OUTBOX
from storefront.models import Address, Box, BoxCycle, Customer, LateChange
from storefront.runtime import Runtime
from storefront.services.late_changes import accept_late
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk, make_staff
from tests.support.asking import run_asked
from tests.support.orders import only
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
ELSEWHERE = {
    "kind": "address",
    "name": "Bo",
    "street": "Am Ufer 1",
    "extra": "",
    "postcode": "07745",
    "city": "Jena",
    "note": "I am away",
}


def test_a_late_address_takes_neither_state_nor_company_of_the_old_one(
    app: Flask, rt: Runtime, clock: FrozenClock
) -> None:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    march = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.rollback()
    here = f"/account/subscriptions/{sub.public_id}/boxes/{march}/late"
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    ada = Visitor.of(app).sign_in(ADA)
    assert 'name="region"' not in ada.get(here).text
    there = {"country": "US", "region": "CA", "company": "Old Works"}
    rt.session.execute(sa.update(Address).values(**there))
    rt.session.commit()

    page = ada.get(here).text
    assert '<option value="CA" selected="selected">California</option>' in page
    assert 'value="Old Works"' in page
    new = ELSEWHERE | {"postcode": "10001", "city": "New York", "region": "", "company": ""}
    wrong = ada.post(here, **new)
    assert (wrong.status_code, "the carrier needs it" in wrong.text) == (422, True)
    assert ada.post(here, **new | {"region": "NY"}).status_code == 303
    owner = make_staff(rt)
    assert "10001 New York, NY" in ada.get(here).text
    accept_late(rt, owner, only(rt, LateChange).public_id)
    newest = rt.session.scalars(sa.select(Address).order_by(Address.id.desc())).first()
    assert newest is not None
    assert (newest.country, newest.region, newest.company) == ("US", "NY", "")


def test_a_subscriber_asks_and_the_merchant_decides(
    app: Flask, rt: Runtime, clock: FrozenClock
) -> None:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    ada = Visitor.of(app).sign_in(ADA)
    march = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.rollback()
    here = f"/account/subscriptions/{sub.public_id}/boxes/{march}/late"
    assert "Ask for a change" not in ada.get("/account/").text

    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    assert run_asked(rt, CLOSE_CYCLES)
    rt.session.rollback()
    owner = desk(app, rt)
    assert here in ada.get("/account/").text
    assert here in ada.get(f"/account/subscriptions/{sub.public_id}").text
    assert "Ask not to send it" in ada.get(here).text
    wrong = ada.post(here, **ELSEWHERE | {"street": ""})
    assert (wrong.status_code, "Enter the street and house number" in wrong.text) == (422, True)
    assert ada.post(here, **ELSEWHERE).status_code == 303
    page = ada.get(here).text
    assert "We are looking at it" in page
    assert "Ask not to send it" not in page
    again = ada.post(here, kind="keep_back")
    assert (again.status_code, "You have asked already" in again.text) == (409, True)

    assert "1 late change waits for a decision" in owner.get("/admin/").text
    assert "1 late change waits for a decision" in owner.get("/admin/cycles").text
    queue = owner.get("/admin/late-changes").text
    assert "Send it to Bo, Am Ufer 1, 07745 Jena" in queue
    assert "I am away" in queue
    ref = queue.split("/admin/late-changes/")[1].split('"')[0]
    refused = owner.post(f"/admin/late-changes/{ref}", {"answer": "refuse", "reason": ""})
    assert (refused.status_code, "Enter the reason" in refused.text) == (422, True)
    assert owner.post(f"/admin/late-changes/{ref}", {"answer": "accept"}).status_code == 303
    assert only(rt, Box).ship_to["street"] == "Am Ufer 1"
    assert "Nothing waits for a decision" in owner.get("/admin/late-changes").text
    assert "Done. The box goes to the new address." in ada.get(here).text

    assert ada.post(here, kind="keep_back").status_code == 303
    ref = owner.get("/admin/late-changes").text.split("/admin/late-changes/")[1].split('"')[0]
    # Accepting gives credit: not by who only packs, who sees no page of a subscriber either.
    packer = desk(app, rt, "fulfilment")
    page = packer.get("/admin/late-changes").text
    assert "Accepting gives credit" in page
    assert ('value="accept"' in page, "/admin/subscribers/" in page) == (False, False)
    given = packer.post(f"/admin/late-changes/{ref}", {"answer": "accept"})
    assert (given.status_code, only(rt, Box).state) == (403, "locked")
    owner.post(f"/admin/late-changes/{ref}", {"answer": "refuse", "reason": "It is on the van"})
    assert "We could not do it: It is on the van" in ada.get(here).text
    assert run_asked(rt, OUTBOX)
    rt.session.rollback()
    # Nobody else's box is there.
    customer_with_password(rt, "eve@example.org")
    eve = Visitor.of(app).sign_in("eve@example.org")
    assert (eve.get(here).status_code, eve.post(here, **ELSEWHERE).status_code) == (404, 404)
