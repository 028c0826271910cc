"""A payment over another amount than asked, as the person who decides about it sees it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import charges
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.money import Money
from storefront.models import ChargeAttempt, Invoice, ParkedWork
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def payment(rt: Runtime, clock, demo_gateway) -> str:
    """A renewal over 26.00 that the gateway says it took 25.00 for."""
    from storefront.models import PaymentMethod
    from storefront.services.renewals import run_renewals

    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    make.make_subscription(rt, plan=plan)
    bad = demo_gateway.bank.token_for("0408")
    rt.session.execute(sa.update(PaymentMethod).values(token=bad))
    rt.session.commit()
    waits = sa.select(ChargeAttempt.public_id).where(ChargeAttempt.state == AttemptState.UNKNOWN)
    while (found := rt.session.scalar(waits)) is None:
        rt.session.rollback()
        clock.advance(days=1)
        run_renewals(rt)
    rt.session.rollback()
    answer = ChargeAnswer(AnswerStatus.SUCCEEDED, "ch_77", amount=Money(2500, "EUR"))
    charges.record(rt, [Result(found, answer)])
    return str(found)


@pytest.fixture
def owner(app: Flask, rt: Runtime, payment: str) -> Desk:
    """Signed in after the days until the renewal."""
    return desk(app, rt)


def test_both_amounts_and_the_reference_are_shown_before_anything_is_done(
    owner: Desk, payment: str
) -> None:
    url = f"/admin/payments/{payment}/amount"
    jobs = owner.get("/admin/jobs").text
    assert "The gateway took another amount than was asked" in jobs
    assert f'href="{url}"' in jobs

    page = owner.get(url).text

    for said in ("€26.00", "€25.00", "ch_77", "Accept €25.00 as payment", "missing €1.00"):
        assert said in page
    assert "Send all of €25.00 back" in page
    assert "€26.00 is charged again" in page
    assert "and send" not in page


@pytest.mark.parametrize("partial", [False, True])
def test_the_decision_settles_the_payment(
    rt: Runtime, owner: Desk, payment: str, partial: bool
) -> None:
    url = f"/admin/payments/{payment}/amount"
    owner.get(url)

    done = owner.post(url, {"choice": "accept", "taken": "2500 EUR"}, partial=partial)

    assert done.status_code == (200 if partial else 303)
    assert "The payment is settled and the decision is logged." in owner.get("/admin/").text
    assert rt.session.scalars(sa.select(Invoice.due_minor)).all() == [0, 0]
    assert broken(rt.session) == {}
    rt.session.rollback()
    assert owner.get(url).status_code == 404
    again = owner.post(url, {"choice": "accept", "taken": "2500 EUR"})
    assert again.status_code == 303
    assert "Somebody has done that already." in owner.get("/admin/").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Choose what becomes of the money"),
        ({"choice": "keep", "taken": "2500 EUR"}, "Choose what becomes of the money"),
        ({"choice": "refund_rest", "taken": "2500 EUR"}, "This changed meanwhile."),
        ({"choice": "accept", "taken": "2400 EUR"}, "This changed meanwhile."),
    ],
)
def test_what_is_not_offered_changes_nothing(
    rt: Runtime, owner: Desk, payment: str, fields: dict[str, str], said: str
) -> None:
    url = f"/admin/payments/{payment}/amount"
    owner.get(url)

    answer = owner.post(url, fields)

    assert answer.status_code == 422
    assert said in answer.text
    state = sa.select(ChargeAttempt.state).where(ChargeAttempt.public_id == payment)
    assert rt.session.scalar(state) is AttemptState.UNKNOWN


def test_marking_it_as_seen_leads_to_the_decision(rt: Runtime, owner: Desk, payment: str) -> None:
    key = rt.session.scalar(sa.select(ParkedWork.id))
    rt.session.rollback()
    owner.get("/admin/jobs")

    answer = owner.post(f"/admin/jobs/parked/{key}/try-again")

    assert (answer.status_code, answer.location) == (303, f"/admin/payments/{payment}/amount")


def test_only_who_may_manage_charging_decides(
    app: Flask, rt: Runtime, owner: Desk, payment: str
) -> None:
    support = desk(app, rt, "support")
    support.get("/admin/")
    url = f"/admin/payments/{payment}/amount"
    assert support.get(url).status_code == 403
    assert support.post(url, {"choice": "accept", "taken": "2500 EUR"}).status_code == 403
    assert owner.get("/admin/payments/pay_none/amount").status_code == 404
