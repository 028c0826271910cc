"""Several boxes in one order, for tests."""

from __future__ import annotations

from storefront.models import Plan, Subscription
from storefront.operations.checkout import find_checkout
from storefront.runtime import Runtime
from storefront.services.baskets import BoxChoice, Changed, add_box, remove_box
from storefront.services.finishing import Outcome
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, paid


def version(rt: Runtime, key: str) -> int:
    row = find_checkout(rt.session, key)
    rt.session.rollback()
    assert row is not None
    return int(row.version)


def add(rt: Runtime, key: str, plan: Plan, **options: str) -> Changed:
    choice = BoxChoice(plan.id, make.price_of(rt, plan).id, options)
    return add_box(rt, key, choice, version(rt, key))


def remove(rt: Runtime, key: str, ref: str) -> Changed:
    return remove_box(rt, key, ref, version(rt, key))


def begin_with(rt: Runtime, *plans: Plan, **values: object) -> str:
    """Begin an order of one box of each plan."""
    key = begin(rt, plans[0], **values)  # type: ignore[arg-type]
    for plan in plans[1:]:
        assert add(rt, key, plan) is Changed.DONE
    return key


def bought(
    rt: Runtime, gateway: DemoGateway, *plans: Plan, card: str = "4242"
) -> list[Subscription]:
    """Order and pay one box of each plan together; returns the subscriptions in that order."""
    key = begin_with(rt, *plans)
    assert paid(rt, gateway, key, card) is Outcome.DONE
    return subscriptions(rt)


def subscriptions(rt: Runtime) -> list[Subscription]:
    found = list(rt.session.query(Subscription).order_by(Subscription.checkout_position))
    for one in found:
        rt.session.expunge(one)
    rt.session.rollback()
    return found
