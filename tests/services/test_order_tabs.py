"""One order in two tabs: what is paid for is what that tab showed, or it is shown again."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.models import Address, Box, Plan, Subscription
from storefront.operations.checkout import change_checkout, find_checkout
from storefront.runtime import Runtime
from storefront.services.checkout import Step, change_delivery
from storefront.services.finishing import Outcome, finish_checkout
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import ADA, begin, choose, count, order, paid, quote_hash

_ELSEWHERE = {**ADA, "street": "Am Markt 1", "postcode": "07745"}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    """A plan with a question whose answers all cost nothing."""
    plan = make.make_plan(rt)
    make.make_options(
        rt, plan, code="caffeine", choices=[("usual", "Usual", 0), ("free", "Free", 0)]
    )
    return plan


def change(rt: Runtime, key: str, how: str) -> None:
    """Do in another tab what ``how`` says; none of it changes what is due."""
    if how == "address":
        assert change_delivery(rt, key, "ada@example.org", _ELSEWHERE)
    elif how == "e-mail":
        assert change_delivery(rt, key, "grace@example.org", ADA)
    else:
        row = find_checkout(rt.session, key, lock=True)
        assert row is not None
        change_checkout(rt.session, row, {"options": {"caffeine": "free"}})
        rt.session.commit()


@pytest.mark.parametrize("how", ["answer", "address", "e-mail"])
def test_an_order_changed_elsewhere_is_shown_again_before_the_card_is_asked_for(
    rt: Runtime, plan: Plan, how: str
) -> None:
    key = begin(rt, plan, options={"caffeine": "usual"})
    shown = quote_hash(rt, key)
    change(rt, key, how)
    assert order(rt, key, shown).step is Step.CHANGED


@pytest.mark.parametrize("how", ["answer", "address", "e-mail"])
def test_an_order_changed_while_the_card_is_typed_is_shown_again(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, how: str
) -> None:
    key = begin(rt, plan, options={"caffeine": "usual"})
    choose(demo_gateway, order(rt, key))
    change(rt, key, how)

    assert finish_checkout(rt, key).outcome is Outcome.CHANGED
    assert demo_gateway.bank.executed_count() == 0
    assert count(rt, Subscription) == 0


def test_what_is_agreed_to_again_is_what_comes(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan, options={"caffeine": "usual"})
    choose(demo_gateway, order(rt, key))
    change(rt, key, "answer")
    change(rt, key, "address")
    finish_checkout(rt, key)

    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1
    assert rt.session.scalars(sa.select(Box.options)).all() == [{"caffeine": "free"}]
    assert rt.session.scalars(sa.select(Address.street)).all() == ["Am Markt 1"]


def test_a_second_tab_that_changes_nothing_leads_to_the_same_page(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan, options={"caffeine": "usual"})
    first = order(rt, key)
    assert change_delivery(rt, key, "ada@example.org", ADA)
    assert order(rt, key).url == first.url


def test_a_card_typed_for_what_another_tab_replaced_pays_for_neither(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan, options={"caffeine": "usual"})
    first = order(rt, key)
    change(rt, key, "answer")
    second = order(rt, key)
    assert second.url != first.url
    choose(demo_gateway, first)

    assert finish_checkout(rt, key).outcome is Outcome.UNFINISHED
    assert demo_gateway.bank.executed_count() == 0
