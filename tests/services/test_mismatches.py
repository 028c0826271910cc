"""A success over another amount than asked: parked once, decided once, booked to the cent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.domain.changes import Wish
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.invoices import InvoiceState
from storefront.domain.mismatches import Choice, ChoiceNotOffered, NothingToDecide, choices
from storefront.domain.money import Money
from storefront.models import (
    AuditEntry,
    Box,
    ChargeAttempt,
    CreditMove,
    Customer,
    CustomerCredit,
    Invoice,
    LedgerTransfer,
    ParkedWork,
    PaymentMethod,
    Refund,
    ScheduledChange,
    Subscription,
    SubscriptionEvent,
)
from storefront.operations.audit import Who
from storefront.operations.consents import Given
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.queries.mismatches import mismatch
from storefront.runtime import Runtime
from storefront.services import holds
from storefront.services.cancellations import cancel
from storefront.services.changes import change, quote_change
from storefront.services.methods import set_default
from storefront.services.mismatches import decide
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff

NO_ANSWER, GOOD = "0408", "4242"


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def card(rt: Runtime, demo_gateway: Any) -> Callable[[str], None]:
    def use(digits: str) -> None:
        token = demo_gateway.bank.token_for(digits)
        rt.session.execute(sa.update(PaymentMethod).values(token=token))
        rt.session.commit()

    return use


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    return make.make_subscription(rt, plan=plan)


@pytest.fixture
def renewal(rt: Runtime, clock: FrozenClock, sub: Subscription, card: Callable[[str], None]) -> str:
    """A renewal over 26.00 that the gateway has not answered."""
    card(NO_ANSWER)
    while len(all_of(rt, ChargeAttempt)) == 1:
        clock.advance(days=1)
        run_renewals(rt)
    card(GOOD)
    last = all_of(rt, ChargeAttempt)[-1]
    assert (last.state, last.amount_minor) == (AttemptState.UNKNOWN, 2600)
    return str(last.public_id)


def all_of(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def took(rt: Runtime, payment: str, minor: int, currency: str = "EUR") -> str:
    """Let the gateway report a success over this amount; returns it as it is posted back."""
    answer = ChargeAnswer(AnswerStatus.SUCCEEDED, "ch_77", amount=Money(minor, currency))
    charges.record(rt, [Result(payment, answer)])
    found = mismatch(rt.session, payment)
    rt.session.rollback()
    assert found is not None
    assert (found.taken, found.gateway_reference) == (Money(minor, currency), "ch_77")
    return found.taken_code


def one_of(rt: Runtime, sub: Subscription) -> Customer:
    rt.session.rollback()
    found = rt.session.get_one(Customer, sub.customer_id)
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def balances(rt: Runtime) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in all_of(rt, LedgerTransfer):
        sums[row.debit] = sums.get(row.debit, 0) + row.amount_minor
        sums[row.credit] = sums.get(row.credit, 0) - row.amount_minor
    return sums


def test_what_came_over_a_wrong_amount_pays_nothing_and_is_parked_once(
    rt: Runtime, renewal: str
) -> None:
    took(rt, renewal, 2500)
    took(rt, renewal, 2500)

    (parked,) = all_of(rt, ParkedWork)
    assert (parked.subject, parked.detail) == (renewal, "2500 EUR")
    invoice = all_of(rt, Invoice)[-1]
    assert (invoice.state, invoice.paid_minor) == (InvoiceState.OPEN, 0)


def test_less_than_asked_is_accepted_and_the_shop_bears_the_rest(
    rt: Runtime, renewal: str, sub: Subscription, who: Who
) -> None:
    before = balances(rt)
    decide(rt, who, renewal, Choice.ACCEPT, took(rt, renewal, 2500))

    attempt, invoice = all_of(rt, ChargeAttempt)[-1], all_of(rt, Invoice)[-1]
    assert (attempt.state, attempt.settles) == (AttemptState.SUCCEEDED, True)
    assert (attempt.amount_minor, attempt.refunded_minor) == (2500, 0)
    assert (invoice.state, invoice.paid_minor, invoice.applied_minor, invoice.due_minor) == (
        InvoiceState.PAID,
        2500,
        100,
        0,
    )
    after = balances(rt)
    assert after["clearing:demo"] - before["clearing:demo"] == 2500
    assert after["credits_granted"] == 100
    assert (after["receivable"], after["customer_credit"]) == (0, 0)
    assert [(move.amount_minor, move.rest_minor) for move in all_of(rt, CreditMove)] == [(100, 0)]
    assert [one.balance_minor for one in all_of(rt, CustomerCredit)] == [0]
    assert len(all_of(rt, Box)) == 2
    assert all_of(rt, Subscription)[0].state == "active"


def test_more_than_asked_settles_and_the_difference_goes_back(
    rt: Runtime, renewal: str, who: Who, demo_gateway: Any
) -> None:
    before = balances(rt)
    decide(rt, who, renewal, Choice.REFUND_REST, took(rt, renewal, 2700))

    attempt, invoice = all_of(rt, ChargeAttempt)[-1], all_of(rt, Invoice)[-1]
    assert (attempt.settles, attempt.amount_minor, attempt.refunded_minor) == (True, 2700, 100)
    assert (invoice.state, invoice.paid_minor) == (InvoiceState.PAID, 2600)
    assert [(one.amount_minor, one.currency) for one in all_of(rt, Refund)] == [(100, "EUR")]
    assert balances(rt)["refunds_due"] == -100

    assert send_refunds(rt).done == 1

    after = balances(rt)
    assert after["refunds_due"] == 0
    assert after["clearing:demo"] - before["clearing:demo"] == 2600
    assert len(all_of(rt, Box)) == 2


@pytest.mark.parametrize("minor", [2500, 5300])
def test_everything_goes_back_and_the_right_amount_is_asked_for_again(
    rt: Runtime, renewal: str, who: Who, minor: int
) -> None:
    decide(rt, who, renewal, Choice.REFUND_ALL, took(rt, renewal, minor))

    wrong, again = all_of(rt, ChargeAttempt)[-2:]
    assert (wrong.state, wrong.settles) == (AttemptState.SUCCEEDED, False)
    assert (wrong.amount_minor, wrong.refunded_minor) == (minor, minor)
    assert (again.state, again.amount_minor) == (AttemptState.PLANNED, 2600)
    assert [one.amount_minor for one in all_of(rt, Refund)] == [minor]

    charges.send_planned(rt)

    assert all_of(rt, ChargeAttempt)[-1].settles
    assert all_of(rt, Invoice)[-1].state is InvoiceState.PAID
    assert len(all_of(rt, Box)) == 2


def test_the_right_amount_is_asked_of_the_card_chosen_meanwhile(
    rt: Runtime, clock: FrozenClock, renewal: str, sub: Subscription, who: Who
) -> None:
    taken = took(rt, renewal, 2500)
    old = all_of(rt, PaymentMethod)[0]
    clock.advance(minutes=5)
    new = make.make_method(rt, one_of(rt, sub), card="0119", is_default=False)
    assert set_default(rt, sub.customer_id or 0, new.public_id)

    decide(rt, who, renewal, Choice.REFUND_ALL, taken)

    planned = [one for one in all_of(rt, ChargeAttempt) if one.state == AttemptState.PLANNED]
    assert [(one.payment_method_id, one.amount_minor) for one in planned] == [(new.id, 2600)]
    charges.send_planned(rt)
    assert all_of(rt, Invoice)[-1].state is InvoiceState.PAID
    asked = [one.payment_method_id for one in all_of(rt, ChargeAttempt) if one.sent_at]
    assert asked == [old.id, old.id, new.id]


def test_another_currency_can_only_go_back(rt: Runtime, renewal: str, who: Who) -> None:
    taken = took(rt, renewal, 2600, "CHF")
    for choice in (Choice.ACCEPT, Choice.REFUND_REST):
        with pytest.raises(ChoiceNotOffered):
            decide(rt, who, renewal, choice, taken)
    assert all_of(rt, Invoice)[-1].state is InvoiceState.OPEN

    decide(rt, who, renewal, Choice.REFUND_ALL, taken)

    (refund,) = all_of(rt, Refund)
    assert (refund.amount_minor, refund.currency) == (2600, "CHF")
    journal = [one for one in all_of(rt, LedgerTransfer) if one.credit == "refunds_due"]
    assert [(one.amount_minor, one.currency) for one in journal] == [(2600, "CHF")]


def test_a_success_over_nothing_is_asked_for_again(rt: Runtime, renewal: str, who: Who) -> None:
    decide(rt, who, renewal, Choice.REFUND_ALL, took(rt, renewal, 0))

    nothing, again = all_of(rt, ChargeAttempt)[-2:]
    assert (nothing.state, again.state) == (AttemptState.DECLINED, AttemptState.PLANNED)
    assert all_of(rt, Refund) == []


def test_who_left_meanwhile_gets_everything_back_and_is_asked_for_nothing(
    rt: Runtime, renewal: str, sub: Subscription, who: Who
) -> None:
    taken = took(rt, renewal, 2500)
    cancel(rt, sub.customer_id or 0, sub.public_id)
    with pytest.raises(ChoiceNotOffered):
        decide(rt, who, renewal, Choice.ACCEPT, taken)

    decide(rt, who, renewal, Choice.REFUND_ALL, taken)

    assert [one.amount_minor for one in all_of(rt, Refund)] == [2500]
    assert len(all_of(rt, ChargeAttempt)) == 2
    assert all_of(rt, Invoice)[-1].state is InvoiceState.VOID
    assert len(all_of(rt, Box)) == 1


@pytest.mark.parametrize(
    ("choice", "state"), [(Choice.ACCEPT, "applied"), (Choice.REFUND_ALL, "withdrawn")]
)
def test_a_change_of_plan_over_a_wrong_amount_is_applied_or_dropped(
    rt: Runtime,
    sub: Subscription,
    card: Callable[[str], None],
    who: Who,
    choice: Choice,
    state: str,
) -> None:
    from storefront.models import Plan

    plan = rt.session.get(Plan, sub.plan_id)
    rt.session.expunge(plan)
    rt.session.rollback()
    yearly = make.make_price(rt, plan, amount_minor=28080, unit="year").public_id
    card(NO_ANSWER)
    owner = sub.customer_id or 0
    quote = quote_change(rt, owner, sub.public_id, Wish(yearly))
    agreed = Given("I agree", "1", "", "")
    change(rt, owner, sub.public_id, Wish(yearly), quote.quote_hash, agreed)
    payment = all_of(rt, ChargeAttempt)[-1].public_id

    decide(rt, who, payment, choice, took(rt, payment, 25000))

    assert all_of(rt, ScheduledChange)[0].state == state
    row = all_of(rt, Subscription)[0]
    assert (row.price_id != sub.price_id) is (state == "applied")
    assert row.renews_at is not None
    assert len(all_of(rt, ChargeAttempt)) == 2


def test_it_is_decided_once_and_the_log_names_who_and_what(
    rt: Runtime, renewal: str, sub: Subscription, who: Who
) -> None:
    taken = took(rt, renewal, 2500)
    with pytest.raises(ChoiceNotOffered):
        decide(rt, who, renewal, Choice.ACCEPT, "2400 EUR")
    decide(rt, who, renewal, Choice.ACCEPT, taken)
    with pytest.raises(NothingToDecide):
        decide(rt, who, renewal, Choice.REFUND_ALL, taken)

    (parked,) = all_of(rt, ParkedWork)
    assert (parked.resolved_by, parked.resolved_at) == (who.public_id, rt.now())
    (entry,) = [one for one in all_of(rt, AuditEntry) if one.action == "payment.corrected"]
    assert (entry.staff_id, entry.object_ref) == (who.id, renewal)
    assert entry.before["asked"] == "2600 EUR"
    assert (entry.after["taken"], entry.after["choice"]) == ("2500 EUR", "accept")
    assert (entry.after["evidence"], entry.after["gateway_reference"]) == ("person", "ch_77")
    (told,) = [one for one in all_of(rt, SubscriptionEvent) if one.kind == "payment.corrected"]
    assert (told.subscription_id, told.actor_ref) == (sub.id, who.public_id)
    assert (told.data["asked_minor"], told.data["taken_minor"]) == (2600, 2500)


def test_it_cannot_be_marked_as_seen_instead(rt: Runtime, renewal: str, who: Who) -> None:
    taken = took(rt, renewal, 2500)
    key = all_of(rt, ParkedWork)[0].id
    with pytest.raises(holds.NeedsDecision):
        holds.try_again(rt, who, key)
    assert all_of(rt, ParkedWork)[0].resolved_at is None
    decide(rt, who, renewal, Choice.REFUND_ALL, taken)
    assert not holds.try_again(rt, who, key)


def test_a_right_answer_that_comes_later_settles_it(rt: Runtime, renewal: str, who: Who) -> None:
    taken = took(rt, renewal, 2500)
    answer = ChargeAnswer(AnswerStatus.SUCCEEDED, "ch_77", amount=Money(2600, "EUR"))
    charges.record(rt, [Result(renewal, answer)])

    assert all_of(rt, Invoice)[-1].state is InvoiceState.PAID
    with pytest.raises(NothingToDecide):
        decide(rt, who, renewal, Choice.REFUND_ALL, taken)
    assert holds.try_again(rt, who, all_of(rt, ParkedWork)[0].id)


def test_a_part_is_never_taken_for_an_invoice_that_owes_something_else_now() -> None:
    asked, taken = Money(2600, "EUR"), Money(2500, "EUR")
    assert choices(asked, taken, Money(2000, "EUR")) == (Choice.REFUND_ALL,)
    assert choices(asked, taken, None) == (Choice.REFUND_ALL,)
    assert choices(asked, taken, asked) == (Choice.ACCEPT, Choice.REFUND_ALL)
