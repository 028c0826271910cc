"""A charge whose customer waits is asked for twice, and the first answer comes late: not sent."""

from collections.abc import Iterator

import pytest

from storefront import paying
from storefront.charges import look_up, record
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import NOT_SENT, ChargeAnswer, ChargeOrder
from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, Invoice
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.paying import newest, renewed


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def sent(rt: Runtime, clock: FrozenClock) -> ChargeAttempt:
    """A charge that was marked sent for a customer who waits; its question is on its way."""
    renewed(rt, clock, "0341")
    invoice = newest(rt, Invoice)
    key, _moved = paying._plan(rt, invoice.payer_id, invoice.public_id, "")
    found = newest(rt, ChargeAttempt)
    assert (found.id, found.state) == (key, AttemptState.SENT)
    return found


def first_answer(rt: Runtime, reference: str) -> None:
    late = ChargeAnswer(AnswerStatus.UNKNOWN, reason=NOT_SENT)
    record(rt, [Result(reference, late, is_first=True)])


def test_the_success_of_the_second_question_settles_the_invoice(
    rt: Runtime, sent: ChargeAttempt, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = demo_gateway.charge

    def charge(order: ChargeOrder) -> ChargeAnswer:
        first_answer(rt, order.reference)
        return real(order)

    monkeypatch.setattr(demo_gateway, "charge", charge)

    look_up(rt, sent.id)

    assert newest(rt, ChargeAttempt).state == AttemptState.SUCCEEDED
    assert newest(rt, Invoice).state == InvoiceState.PAID
    assert demo_gateway.bank.executed_count() == 1


def test_what_the_first_question_has_answered_is_not_asked_for_again(
    rt: Runtime, sent: ChargeAttempt, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(reference: str, _at_gateway: str = "") -> None:
        first_answer(rt, reference)

    monkeypatch.setattr(demo_gateway, "lookup", lookup)

    look_up(rt, sent.id)

    assert newest(rt, ChargeAttempt).state == AttemptState.ABANDONED
    assert demo_gateway.bank.executed_count() == 0
