"""One invoice for several subscriptions: each leaves, refunds and changes by its own lines."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import EndReason, PeriodState, SubscriptionState
from storefront.models import (
    Box,
    ChargeAttempt,
    Coupon,
    CreditNote,
    CreditNoteLine,
    CustomerCredit,
    DunningCase,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    PaymentMethod,
    Plan,
    PromotionCode,
    Redemption,
    Subscription,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.operations.coupons import Lowered, TypedCode, Use, attach, code_of, redeem_cycle
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel, quote_cancellation
from storefront.services.dunning import chase_due
from storefront.services.invoice_desk import Then, void
from storefront.services.methods import Paid, pay_now
from storefront.services.pauses import pause, quote_pause
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import OK, PENDING
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.baskets import bought, renew_together, subscriptions
from tests.support.orders import count, only


@pytest.fixture
def tea(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="tea", amount_minor=2600)


@pytest.fixture
def pot(rt: Runtime, tea: Plan) -> Plan:
    return make.make_plan(rt, code="pot", amount_minor=1907)


def rows(rt: Runtime, model: type) -> list[sa.Row]:
    table = model.__table__  # type: ignore[attr-defined]
    found = list(rt.session.execute(sa.select(table).order_by(table.c.id)))
    rt.session.rollback()
    return found


def assert_sound(rt: Runtime) -> None:
    assert broken(rt.session) == {}
    rt.session.rollback()


def invoice(rt: Runtime, key: int) -> sa.Row:
    return next(row for row in rows(rt, Invoice) if row.id == key)


def states(rt: Runtime) -> list[str]:
    return [row.state for row in rows(rt, Subscription)]


@pytest.fixture
def owed(rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, clock: FrozenClock) -> int:
    """An open invoice of 45.07 for two subscriptions, its charge planned."""
    bought(rt, demo_gateway, tea, pot, card="0341")
    clock.advance(days=32)
    run_renewals(rt)
    clock.advance(days=9)
    return renew_together(rt)


@pytest.fixture
def declined(rt: Runtime, owed: int) -> int:
    """The same, refused by the bank."""
    charges.send_planned(rt)
    return owed


def test_a_decline_makes_all_past_due_with_one_case_and_one_mail(rt: Runtime, declined: int):
    assert states(rt) == [SubscriptionState.PAST_DUE] * 2
    assert only(rt, DunningCase).invoice_id == declined
    assert count(rt, OutboxMessage, OutboxMessage.topic == "payment_failed") == 1
    assert count(rt, Box) == 2
    assert_sound(rt)


def test_the_earliest_last_action_of_the_plans_counts(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    slow = make.make_plan(rt, code="slow", retry_days=[5, 20], last_action="cancel")
    fast = make.make_plan(rt, code="fast", retry_days=[2], last_action="pause")
    bought(rt, demo_gateway, slow, fast, card="0341")
    clock.advance(days=32)
    run_renewals(rt)
    clock.advance(days=9)
    renew_together(rt)
    charges.send_planned(rt)

    policy = only(rt, DunningCase).policy
    assert (policy["retry_days"], policy["last_action"]) == ([2], "pause")
    clock.advance(days=2)
    chase_due(rt)
    chase_due(rt)

    assert states(rt) == [SubscriptionState.PAUSED] * 2
    assert only(rt, DunningCase).state == "lost"
    assert_sound(rt)


def test_the_last_action_ends_all(rt: Runtime, declined: int, clock: FrozenClock):
    for _ in range(40):
        clock.advance(days=1)
        chase_due(rt)

    ended = rows(rt, Subscription)
    assert {row.state for row in ended} == {SubscriptionState.CANCELED}
    assert {row.end_reason for row in ended} == {EndReason.UNPAID}
    assert invoice(rt, declined).state == InvoiceState.VOID
    assert only(rt, CreditNote).total_minor == 4507
    assert_sound(rt)


@pytest.mark.parametrize(("leaves", "left"), [(0, 1907), (1, 2600)])
def test_cancelling_one_subscription_leaves_the_others_amount_due_exact(
    rt: Runtime, declined: int, clock: FrozenClock, leaves: int, left: int
):
    going = subscriptions(rt)[leaves]
    assert going.customer_id is not None
    quote = quote_cancellation(rt, going.customer_id, going.public_id)
    assert quote.dropped is not None
    assert quote.dropped.minor == 4507 - left

    cancel(rt, going.customer_id, going.public_id)

    owing = invoice(rt, declined)
    assert (owing.state, owing.due_minor, owing.credited_minor) == (
        InvoiceState.OPEN,
        left,
        4507 - left,
    )
    note = only(rt, CreditNote)
    assert (note.total_minor, note.tax_minor) == (
        4507 - left,
        next(line.tax_minor for line in lines(rt, declined) if line.subscription_id == going.id),
    )
    found = rows(rt, Subscription)
    assert found[leaves].state == SubscriptionState.CANCELED
    assert found[1 - leaves].state == SubscriptionState.PAST_DUE
    assert only(rt, DunningCase).state == "open"
    assert_sound(rt)

    # The next try asks for the rest, and another card pays it.
    clock.advance(days=3)
    chase_due(rt)
    asked = [row.amount_minor for row in rows(rt, ChargeAttempt) if row.invoice_id == declined]
    assert asked == [4507, left]
    assert_sound(rt)


def lines(rt: Runtime, key: int) -> list[sa.Row]:
    return [row for row in rows(rt, InvoiceLine) if row.invoice_id == key]


def test_paying_the_rest_reactivates_the_others_only(
    rt: Runtime, declined: int, demo_gateway: DemoGateway
):
    first, second = subscriptions(rt)
    assert first.customer_id is not None
    cancel(rt, first.customer_id, first.public_id)
    recover(rt, demo_gateway)

    assert pay_now(rt, first.customer_id, invoice(rt, declined).public_id) is Paid.DONE

    owing = invoice(rt, declined)
    assert (owing.state, owing.paid_minor, owing.credited_minor) == (InvoiceState.PAID, 1907, 2600)
    assert states(rt) == [SubscriptionState.CANCELED, SubscriptionState.ACTIVE]
    periods = [row for row in rows(rt, SubscriptionPeriod) if row.box_count and row.number > 0]
    assert [row.state for row in periods] == [PeriodState.VOID, PeriodState.PAID]
    boxes = [row for row in rows(rt, Box) if row.period_id in {one.id for one in periods}]
    assert [row.subscription_id for row in boxes] == [second.id]
    assert only(rt, DunningCase).state == "recovered"
    assert_sound(rt)


def recover(rt: Runtime, gateway: DemoGateway) -> None:
    """Let the bank accept the stored card from now on."""
    table = PaymentMethod.__table__
    token = rt.session.execute(sa.select(table.c.token)).scalar_one()
    rt.session.rollback()
    gateway.bank.script(token, [OK] * 5)


def test_pausing_one_credits_its_lines_and_leaves_the_rest_owed(rt: Runtime, declined: int):
    rt.session.execute(sa.update(Plan).values(pause_unpaid="credit"))
    rt.session.commit()
    first, _second = subscriptions(rt)
    assert first.customer_id is not None
    quote = quote_pause(rt, first.customer_id, first.public_id)
    assert quote.unpaid is not None
    assert quote.unpaid.minor == 2600

    pause(rt, first.customer_id, first.public_id, None)

    assert states(rt) == [SubscriptionState.PAUSED, SubscriptionState.PAST_DUE]
    assert invoice(rt, declined).due_minor == 1907
    assert_sound(rt)


def test_when_both_leave_nothing_is_owed(rt: Runtime, declined: int):
    for one in subscriptions(rt):
        assert one.customer_id is not None
        cancel(rt, one.customer_id, one.public_id)

    assert invoice(rt, declined).state == InvoiceState.VOID
    assert [note.total_minor for note in rows(rt, CreditNote)] == [2600, 1907]
    assert sum(row.gross_minor for row in rows(rt, CreditNoteLine)) == 4507
    assert only(rt, DunningCase).state == "closed"
    assert_sound(rt)


def test_who_leaves_before_the_charge_went_off_is_not_charged(
    rt: Runtime, owed: int, demo_gateway: DemoGateway
):
    first, _ = subscriptions(rt)
    assert first.customer_id is not None
    cancel(rt, first.customer_id, first.public_id)
    recover(rt, demo_gateway)

    charges.send_planned(rt)

    tried = [(row.amount_minor, row.state) for row in rows(rt, ChargeAttempt)][1:]
    assert tried == [(4507, AttemptState.ABANDONED), (1907, AttemptState.SUCCEEDED)]
    assert invoice(rt, owed).state == InvoiceState.PAID
    assert_sound(rt)


def test_a_charge_on_its_way_pays_the_rest_and_gives_the_surplus_back(
    rt: Runtime, declined: int, clock: FrozenClock, demo_gateway: DemoGateway
):
    """Somebody leaves while the bank is deciding about the whole sum."""
    first, _ = subscriptions(rt)
    assert first.customer_id is not None
    table = PaymentMethod.__table__
    token = rt.session.execute(sa.select(table.c.token)).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [PENDING])
    clock.advance(days=3)
    chase_due(rt)
    cancel(rt, first.customer_id, first.public_id)
    assert invoice(rt, declined).due_minor == 1907

    attempt = rows(rt, ChargeAttempt)[-1]
    assert attempt.state == AttemptState.PENDING
    demo_gateway.bank.settle(attempt.public_id, OK)
    charges.look_up(rt, attempt.id)

    attempt = rows(rt, ChargeAttempt)[-1]
    assert (attempt.settles, attempt.refunded_minor) == (True, 2600)
    assert invoice(rt, declined).paid_minor == 1907
    assert states(rt) == [SubscriptionState.CANCELED, SubscriptionState.ACTIVE]
    assert_sound(rt)


def test_voiding_the_invoice_lets_all_go_on(rt: Runtime, declined: int):
    void(rt, make_staff(rt), invoice(rt, declined).public_id, Then.GO_ON)

    assert invoice(rt, declined).state == InvoiceState.VOID
    assert states(rt) == [SubscriptionState.ACTIVE] * 2
    assert_sound(rt)


def test_one_plan_that_holds_keeps_all_boxes_back(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    ships = make.make_plan(rt, code="ships", past_due_shipping="ship")
    holds = make.make_plan(rt, code="holds", past_due_shipping="hold")
    bought(rt, demo_gateway, ships, holds, card="0341")
    clock.advance(days=32)
    run_renewals(rt)
    clock.advance(days=9)
    renew_together(rt)
    charges.send_planned(rt)

    assert count(rt, Box) == 2
    assert_sound(rt)


def test_while_one_is_held_the_chase_waits(rt: Runtime, declined: int, clock: FrozenClock):
    held = subscriptions(rt)[1]
    rt.session.execute(
        sa.update(Subscription).where(Subscription.id == held.id).values(held_at=rt.now())
    )
    rt.session.commit()
    clock.advance(days=3)

    assert chase_due(rt).retried == 0


@pytest.fixture
def two(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, clock: FrozenClock
) -> list[Subscription]:
    """Two subscriptions whose next period begins today."""
    found = bought(rt, demo_gateway, tea, pot, card="0341")
    clock.advance(days=32)
    run_renewals(rt)
    clock.advance(days=9)
    return found


@pytest.mark.parametrize(
    ("credit", "applied", "due", "balance"),
    [
        # 26.00 leave 45.07: what is left to pay is less by exactly that.
        (1000, 1000, 907, 0),
        # The credit is more than the rest owes: it all goes back to its owner.
        (3000, 0, 1907, 3000),
    ],
)
def test_credit_on_the_invoice_stays_for_the_rest_or_goes_back(
    rt: Runtime, two: list[Subscription], credit: int, applied: int, due: int, balance: int
):
    key = renew_together(rt, credit=credit)
    charges.send_planned(rt)
    assert two[0].customer_id is not None
    cancel(rt, two[0].customer_id, two[0].public_id)

    owing = invoice(rt, key)
    assert (owing.applied_minor, owing.due_minor, owing.credited_minor) == (applied, due, 2600)
    left = rt.session.scalar(sa.select(CustomerCredit.balance_minor))
    assert left == balance
    assert_sound(rt)


def test_only_the_uses_of_who_leaves_come_back_and_each_once(rt: Runtime, two: list[Subscription]):
    coupon = make.make_code(rt, "SPRING", duration="cycles", duration_cycles=5, max_uses=9)
    # Others use it too, so that a use too many given back would show.
    rt.session.execute(sa.update(Coupon).values(used=3))
    moment, seen = rt.moment(), {}
    for one in two:
        found = code_of(rt.session, rt.session.scalars(sa.select(PromotionCode.id)).one())
        assert found is not None
        assert one.customer_id is not None
        seen[one.id] = attach(rt.session, one.id, found, 5, 0), found, one.customer_id
    rt.session.commit()
    key = renew_together(rt)
    lowered = [
        Lowered(discount, _WithHold(found), Use(sub, payer, key), 100, counts=True)
        for sub, (discount, found, payer) in seen.items()
    ]
    redeem_cycle(rt.session, lowered, moment.now)
    rt.session.commit()
    charges.send_planned(rt)

    assert two[0].customer_id is not None
    cancel(rt, two[0].customer_id, two[0].public_id)

    back = [row.given_back_at is not None for row in rows(rt, Redemption)]
    assert back == [True, False]
    assert [row.cycles_left for row in rows(rt, SubscriptionDiscount)] == [5, 4]
    assert next(row.used for row in rows(rt, Coupon) if row.id == coupon.id) == 4
    assert_sound(rt)

    assert two[1].customer_id is not None
    cancel(rt, two[1].customer_id, two[1].public_id)

    assert invoice(rt, key).state == InvoiceState.VOID
    assert all(row.given_back_at is not None for row in rows(rt, Redemption))
    assert [row.cycles_left for row in rows(rt, SubscriptionDiscount)] == [5, 5]
    assert next(row.used for row in rows(rt, Coupon) if row.id == coupon.id) == 3
    assert_sound(rt)


@dataclass(frozen=True)
class _WithHold:
    """A discount as a renewal has it, with no use held for it."""

    found: TypedCode
    holds_use: bool = False

    @property
    def coupon_id(self) -> int:
        return self.found.coupon_id

    @property
    def promotion_code_id(self) -> int | None:
        return self.found.promotion_code_id
