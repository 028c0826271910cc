"""How the named customers of the demo stand at this moment, in words for a terminal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import sqlalchemy as sa

from storefront.domain.money import Money, exponent
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.queries.account import SubscriptionView
from storefront.queries.account_home import Home, home
from storefront.queries.box_rows import BoxRow
from storefront.runtime import Runtime

_STATES = {
    "trialing": "free trial",
    "past_due": "past due",
    "held": "on hold",
    "ending": "cancelled, but still running",
    "canceled": "ended",
}


def standing_of(rt: Runtime, email: str) -> str:
    """Return how the customer with ``email`` stands on the shop's present day; one line."""
    customer = table_of(Customer)
    found = rt.session.execute(
        sa.select(customer.c.id).where(customer.c.email == email)
    ).scalar_one_or_none()
    if found is None:
        rt.session.rollback()
        return "is no customer yet"
    shown = home(rt.session, found, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    return _line(shown)


def _line(shown: Home) -> str:
    if not shown.subscriptions:
        return "has no subscription"
    view = shown.subscriptions[0]
    parts = [f"{view.plan}: {_STATES.get(view.state, view.state.replace('_', ' '))}", *_facts(view)]
    if shown.owed is not None:
        parts.insert(1, f"{_sum(shown.owed.amount)} open")
    return ", ".join(parts)


def _facts(view: SubscriptionView) -> list[str]:
    if view.is_ended:
        return [f"since {_day(view.ended_on)}"] if view.ended_on else []
    facts = [f"until {_day(view.cancel_on)}"] if view.cancel_on else []
    if view.state == "paused" and view.resumes_on:
        facts.append(f"until {_day(view.resumes_on)}")
    if view.next_box is not None and view.next_box.ship_from is not None:
        facts.append(_box(view.next_box, view.next_box.ship_from))
    if view.next_charge_on is not None and view.next_amount is not None:
        facts.append(f"next charge {_day(view.next_charge_on)} ({_sum(view.next_amount)})")
    return facts


def _box(box: BoxRow, ship_from: date) -> str:
    day = _day(ship_from)
    if box.can_undo:
        return f"box of {day} skipped, can be taken back"
    if box.state == "skipped":
        return f"box of {day} skipped"
    paid = "paid" if box.is_paid else "not paid yet"
    if box.can_change and box.cutoff_at is not None:
        return f"box of {day} {paid}, can be changed"
    return f"box of {day} {paid}"


def _day(on: date) -> str:
    return f"{on.day} {on:%b %Y}"


def _sum(amount: Money) -> str:
    return f"{amount.currency} {Decimal(amount.minor).scaleb(-exponent(amount.currency))}"
