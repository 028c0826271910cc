"""Our charges beside the gateway's own list: what differs is found, shown, and closes itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.charges import look_up_open
from storefront.models import ChargeAttempt, Difference, GatewayState, Reconciliation
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import reconciliation as service
from storefront.services.reconciliation import compare_due
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.hooks import lost_renewal


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def paid(rt: Runtime, clock: FrozenClock) -> str:
    """The paid charge of a sign-up, a day ago."""
    make.make_subscription(rt, plan=make.make_plan(rt, group=make.make_group(rt, cycles=30)))
    found = rt.session.scalars(sa.select(ChargeAttempt.public_id)).one()
    rt.session.rollback()
    clock.advance(days=1)
    return found


def differences(rt: Runtime) -> list[Any]:
    rows = rt.session.execute(sa.select(Difference.__table__).order_by(Difference.id)).all()
    rt.session.rollback()
    return list(rows)


def runs(rt: Runtime) -> list[Any]:
    rows = rt.session.execute(sa.select(Reconciliation.__table__)).all()
    rt.session.rollback()
    return list(rows)


def change(rt: Runtime, reference: str, **values: Any) -> None:
    changed = sa.update(ChargeAttempt).where(ChargeAttempt.public_id == reference)
    rt.session.execute(changed.values(**values))
    rt.session.commit()


def charge_at(gateway: DemoGateway, reference: str) -> None:
    """Charge there without our books knowing of it."""
    details = {
        "token": gateway.bank.token_for("4242"),
        "amount_minor": 2600,
        "currency": "EUR",
        "on_session": False,
        "return_url": "",
        "merchant": "",
        "invoice": "",
    }
    gateway.bank.charge(reference, details)


def test_books_that_agree_are_compared_once_a_day(rt: Runtime, clock: FrozenClock, paid: str):
    assert compare_due(rt).compared == 1
    assert compare_due(rt).compared == 0
    clock.advance(days=1)
    assert compare_due(rt).compared == 1
    assert differences(rt) == []
    assert [(run.compared, run.differences, run.error) for run in runs(rt)] == [(1, 0, "")] * 2


def test_a_lost_answer_is_recorded_and_no_difference(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    reference = lost_renewal(rt, clock, demo_gateway)
    assert compare_due(rt).recorded == 1
    state = rt.session.scalar(
        sa.select(ChargeAttempt.state).where(ChargeAttempt.public_id == reference)
    )
    rt.session.rollback()
    assert state == "succeeded"
    assert differences(rt) == []
    assert look_up_open(rt).settled == 0


def test_their_charge_of_our_shape_that_no_book_has_is_a_difference_and_anothers_is_not(
    rt: Runtime, demo_gateway: DemoGateway
):
    charge_at(demo_gateway, "pay_" + "x" * 26)
    charge_at(demo_gateway, "order-of-another-shop")
    assert compare_due(rt).differences == 1
    (found,) = differences(rt)
    assert (found.kind, found.ours_minor, found.theirs_minor) == ("missing_here", None, 2600)


def test_our_success_that_they_do_not_know_is_a_difference_once(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, paid: str
):
    strange = "pay_" + "y" * 26
    change(rt, paid, public_id=strange, gateway_reference="")
    for _night in range(2):
        compare_due(rt)
        clock.advance(days=1)
    missing = [row for row in differences(rt) if row.kind == "missing_there"]
    assert [(row.reference, row.ours_minor, row.theirs_minor) for row in missing] == [
        (strange, 2600, None)
    ]

    charge_at(demo_gateway, strange)
    compare_due(rt)
    assert [row.resolved_by for row in differences(rt) if row.reference == strange] == [
        "comparison"
    ]
    change(rt, strange, public_id=paid)


def test_money_we_have_as_refused_is_a_difference_that_closes_when_it_agrees(
    rt: Runtime, clock: FrozenClock, paid: str
):
    change(rt, paid, state="abandoned", settles=False)
    compare_due(rt)
    (found,) = differences(rt)
    assert (found.kind, found.reference, found.theirs_minor) == ("state", paid, 2600)

    change(rt, paid, state="succeeded", settles=True)
    clock.advance(days=10)
    assert compare_due(rt).closed == 1
    assert differences(rt)[0].resolved_at == rt.now()


def test_money_given_back_at_the_gateway_is_a_difference(
    rt: Runtime, demo_gateway: DemoGateway, paid: str
):
    demo_gateway.bank.refund(
        "made-at-the-gateway",
        {"charge_reference": paid, "amount_minor": 600, "currency": "EUR", "reason": ""},
    )
    compare_due(rt)
    (found,) = differences(rt)
    assert (found.kind, found.ours_minor, found.theirs_minor) == ("refunded", 0, 600)


def test_settled_by_hand_stays_settled_until_it_changes(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    charge_at(demo_gateway, "pay_" + "x" * 26)
    compare_due(rt)
    who = make_staff(rt)
    assert service.settle(rt, who, differences(rt)[0].public_id, "Refunded at the bank")
    assert not service.settle(rt, who, differences(rt)[0].public_id, "again")
    clock.advance(days=1)
    compare_due(rt)
    (found,) = differences(rt)
    assert (found.resolved_by, found.note) == (f"staff:{who.id}", "Refunded at the bank")


@pytest.mark.parametrize(
    ("told", "noted"),
    [
        ("no_transaction_search", "ValueError: no_transaction_search"),
        ("GET https://api.example/v1?key=sk_1 failed", "ValueError"),
    ],
)
def test_why_a_list_was_refused_is_noted_as_the_code_the_plugin_gave(
    rt: Runtime,
    demo_gateway: DemoGateway,
    monkeypatch: pytest.MonkeyPatch,
    told: str,
    noted: str,
):
    def list_charges(since: datetime) -> None:
        raise ValueError(told)

    monkeypatch.setattr(demo_gateway, "list_charges", list_charges)
    assert compare_due(rt).failed == 1
    assert runs(rt)[0].error == noted
    rt.session.rollback()


def test_a_gateway_that_does_not_answer_is_noted_and_tried_again(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, paid: str
):
    demo_gateway.bank.set_fault("lookup_down")
    assert compare_due(rt).failed == 1
    assert runs(rt)[0].error == "AnswerLost: lookup_down"
    assert rt.session.scalar(sa.select(GatewayState.compared_until)) is None
    rt.session.rollback()
    demo_gateway.bank.set_fault("lookup_down", is_on=False)
    assert compare_due(rt).compared == 0
    clock.advance(minutes=10)
    assert compare_due(rt).compared == 1


def test_what_was_made_while_the_gateway_was_silent_is_compared_later(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    compare_due(rt)
    clock.advance(days=1)
    charge_at(demo_gateway, "pay_" + "x" * 26)
    demo_gateway.bank.set_fault("lookup_down")
    for _night in range(10):
        compare_due(rt)
        clock.advance(days=1)
    demo_gateway.bank.set_fault("lookup_down", is_on=False)
    assert compare_due(rt).differences == 1


def test_the_list_is_read_page_by_page(
    rt: Runtime, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "PAGE", 2)
    for number in range(5):
        charge_at(demo_gateway, f"pay_{number:026}")
    assert compare_due(rt).differences == 5


def test_staff_have_it_compared_now(rt: Runtime, clock: FrozenClock, paid: str):
    compare_due(rt)
    clock.advance(hours=1)
    service.ask_again(rt, make_staff(rt))
    clock.advance(minutes=1)
    assert compare_due(rt).compared == 1
    assert timedelta(0) <= rt.now() - runs(rt)[-1].at < timedelta(minutes=1)
