"""Every kind of coupon through the checkout and the renewals that follow, and who gets a use."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.coupons import Refusal
from storefront.models import (
    ChargeAttempt,
    Coupon,
    Invoice,
    Plan,
    PromotionCode,
    Redemption,
    SubscriptionDiscount,
)
from storefront.operations.audit import Who
from storefront.operations.checkout import Market, Order, find_checkout, read_order
from storefront.queries import codes as code_query
from storefront.queries.account import subscription as account_view
from storefront.runtime import Runtime
from storefront.services import codes, promotions
from storefront.services.checkout import Step
from storefront.services.codes import BatchDraft
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome
from storefront.services.promotions import CouponDraft
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import begin, count, in_parallel, only, order, paid, quote_hash


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


@pytest.fixture
def shipping(rt: Runtime) -> None:
    make.make_zone(rt)


def automatic(rt: Runtime, who: Who, **values: object) -> str:
    defaults: dict[str, object] = {"name": "Spring", "is_automatic": True, "percent_bp": 1000}
    return promotions.add_coupon(rt, who, CouponDraft("", **{**defaults, **values}))  # type: ignore[arg-type]


def shown(rt: Runtime, key: str) -> Order:
    row = find_checkout(rt.session, key)
    assert row is not None
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return found


def totals(rt: Runtime) -> list[int]:
    table = Invoice.__table__
    rows = rt.session.scalars(
        sa.select(table.c.total_minor).where(table.c.number.is_not(None)).order_by(table.c.id)
    ).all()
    rt.session.rollback()
    return list(rows)


def next_amount(rt: Runtime) -> int:
    row = rt.session.execute(sa.text("SELECT customer_id, public_id FROM subscription")).one()
    view = account_view(rt.session, row.customer_id, row.public_id, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    assert view is not None
    assert view.next_amount is not None
    return view.next_amount.minor


KINDS = [
    ({"kind": "free_shipping", "percent_bp": 0, "duration": "forever"}, [2600, 2600, 2600]),
    ({"kind": "free_first_box", "percent_bp": 0}, [490, 3090, 3090]),
    (
        {"kind": "first_box_price", "percent_bp": 0, "amount_minor": 500, "currency": "EUR"},
        [990, 3090, 3090],
    ),
    ({"percent_bp": 1000}, [2830, 3090, 3090]),
    ({"percent_bp": 1000, "duration": "cycles", "duration_cycles": 2}, [2830, 2830, 3090]),
    ({"percent_bp": 10000, "duration": "forever"}, [490, 490, 490]),
    ({"percent_bp": 5000, "duration": "once", "applies_to": "fee"}, [3090, 3090, 3090]),
]


@pytest.mark.usefixtures("shipping")
@pytest.mark.parametrize(("values", "expected"), KINDS)
def test_what_is_charged_is_what_was_shown(
    rt: Runtime,
    plan: Plan,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    values: dict[str, object],
    expected: list[int],
) -> None:
    make.make_code(rt, "LEMON", **values)
    key = begin(rt, plan)
    assert use_code(rt, key, "LEMON").refused is None
    quote = shown(rt, key).first.quote
    assert quote is not None
    assert quote.due_today.minor == expected[0]
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert next_amount(rt) == expected[1] == quote.charges[0].amount.minor
    _renew(rt, clock)
    assert next_amount(rt) == expected[2]
    _renew(rt, clock)
    assert totals(rt) == expected
    assert demo_gateway.bank.executed_total("EUR") == sum(expected)


def _renew(rt: Runtime, clock: FrozenClock) -> None:
    on = rt.session.scalars(
        sa.text(
            "SELECT CASE WHEN anchor_on > next_on THEN anchor_on ELSE next_on END FROM subscription"
        )
    ).one()
    rt.session.rollback()
    day = on if isinstance(on, date) else date.fromisoformat(on)
    clock.advance(days=(day - rt.today()).days)
    run_renewals(rt)


def test_a_code_that_lowers_nothing_takes_no_use_until_it_does(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    make.make_code(rt, "SENT", kind="free_shipping", percent_bp=0, duration="forever", max_uses=1)
    key = begin(rt, plan)
    use_code(rt, key, "SENT")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert (only(rt, Coupon).used, count(rt, Redemption)) == (0, 0)

    make.make_zone(rt, "DE")
    _renew(rt, clock)

    assert totals(rt) == [2600, 2600]
    assert (only(rt, Coupon).used, only(rt, Redemption).counts) == (1, True)


def test_what_lost_its_last_use_to_another_lowers_nothing(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    make.make_code(rt, "SENT", kind="free_shipping", percent_bp=0, duration="forever", max_uses=1)
    key = begin(rt, plan)
    use_code(rt, key, "SENT")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    make.make_zone(rt, "DE")
    rt.session.execute(sa.update(Coupon).values(used=1))
    rt.session.commit()

    _renew(rt, clock)

    assert totals(rt) == [2600, 3090]
    assert only(rt, Coupon).used == 1


def test_an_automatic_discount_needs_no_code(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    automatic(rt, who, duration="cycles", cycles=2)
    key = begin(rt, plan)
    quote = shown(rt, key).first.quote
    assert quote is not None
    assert quote.first.quote.lines[1].text == "Spring"
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    _renew(rt, clock)
    _renew(rt, clock)
    assert totals(rt) == [2340, 2340, 2600]
    assert only(rt, Coupon).used == 1


def test_an_automatic_discount_that_is_off_is_given_to_nobody(
    rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway
) -> None:
    ref = automatic(rt, who)
    promotions.archive_coupon(rt, who, ref)
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    assert totals(rt) == [2600]
    assert count(rt, SubscriptionDiscount) == 0


def test_loyalty_lowers_from_the_third_payment_also_who_runs_already(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    automatic(rt, who, name="Loyal", from_billed=3, duration="forever")
    _renew(rt, clock)
    assert next_amount(rt) == 2340
    _renew(rt, clock)
    _renew(rt, clock)
    assert totals(rt) == [2600, 2600, 2340, 2340]


def test_loyalty_is_promised_at_checkout(rt: Runtime, plan: Plan, who: Who) -> None:
    automatic(rt, who, name="Loyal", from_billed=3, duration="forever")
    quote = shown(rt, begin(rt, plan)).first.quote
    assert quote is not None
    assert [charge.amount.minor for charge in quote.charges] == [2600, 2340]


def test_loyalty_for_another_plan_lowers_nothing(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    automatic(rt, who, name="Loyal", from_billed=2, duration="forever", plans=("cup",))
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    _renew(rt, clock)
    assert totals(rt) == [2600, 2600]


def test_code_and_automatic_discount_work_together_in_order(
    rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway
) -> None:
    automatic(rt, who, priority=50)
    make.make_code(rt, "FIVE", percent=None, amount_minor=500)
    key = begin(rt, plan)
    use_code(rt, key, "FIVE")
    quote = shown(rt, key).first.quote
    assert quote is not None
    texts = [(line.text, line.amount.minor) for line in quote.first.quote.lines[1:]]
    assert texts == [("Spring (1/2)", -260), ("FIVE (2/2)", -500)]
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert count(rt, Redemption) == 2
    assert count(rt, Coupon, Coupon.used == 1) == 2


def test_the_better_of_two_that_do_not_combine_is_taken_and_the_other_keeps_its_use(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    automatic(rt, who, duration="forever")
    make.make_code(rt, "FIFTH", percent=20, combines=False, max_uses=1)
    key = begin(rt, plan)
    use_code(rt, key, "FIFTH")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert count(rt, Coupon, Coupon.used == 1) == 1
    _renew(rt, clock)
    assert totals(rt) == [2080, 2340]


def test_a_once_code_that_loses_is_not_spent_on_the_second_payment(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    automatic(rt, who, percent_bp=3000, combines=False)
    make.make_code(rt, "TENTH")
    key = begin(rt, plan)
    use_code(rt, key, "TENTH")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    _renew(rt, clock)
    assert totals(rt) == [1820, 2600]
    assert count(rt, Coupon, Coupon.used == 1) == 1


def test_a_full_discount_for_three_boxes(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    """A card is asked for, three boxes cost nothing, the fourth costs the full price."""
    make.make_code(rt, "THREE", percent=100, duration="cycles", cycles=3, max_uses=1)
    key = begin(rt, plan)
    use_code(rt, key, "THREE")
    quote = shown(rt, key).first.quote
    assert quote is not None
    assert [charge.amount.minor for charge in quote.charges] == [0, 2600]
    placed = order(rt, key)
    assert placed.step is Step.PAY
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    _renew(rt, clock)
    _renew(rt, clock)
    assert count(rt, ChargeAttempt) == 0
    assert demo_gateway.bank.executed_count() == 0
    assert next_amount(rt) == 2600
    _renew(rt, clock)
    assert totals(rt) == [0, 0, 0, 2600]
    assert demo_gateway.bank.executed_total("EUR") == 2600
    assert only(rt, Coupon).used == 1
    assert count(rt, Redemption) == 3
    paid_states = rt.session.scalars(sa.select(Invoice.__table__.c.state)).all()
    rt.session.rollback()
    assert set(paid_states) == {"paid"}


def test_a_batch_makes_that_many_codes_once(rt: Runtime, who: Who) -> None:
    ref = campaign(rt, who)
    assert codes.make_codes(rt, who, ref, BatchDraft("Flyer", 60, "tea")) == 60
    assert codes.make_codes(rt, who, ref, BatchDraft("Flyer", 60, "tea")) == 0
    assert codes.make_codes(rt, who, ref, BatchDraft("Flyer", 70, "tea")) == 10
    rows = rt.session.scalars(sa.select(PromotionCode.__table__.c.code)).all()
    rt.session.rollback()
    assert len(set(rows)) == 70
    assert all(code.startswith("TEA-") and len(code) == 17 for code in rows)


def campaign(rt: Runtime, who: Who, **values: object) -> str:
    draft = CouponDraft("", "Flyer", percent_bp=1000, has_unique_codes=True, **values)  # type: ignore[arg-type]
    return promotions.add_coupon(rt, who, draft)


@pytest.mark.parametrize(
    "draft",
    [
        BatchDraft("", 10),
        BatchDraft("x", 0),
        BatchDraft("x", 100_001),
        BatchDraft("x", 10, "P" * 40),
        BatchDraft("x" * 41, 10),
        BatchDraft("x", 10, "=CMD"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(rt: Runtime, who: Who, draft: BatchDraft) -> None:
    with pytest.raises(codes.BadBatch):
        codes.make_codes(rt, who, campaign(rt, who), draft)
    assert count(rt, PromotionCode) == 0


def test_a_unique_code_is_good_for_one_order(
    rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway
) -> None:
    ref = campaign(rt, who)
    codes.make_codes(rt, who, ref, BatchDraft("Flyer", 2))
    code = a_code(rt)
    first, second = begin(rt, plan), begin(rt, plan, email="eve@example.org")
    assert use_code(rt, first, code).refused is None
    assert use_code(rt, second, code).refused is None
    assert paid(rt, demo_gateway, first) is Outcome.DONE
    assert use_code(rt, second, code).refused is Refusal.USED_UP
    assert totals(rt) == [2340]

    (batch,) = code_query.batches(rt.session, only(rt, Coupon).id)
    assert (batch.count, batch.used, batch.taken_minor) == (2, 1, 260)
    lines = "".join(code_query.code_file(rt.session, only(rt, Coupon).id, "Flyer")).splitlines()
    rt.session.rollback()
    assert len(lines) == 3
    used = next(line for line in lines if line.startswith(code))
    assert ",used,2027-03-02T09:00:00+00:00,cus_" in used
    assert ",2.60,EUR,inv_" in used


def a_code(rt: Runtime) -> str:
    code = rt.session.scalars(
        sa.select(PromotionCode.__table__.c.code).order_by(PromotionCode.__table__.c.id).limit(1)
    ).one()
    rt.session.rollback()
    return str(code)


def test_a_batch_taken_out_of_use_is_refused_and_comes_back(
    rt: Runtime, plan: Plan, who: Who
) -> None:
    ref = campaign(rt, who)
    codes.make_codes(rt, who, ref, BatchDraft("Flyer", 3))
    key, code = begin(rt, plan), a_code(rt)
    assert codes.switch_batch(rt, who, ref, "Flyer", on=False) == 3
    assert use_code(rt, key, code).refused is Refusal.UNKNOWN
    assert codes.switch_batch(rt, who, ref, "Flyer", on=True) == 3
    assert use_code(rt, key, code).refused is None
    with pytest.raises(codes.UnknownBatch):
        codes.switch_batch(rt, who, ref, "Other", on=False)


def test_one_of_fifty_gets_the_last_use_of_a_unique_code(
    app: Flask, rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway
) -> None:
    ref = campaign(rt, who, max_uses=10)
    codes.make_codes(rt, who, ref, BatchDraft("Flyer", 1))
    code = a_code(rt)
    keys = [begin(rt, plan, email=f"shopper{n}@example.org") for n in range(50)]
    for key in keys:
        assert use_code(rt, key, code).refused is None
    agreed = {key: quote_hash(rt, key) for key in keys}
    placed = in_parallel(app, 50, lambda own, n: order(own, keys[n], agreed[keys[n]]))
    steps = sorted(one.step for one in placed)
    assert steps == [Step.CHANGED] * 49 + [Step.PAY]
    assert (only(rt, Coupon).used, only(rt, PromotionCode).used) == (1, 1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "fixed", "percent_bp": 0}, "amount"),
        ({"percent_bp": 0}, "percent"),
        ({"kind": "free_shipping", "applies_to": "fee"}, "fee"),
        ({"kind": "free_first_box", "duration": "forever"}, "once"),
        ({"kind": "free_first_box", "from_billed": 2}, "first"),
        ({"is_automatic": True, "name": ""}, "name"),
        ({"is_automatic": True, "from_billed": 3, "first_time_only": True}, "loyalty"),
        ({"is_automatic": True, "from_billed": 3, "max_per_customer": 1}, "loyalty"),
        ({"from_billed": 0}, "billed"),
    ],
)
def test_a_coupon_that_contradicts_itself_is_refused(
    rt: Runtime, who: Who, values: dict[str, object], reason: str
) -> None:
    draft = {"code": "LEMON", "name": "x", "percent_bp": 1000, **values}
    with pytest.raises(promotions.ImpossibleCoupon) as error:
        promotions.add_coupon(rt, who, CouponDraft(**draft))  # type: ignore[arg-type]
    assert error.value.params["reason"] == reason
    assert count(rt, Coupon) == 0
