"""Plans that are charged on the 12th and leave on the 18th, whoever orders when."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.lifecycle import SubscriptionState
from storefront.models import BoxCycle, Plan, Subscription
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.scenarios._diary import Diary
from tests.support.orders import begin, paid


def subscribe(rt: Runtime, clock: FrozenClock, gateway: DemoGateway, plan: Plan) -> Diary:
    """Let Ada order ``plan`` today, choose a good card on the bank's page and come back."""
    assert paid(rt, gateway, begin(rt, plan)) is Outcome.DONE
    subscription = rt.session.scalars(sa.select(Subscription)).one()
    rt.session.expunge(subscription)
    rt.session.rollback()
    return Diary(rt, clock, subscription)


@pytest.mark.slow
def test_who_orders_after_the_cut_off_does_not_pay_again_before_the_first_box(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    # 13 March: the cut-off for March was on the 11th, its payments were taken yesterday.
    clock.set(datetime(2027, 3, 13, 9, 0, tzinfo=UTC))
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    ada = subscribe(rt, clock, demo_gateway, plan)

    # She pays today and gets April's box. The 18th is a Sunday, so it leaves on the 19th.
    assert ada.invoices == [(1, date(2027, 3, 13), 2600, "paid")]
    assert ada.boxes == [(date(2027, 4, 19), "planned")]
    assert ada.now().anchor_on == date(2027, 5, 12)

    # The others are charged on 12 April. She is not: her box has not left yet.
    ada.live_until(date(2027, 4, 12))
    assert demo_gateway.bank.executed_count() == 1

    # The month she paid for is over on the 13th; the days until the next 12th are given.
    ada.live_until(date(2027, 4, 18))
    assert ada.periods == [
        ("billed", date(2027, 3, 13), date(2027, 4, 13)),
        ("free", date(2027, 4, 13), date(2027, 5, 12)),
    ]
    assert ada.boxes == [(date(2027, 4, 19), "exported")]

    # So the second payment comes when the first box has long arrived, and brings May's.
    ada.live_until(date(2027, 5, 11))
    assert demo_gateway.bank.executed_count() == 1
    ada.live_until(date(2027, 5, 12))
    assert ada.invoices[1:] == [(2, date(2027, 5, 12), 2600, "paid")]
    assert ada.invoices[1][1] > ada.boxes[0][0]
    assert ada.boxes[1:] == [(date(2027, 5, 18), "planned")]
    assert ada.periods[-1] == ("billed", date(2027, 5, 12), date(2027, 6, 12))
    assert ada.mails == ["order_confirmed", "receipt"]


@pytest.mark.slow
def test_a_skip_inside_three_prepaid_months_moves_the_box_and_the_next_payment(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    # 2 March: three months at once, three boxes.
    plan = make.make_plan(rt, amount_minor=7410, count=3)
    make.make_recipe(rt, plan)
    ada = subscribe(rt, clock, demo_gateway, plan)
    assert ada.invoices == [(1, date(2027, 3, 2), 7410, "paid")]
    march, april, may = date(2027, 3, 18), date(2027, 4, 19), date(2027, 5, 18)
    assert [day for day, _ in ada.boxes] == [march, april, may]
    assert ada.now().anchor_on == date(2027, 6, 12)

    # On 1 April she will be away. The box is paid, so it is not lost: it goes behind the last.
    ada.live_until(date(2027, 4, 1))
    change = skip_box(
        rt, ada.now().customer_id or 0, ada.subscription.public_id, cycle_of(rt, "2027-04")
    )
    june = date(2027, 6, 18)
    assert (change.moved, change.moved_to_on, change.charge_on) == (True, june, None)
    ada.live_until(date(2027, 5, 20))
    assert ada.boxes == [(march, "exported"), (may, "exported"), (june, "planned")]

    # June's box is the one that moved there: on 12 June there is nothing to pay for.
    ada.live_until(date(2027, 6, 12))
    assert demo_gateway.bank.executed_count() == 1
    assert ada.periods == [
        ("billed", date(2027, 3, 2), date(2027, 6, 2)),
        ("free", date(2027, 6, 2), date(2027, 6, 12)),
        ("skipped: moved_box", date(2027, 6, 12), date(2027, 7, 12)),
    ]
    ada.live_until(date(2027, 7, 11))
    assert demo_gateway.bank.executed_count() == 1
    assert ada.boxes[-1] == (june, "exported")

    # One month later than it would have been she pays for the next three.
    ada.live_until(date(2027, 7, 12))
    assert ada.invoices[1:] == [(2, date(2027, 7, 12), 7410, "paid")]
    assert ada.periods[-1] == ("billed", date(2027, 7, 12), date(2027, 10, 12))
    assert [day for day, _ in ada.boxes[3:]] == [
        date(2027, 7, 19),
        date(2027, 8, 18),
        date(2027, 9, 18),
    ]
    assert ada.now().state is SubscriptionState.ACTIVE
    assert demo_gateway.bank.executed_total("EUR") == 2 * 7410
    assert demo_gateway.bank.double_charges() == []


def cycle_of(rt: Runtime, key: str) -> str:
    """Return the public id of the cycle of a month."""
    public = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == key)).one()
    rt.session.rollback()
    return public
