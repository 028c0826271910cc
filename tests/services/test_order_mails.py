"""What the mail about a new order says of its money and its first box."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storefront.jobs.work import PLAN_CYCLES
from storefront.mails import compose
from storefront.models import OutboxMessage
from storefront.queries.checkout import confirmation
from storefront.runtime import Runtime
from storefront.services.checkout import change_delivery
from storefront.services.outbox import Delivery
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.asking import run_asked
from tests.support.orders import ADA, begin, paid
from tests.support.withdrawal import mark_products


def mail_of(rt: Runtime) -> str:
    row = rt.session.query(OutboxMessage).filter_by(topic="order_confirmed").one()
    delivery = Delivery(**{name: getattr(row, name) for name in Delivery.__dataclass_fields__})
    mail = compose(rt, delivery)
    assert mail is not None
    return f"{mail.subject}\n{mail.text}"


def test_who_pays_later_reads_when_and_the_days_of_the_first_box(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, make.make_plan(rt, first_period="free"))
    paid(rt, demo_gateway, key)

    text = mail_of(rt)

    assert "Nothing is charged today." in text
    assert "€0.00" not in text
    assert "€26.00 on Fri 12 March" in text
    assert "Your first box leaves on Thu 18 March" in text
    assert "Thu 11 March, 23:59, Berlin time" in text
    [box] = getattr(confirmation(rt.session, key), "boxes", [])
    assert (str(box.ships_on), str(box.cutoff_on)) == ("2027-03-18", "2027-03-11")


def test_who_gets_a_box_at_once_reads_that_it_cannot_be_changed_any_more(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, first_box="now")
    clock.set(datetime(2027, 3, 24, 9, 0, tzinfo=UTC))
    assert run_asked(rt, PLAN_CYCLES)
    paid(rt, demo_gateway, begin(rt, plan))

    text = mail_of(rt)

    assert "Your first box leaves on Thu 25 March" in text
    assert "It cannot be changed or skipped any more." in text
    assert "€26.00 on Mon 12 April" in text


def test_who_tries_reads_the_day_that_the_order_was_shown(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, make.make_plan(rt, trial_days=14))
    paid(rt, demo_gateway, key)

    text = mail_of(rt)

    [box] = getattr(confirmation(rt.session, key), "boxes", [])
    assert "Nothing is charged today." in text
    assert "€26.00 on Mon 12 April" in text
    assert str(box.ships_on) == "2027-04-19"
    assert "Your first box leaves on Mon 19 April" in text


def test_who_pays_at_once_reads_the_amount_and_until_when_the_box_can_change(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt)))

    text = mail_of(rt)

    assert "Paid €26.00." in text
    assert "Thu 11 March, 23:59, Berlin time" in text


def test_who_tries_reads_the_last_day_on_which_leaving_costs_nothing(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, trial_days=14)))

    assert "Cancel by Sun 11 April and you pay nothing." in mail_of(rt)


def test_who_waits_for_the_billing_day_is_told_of_no_trial(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, first_period="free")))

    assert "you pay nothing" not in mail_of(rt)


#: Seller, where it goes, whom it is billed to (country and region), and whether a law gives a
#: right to withdraw.
WITHDRAWALS = [
    ("DE", "DE", "", True),
    ("DE", "FR", "", True),
    ("DE", "GB", "", True),
    ("CH", "CH", "", False),
    ("CH", "CH", "DE", True),
    ("US", "US", "", False),
]


@pytest.mark.parametrize(("seller", "country", "billed", "may_withdraw"), WITHDRAWALS)
def test_the_right_to_withdraw_is_that_of_the_buyers_country(
    rt: Runtime,
    demo_gateway: DemoGateway,
    *,
    seller: str,
    country: str,
    billed: str,
    may_withdraw: bool,
) -> None:
    make.make_shop(rt, seller_country=seller, countries=[country])
    key = begin(rt, make.make_plan(rt))
    address = {**ADA, "country": country, "region": "CA" if country == "US" else ""}
    billing = {**ADA, "country": billed} if billed else None
    assert change_delivery(rt, key, "ada@example.org", address, billing=billing)
    paid(rt, demo_gateway, key)

    text = mail_of(rt)

    assert ("within 14 days of the first box's arrival" in text) is may_withdraw
    assert ("/contracts/withdraw" in text) is may_withdraw


def test_the_mail_says_what_of_the_shop_nobody_may_withdraw_from(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt)
    mark_products(rt, "perishable", "", "sealed", archived="personal")
    paid(rt, demo_gateway, begin(rt, plan))

    assert (
        "It does not hold for: sealed things that were opened, for health or hygiene and things"
        " that spoil quickly."
    ) in " ".join(mail_of(rt).split())


def test_who_orders_something_that_is_not_sent_has_the_days_from_the_order(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, ships=False)))

    text = mail_of(rt)

    assert "within 14 days of your order" in text
    assert "first box's arrival" not in text
