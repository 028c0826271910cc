"""A renewal whose bank wants to know that it is the customer: the link, the page, the charge."""

import re
from urllib.parse import urlsplit

import pytest
from flask import Flask

from storefront.domain.charging import AttemptState
from storefront.domain.gateways import CancelAnswer
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import (
    AuditEntry,
    ChargeAttempt,
    Customer,
    DunningCase,
    Invoice,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk
from tests.support.paying import (
    attempts,
    lead,
    mailed,
    newest,
    only,
    renewed,
    type_card,
    waiting_mails,
)
from tests.support.visitor import Visitor


@pytest.fixture(autouse=True)
def invariants(rt):
    """After each story everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def anybody(app: Flask) -> Visitor:
    return Visitor.of(app)


@pytest.fixture
def waiting(rt: Runtime, clock: FrozenClock) -> str:
    """The link in the mail about a renewal whose bank wants to know that it is the customer."""
    renewed(rt, clock, "3220")
    return mailed(rt, "payment_confirm")


def test_a_renewal_that_wants_a_confirmation_is_no_decline(rt: Runtime, waiting: str) -> None:
    case = only(rt, DunningCase)
    assert (case.kind, case.step, case.next_action) == ("authentication", 0, "last_action")
    assert only(rt, ChargeAttempt).state is AttemptState.ACTION_REQUIRED
    assert waiting_mails(rt, "payment_failed") == []


def test_confirming_goes_on_to_the_bank_with_one_charge_for_two_tabs(
    rt: Runtime, app: Flask, anybody: Visitor, waiting: str, demo_gateway: DemoGateway
) -> None:
    assert lead(anybody.get(waiting).text) == "Confirm €26.00"
    other = Visitor.of(app)
    other.get(waiting)

    first, second = anybody.post(f"{waiting}/confirm"), other.post(f"{waiting}/confirm")

    assert first.location == second.location
    assert "/x/demo-gateway/confirm/" in first.location
    assert attempts(rt) == ["abandoned", "action_required"]
    page = first.location.rpartition("/")[2]
    back = demo_gateway.bank.confirm_charge(page, True).return_url
    path = urlsplit(back).path
    assert path.startswith("/pay/back/")
    assert "what became of it" in anybody.get(path).text
    done = anybody.post(path)
    assert lead(anybody.get(done.location).text) == "This is paid"
    assert lead(other.get(waiting).text) == "This is paid"
    assert demo_gateway.bank.executed_count() == 1
    assert only(rt, Subscription).state is SubscriptionState.ACTIVE


def test_another_card_first_stops_the_one_that_waits_for_its_bank(
    rt: Runtime, anybody: Visitor, waiting: str, demo_gateway: DemoGateway, monkeypatch
) -> None:
    order: list[str] = []
    cancel_it, charge_it = demo_gateway.cancel, demo_gateway.charge

    def cancelling(reference: str, gateway_reference: str = "") -> CancelAnswer:
        answer = cancel_it(reference, gateway_reference)
        order.append(f"cancel {answer.value}")
        return answer

    def charging(asked):
        order.append(f"charge {asked.token.split('_')[1]}")
        return charge_it(asked)

    monkeypatch.setattr(demo_gateway, "cancel", cancelling)
    monkeypatch.setattr(demo_gateway, "charge", charging)
    anybody.get(waiting)
    anybody.post(f"{waiting}/confirm")
    order.clear()

    back = type_card(rt, anybody, waiting, demo_gateway.bank, "4242")
    anybody.post(back)

    assert order == ["cancel cancelled", "charge 4242"]
    assert attempts(rt) == ["abandoned", "abandoned", "succeeded"]
    assert demo_gateway.bank.executed_count() == 1


def test_a_bank_that_refuses_leaves_the_invoice_to_be_paid(
    rt: Runtime, anybody: Visitor, waiting: str, demo_gateway: DemoGateway
) -> None:
    anybody.get(waiting)
    away = anybody.post(f"{waiting}/confirm")
    page = away.location.rpartition("/")[2]
    back = urlsplit(demo_gateway.bank.confirm_charge(page, False).return_url).path

    done = anybody.post(back)

    assert lead(anybody.get(done.location).text) == "Pay €26.00"
    assert demo_gateway.bank.executed_count() == 0
    assert only(rt, DunningCase).kind == "authentication"


def test_an_old_confirmation_link_is_mailed_again_by_its_own_click(
    rt: Runtime, clock: FrozenClock, anybody: Visitor, waiting: str
) -> None:
    clock.advance(days=14)
    anybody.get(waiting)
    anybody.post(f"{waiting}/again")

    assert lead(anybody.get(mailed(rt, "payment_confirm")).text) == "Confirm €26.00"


def test_the_way_back_is_closed_after_a_day(
    rt: Runtime, clock: FrozenClock, anybody: Visitor, waiting: str, demo_gateway: DemoGateway
) -> None:
    anybody.get(waiting)
    away = anybody.post(f"{waiting}/confirm")
    charge = demo_gateway.bank.charge_of_page(away.location.rpartition("/")[2])
    back = urlsplit(charge.return_url).path
    assert anybody.get(back).status_code == 200
    assert anybody.get(back[:-1] + ("A" if back[-1] != "A" else "B")).status_code == 404

    clock.advance(days=1)

    assert anybody.get(back).status_code == 404
    assert anybody.post(back).status_code == 404


# -------------------------------------------------------------------------------- for staff


def test_support_sees_the_link_and_its_last_mail_and_sends_it_again(
    rt: Runtime, app: Flask, clock: FrozenClock, anybody: Visitor, waiting: str
) -> None:
    page = f"/admin/subscribers/{only(rt, Customer).public_id}"
    clock.advance(days=2)
    support = desk(app, rt, "support")

    seen = support.get(page).text

    assert "Waits for a confirmation" in seen
    assert "Last mailed" in seen
    link = re.search(r"http://localhost(/pay/[^<\s]+)", seen)
    assert link
    assert lead(anybody.get(link[1]).text) == "Confirm €26.00"
    before = len(waiting_mails(rt, "payment_confirm"))
    rt.session.rollback()
    again = f"{page}/links/{only(rt, Invoice).public_id}"
    assert support.post(again).status_code == 303
    assert len(waiting_mails(rt, "payment_confirm")) == before + 1
    rt.session.rollback()
    assert support.post(f"{page}/links/inv_nothing").status_code == 404
    entry = newest(rt, AuditEntry)
    assert entry.action == "invoice.link_sent"


def test_who_may_only_look_at_boxes_gets_no_link(rt: Runtime, app: Flask, waiting: str) -> None:
    page = f"/admin/subscribers/{only(rt, Customer).public_id}"
    packer = desk(app, rt, "fulfilment")

    assert packer.get(page).status_code == 403
    assert packer.post(f"{page}/links/{only(rt, Invoice).public_id}").status_code == 403
