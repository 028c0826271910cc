"""Promotion codes: how they are kept, and that each is one code."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.coupons import normalise_code
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import Coupon, PromotionCode
from storefront.operations.audit import Who
from storefront.operations.coupons import find_code
from storefront.queries import coupons as query
from storefront.runtime import Runtime
from storefront.services import promotions
from storefront.services.promotions import CouponDraft
from storefront.testing import factories as make
from tests.support.admin import make_staff


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def add(rt: Runtime, who: Who, code: str, **values: object) -> str:
    return promotions.add_coupon(rt, who, CouponDraft(code, "", percent_bp=1000, **values))  # type: ignore[arg-type]


def found(rt: Runtime, ref: str) -> query.CouponRow:
    row = query.coupon(rt.session, ref, "EUR")
    rt.session.rollback()
    assert row is not None
    return row


def test_a_code_is_kept_in_its_normal_spelling(rt: Runtime, who: Who) -> None:
    ref = add(rt, who, "  spring – 10 ")
    assert found(rt, ref).code == "SPRING-10"
    assert find_code(rt.session, normalise_code("Spring-10")) is not None


@pytest.mark.parametrize("again", ["lemon", " LEMON ", "LEMОN"])
def test_the_same_code_in_another_spelling_is_refused(rt: Runtime, who: Who, again: str) -> None:
    add(rt, who, "Lemon")
    with pytest.raises(promotions.CodeExists):
        add(rt, who, again)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Coupon)) == 1


@pytest.mark.parametrize("nothing", ["", " – ", "?!", "X" * 60])
def test_a_code_needs_letters_or_digits_and_fits(rt: Runtime, who: Who, nothing: str) -> None:
    with pytest.raises(promotions.EmptyCode):
        add(rt, who, nothing)


def test_an_archived_code_is_not_accepted_until_it_is_restored(rt: Runtime, who: Who) -> None:
    ref = add(rt, who, "LEMON")
    assert promotions.archive_coupon(rt, who, ref)
    assert not promotions.archive_coupon(rt, who, ref)
    assert find_code(rt.session, "LEMON") is None
    rt.session.rollback()
    assert promotions.restore_coupon(rt, who, ref)
    assert find_code(rt.session, "LEMON") is not None


def test_limits_come_back_as_checkout_reads_them(rt: Runtime, who: Who) -> None:
    ref = add(
        rt,
        who,
        "LEMON",
        plans=("pot",),
        intervals=(Interval("month", 3),),
        countries=("DE",),
        ends_on=date(2027, 4, 1),
        max_uses=5,
    )
    typed = find_code(rt.session, "LEMON")
    assert typed is not None
    assert typed.rule == found(rt, ref).rule
    assert typed.rule.intervals == {Interval("month", 3)}


def test_what_a_trial_shows_is_what_the_price_function_says(rt: Runtime, who: Who) -> None:
    make.make_plan(rt, code="pot")
    ref = promotions.add_coupon(
        rt, who, CouponDraft("FIVE", "", amount=Money(500, "EUR"), duration="cycles", cycles=3)
    )
    row = found(rt, ref)
    (priced,) = query.priced_plans(rt.session, "EUR")
    tried = query.try_on(row.terms, row.rule, priced, "DE", rt.today())
    assert tried.first is not None
    assert tried.later is not None
    assert tried.first.quote.total == Money(2100, "EUR")
    assert tried.later.quote.total == Money(2600, "EUR")


def test_a_trial_says_why_a_code_does_not_fit(rt: Runtime, who: Who) -> None:
    make.make_plan(rt, code="pot")
    ref = add(rt, who, "LEMON", countries=("FR",))
    row = found(rt, ref)
    (priced,) = query.priced_plans(rt.session, "EUR")
    tried = query.try_on(row.terms, row.rule, priced, "DE", rt.today())
    assert tried.refused == "wrong_country"


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, "active"),
        ({"starts_on": date(2027, 3, 3)}, "waiting"),
        ({"starts_on": date(2027, 3, 2), "ends_on": date(2027, 3, 2)}, "active"),
        ({"ends_on": date(2027, 3, 1)}, "ended"),
    ],
)
def test_a_code_says_where_it_stands(
    rt: Runtime, who: Who, values: dict[str, object], state: str
) -> None:
    assert found(rt, add(rt, who, "LEMON", **values)).state(rt.today()) == state


def test_a_code_belongs_to_one_coupon(rt: Runtime, who: Who) -> None:
    add(rt, who, "LEMON")
    with pytest.raises(sa.exc.IntegrityError):
        rt.session.execute(
            sa.insert(PromotionCode).values(coupon_id=1, code="LEMON", created_at=rt.now())
        )
    rt.session.rollback()
