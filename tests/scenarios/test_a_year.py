"""A year of one monthly subscription that began on a 31st, and everything that befell it."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.models import BoxCycle, PaymentMethod
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import NO_MONEY
from storefront_demo_gateway.gateway import DemoGateway
from tests.scenarios._diary import Diary


@pytest.fixture
def clock() -> FrozenClock:
    """Sunday 31 January 2027, ten in the morning in Berlin."""
    return FrozenClock(datetime(2027, 1, 31, 9, 0, tzinfo=UTC))


@pytest.fixture
def diary(rt: Runtime, clock: FrozenClock) -> Diary:
    """Ada subscribes to a box that is packed every Monday and leaves on Tuesdays.

    What is to be packed on a Monday may be changed until the Saturday before it.
    """
    weekly = make.make_group(
        rt,
        unit="week",
        charge_day=None,
        anchor_on=date(2027, 1, 4),
        cutoff_days=2,
        lock_days=0,
        ship_days=1,
        cycles=60,
    )
    plan = make.make_plan(rt, group=weekly)
    make.make_recipe(rt, plan)
    return Diary(rt, clock, make.make_subscription(rt, plan=plan))


@pytest.mark.slow
def test_a_year_of_one_monthly_subscription(
    rt: Runtime, diary: Diary, demo_gateway: DemoGateway
) -> None:
    bank = demo_gateway.bank

    # 31 January. Ada pays at once; Monday's box is packed without her, she gets the next.
    assert diary.now().state is SubscriptionState.ACTIVE
    assert diary.now().anchor_day == 31
    assert diary.invoices == [(1, date(2027, 1, 31), 2600, "paid")]
    assert diary.boxes == [(date(2027, 2, 9), "planned")]
    assert diary.movements == [(date(2027, 1, 31), "new", 2185)]

    # February has no 31st: she is charged on its last day, and not a day before.
    diary.live_until(date(2027, 2, 27))
    assert bank.executed_count() == 1
    assert diary.boxes == [(date(2027, 2, 9), "exported")]
    diary.live_until(date(2027, 2, 28))
    assert diary.invoices[-1] == (2, date(2027, 2, 28), 2600, "paid")
    assert diary.boxes[-1] == (date(2027, 3, 2), "planned")

    # In March it is the 31st again: the day is kept, it does not drift to the 28th.
    diary.live_until(date(2027, 3, 30))
    assert bank.executed_count() == 2
    diary.live_until(date(2027, 3, 31))
    assert diary.invoices[-1] == (3, date(2027, 3, 31), 2600, "paid")
    assert diary.mails == ["order_confirmed", "receipt", "receipt"]

    # On 30 April her card has no money. She keeps her subscription; no box is packed.
    bank.script(her_card(rt), [NO_MONEY])
    diary.live_until(date(2027, 4, 30))
    assert diary.now().state is SubscriptionState.PAST_DUE
    assert diary.invoices[-1] == (4, date(2027, 4, 30), 2600, "open")
    assert len(diary.boxes) == 3
    assert diary.mails[-1] == "payment_failed"
    assert diary.balances["receivable"] == 2600
    diary.live_until(date(2027, 5, 2))
    assert bank.executed_count() == 3

    # Three days later it is tried again, and works: the same invoice, and the next box.
    diary.live_until(date(2027, 5, 3))
    assert diary.now().state is SubscriptionState.ACTIVE
    assert diary.invoices[-1] == (4, date(2027, 4, 30), 2600, "paid")
    assert diary.boxes[-1] == (date(2027, 5, 4), "planned")
    assert diary.mails[-1] == "receipt"
    assert "receivable" not in diary.balances

    # Paying late moves nothing: May ends on the 31st, June on the 30th.
    diary.live_until(date(2027, 6, 30))
    assert [day for _, day, _, _ in diary.invoices[-2:]] == [date(2027, 5, 31), date(2027, 6, 30)]
    assert bank.executed_count() == 6

    # In July she skips the box that the payment of the 31st would have paid for.
    diary.live_until(date(2027, 7, 20))
    change = skip(diary, date(2027, 8, 3))
    assert change.charge_on == date(2027, 7, 31)
    diary.live_until(date(2027, 8, 30))
    assert diary.periods[-1] == ("skipped: skip", date(2027, 7, 31), date(2027, 8, 31))
    assert bank.executed_count() == 6
    assert diary.boxes[-1] == (date(2027, 7, 6), "exported")
    assert diary.now().state is SubscriptionState.ACTIVE

    # Then it goes on where it would have been without the skip.
    diary.live_until(date(2027, 10, 31))
    assert [day for _, day, _, _ in diary.invoices[-3:]] == [
        date(2027, 8, 31),
        date(2027, 9, 30),
        date(2027, 10, 31),
    ]

    # On 10 November she cancels. What is paid stays hers: the subscription runs to the 30th.
    diary.live_until(date(2027, 11, 10))
    ending = cancel(rt, diary.now().customer_id or 0, diary.subscription.public_id)
    assert (ending.ends_on, ending.at_once) == (date(2027, 11, 30), False)
    diary.live_until(date(2027, 11, 29))
    assert diary.now().state is SubscriptionState.ACTIVE
    assert diary.mails[-1] == "cancel_confirmed"
    diary.live_until(date(2027, 11, 30))
    ended = diary.now()
    assert (ended.state, ended.end_reason) == (SubscriptionState.CANCELED, EndReason.VOLUNTARY)
    assert (ended.ended_on, ended.renews_at) == (date(2027, 11, 30), None)
    assert diary.mails[-1] == "ended"

    # And nothing comes after.
    diary.live_until(date(2027, 12, 31))
    assert bank.executed_count() == 9
    assert bank.double_charges() == []

    # So this was her year: nine payments, nine boxes, one month skipped, no day left out.
    days = [date(2027, month, day) for month, day in BOUNDARIES]
    kinds = ["billed"] * 6 + ["skipped: skip"] + ["billed"] * 3
    assert diary.periods == list(zip(kinds, days, days[1:], strict=False))
    charged = [day for kind, day in zip(kinds, days, strict=False) if kind == "billed"]
    assert diary.invoices == [(n, day, 2600, "paid") for n, day in enumerate(charged, 1)]
    assert diary.boxes == [(date(2027, *day), "exported") for day in SHIPPED]
    assert diary.mails == [
        "order_confirmed", "receipt", "receipt", "payment_failed", *["receipt"] * 6,
        "cancel_confirmed", "ended",
    ]  # fmt: skip
    # 26.00 a month are 21.85 without the tax, on the first day and back on the last.
    assert diary.movements == [
        (date(2027, 1, 31), "new", 2185),
        (date(2027, 11, 30), "churn", -2185),
    ]
    # 234.00 came in: 37.35 of it is tax, the rest is earned when somebody says it was shipped.
    assert diary.balances == {
        "clearing:demo": 23400,
        "tax_payable": -3735,
        "deferred_revenue": -19665,
    }


#: Month and day of every boundary, from the day of the order to the end.
BOUNDARIES = (
    (1, 31), (2, 28), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30), (10, 31),
    (11, 30),
)  # fmt: skip
#: The Tuesdays on which her boxes left: the first after each payment.
SHIPPED = ((2, 9), (3, 2), (4, 6), (5, 4), (6, 1), (7, 6), (9, 7), (10, 5), (11, 2))


def her_card(rt: Runtime) -> str:
    """Return the bank's name for the one card of the shop."""
    token = rt.session.scalars(sa.select(PaymentMethod.token)).one()
    rt.session.rollback()
    return token


def skip(diary: Diary, ship_on: date):  # type: ignore[no-untyped-def]
    """Skip the box that leaves on ``ship_on``."""
    rt = diary.rt
    cycle = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.ship_from == ship_on))
    public = cycle.one()
    rt.session.rollback()
    return skip_box(rt, diary.now().customer_id or 0, diary.subscription.public_id, public)
