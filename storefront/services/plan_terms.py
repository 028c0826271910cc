"""Set the terms of a plan, and its prices for other countries, currencies and new subscribers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.plan_terms import PlanTerms, problem_of_phases, problems_of_terms
from storefront.models import Plan, Price
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import (
    UnknownPrice,
    lock_catalogue,
    locked_plan,
    price_of,
    prices_on_sale,
    raise_version,
)
from storefront.operations.keys import AnyRow, reserve
from storefront.runtime import Runtime

T = TypeVar("T")


class ImpossibleTerms(DomainError):
    """What is asked of the plan cannot be kept; ``fields`` says what, by field."""

    code = "impossible_terms"


class ImpossiblePrice(DomainError):
    """The price cannot be sold.

    ``reason``: does_not_fit, not_rising, not_lower, not_whole, other_currency or zero.
    """

    code = "impossible_price"


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A price as a merchant lists it; ``country`` empty: everywhere, in the shop's currency."""

    amount: Money
    interval: Interval
    country: str = ""
    is_tax_inside: bool = True
    sign_up_fee: Money | None = None
    #: (boxes from the first on, price of a billing interval until then).
    phases: tuple[tuple[int, Money], ...] = ()


def save_terms(rt: Runtime, who: Who, plan: str, terms: PlanTerms) -> bool:
    """Set how a plan begins, binds and ends; False when nothing differs.

    What was sold keeps the minimum, the end and the price it was sold with; the other terms
    hold from the next change or decline on. Raises ``UnknownPlan``, ``ImpossibleTerms``.
    """

    def write() -> bool:
        row = locked_plan(rt.session, plan)
        billing = [Interval(one.unit, one.unit_count) for one in prices_on_sale(rt.session, row.id)]
        wrong = problems_of_terms(terms, _shipping(row), billing)
        if terms.ends_on and terms.ends_on != row.ends_on and terms.ends_on <= rt.today():
            wrong["ends_on"] = "is_past"
        if wrong:
            rt.session.rollback()
            raise ImpossibleTerms(fields=wrong)
        wanted = asdict(terms)
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if not changed:
            rt.session.rollback()
            return False
        table = table_of(Plan)
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**changed))
        before = {name: getattr(row, name) for name in changed}
        _note(rt, who, "plan.changed", plan, before, changed)
        rt.session.commit()
        return True

    return _changing(rt, write)


def list_price(rt: Runtime, who: Who, plan: str, price: ListPrice) -> bool:
    """Sell ``plan`` at ``price`` from now on; False when it is so already.

    The version on sale for the same country, currency and interval is retired; whoever has it
    keeps it. Raises ``UnknownPlan``, ``ImpossiblePrice``.
    """

    def write() -> bool:
        row = locked_plan(rt.session, plan)
        # Shoppers of a country are shown one currency, so the other price would never be seen.
        sold = {
            one.currency
            for one in prices_on_sale(rt.session, row.id)
            if one.country == price.country
        }
        if sold - {price.amount.currency}:
            raise ImpossiblePrice(reason="other_currency")
        return _put_on_sale(rt, who, row, price)

    return _changing(rt, write)


def reprice(rt: Runtime, who: Who, plan: str, price: str, minor: int) -> bool:
    """Sell what ``price`` sells at another amount from now on; False when it is so already.

    Country, currency, interval, fee and introductory price stay. Raises ``UnknownPlan``,
    ``UnknownPrice`` when it is sold no more, ``ImpossiblePrice``.
    """

    def write() -> bool:
        row = locked_plan(rt.session, plan)
        found = price_of(rt.session, row.id, price)
        wanted = _listed(found, minor)
        if found.retired_at is not None:
            # Sent twice, or from a page of before: right if it is on sale at that by now.
            now = _sold_like(rt, row, wanted)
            if not now or now[-1].amount_minor != minor:
                raise UnknownPrice(price=price)
            rt.session.rollback()
            return False
        return _put_on_sale(rt, who, row, wanted)

    return _changing(rt, write)


def _put_on_sale(rt: Runtime, who: Who, row: AnyRow, price: ListPrice) -> bool:
    """Insert the next version of a price and retire the ones on sale; commits."""
    _check(row, price)
    table, same, values = table_of(Price), _sold_like(rt, row, price), _values(price)
    if len(same) == 1 and all(getattr(same[0], name) == values[name] for name in _SAID):
        rt.session.rollback()
        return False
    last = rt.session.scalar(
        sa.select(sa.func.max(table.c.version)).where(
            table.c.plan_id == row.id,
            table.c.currency == price.amount.currency,
            table.c.country == price.country,
            table.c.unit == price.interval.unit,
            table.c.count == price.interval.count,
        )
    )
    rt.session.execute(
        sa.insert(table).values(
            id=reserve(rt.session, Price, 1)[0],
            public_id=public_id("pri"),
            plan_id=row.id,
            version=(last or 0) + 1,
            created_at=rt.now(),
            **values,
        )
    )
    retired = table.c.id.in_([one.id for one in same])
    rt.session.execute(sa.update(table).where(retired).values(retired_at=rt.now()))
    before = {name: getattr(same[-1], name) for name in _SAID} if same else {}
    action = "plan.price_changed" if same else "plan.price_added"
    _note(rt, who, action, row.public_id, before, values)
    rt.session.commit()
    return True


def _sold_like(rt: Runtime, row: AnyRow, price: ListPrice) -> list[AnyRow]:
    """Return what is on sale for the same country, currency and interval."""
    key = (price.country, price.amount.currency, price.interval.unit, price.interval.count)
    return [
        one
        for one in prices_on_sale(rt.session, row.id)
        if (one.country, one.currency, one.unit, one.unit_count) == key
    ]


def _listed(row: AnyRow, minor: int) -> ListPrice:
    """Return a stored price as it is listed, at ``minor``."""

    def money(amount: int) -> Money:
        return Money(amount, row.currency)

    return ListPrice(
        money(minor),
        Interval(row.unit, row.unit_count),
        row.country,
        row.tax_inclusive,
        money(row.sign_up_fee_minor),
        tuple((one["boxes"], money(one["amount_minor"])) for one in row.phases),
    )


#: What makes two versions of a price the same.
_SAID = ("amount_minor", "tax_inclusive", "sign_up_fee_minor", "phases")


def _values(price: ListPrice) -> dict[str, Any]:
    return {
        "currency": price.amount.currency,
        "country": price.country,
        "unit": price.interval.unit,
        "count": price.interval.count,
        "amount_minor": price.amount.minor,
        "tax_inclusive": price.is_tax_inside,
        "sign_up_fee_minor": price.sign_up_fee.minor if price.sign_up_fee else 0,
        "phases": [{"boxes": boxes, "amount_minor": one.minor} for boxes, one in price.phases],
    }


def _check(row: AnyRow, price: ListPrice) -> None:
    shipping = _shipping(row)
    reason = ""
    if shipping is not None and price.interval.multiple_of(shipping) is None:
        reason = "does_not_fit"
    elif price.amount.minor == 0:
        reason = "zero"
    elif any(amount.minor >= price.amount.minor for _boxes, amount in price.phases):
        reason = "not_lower"
    else:
        phases = [(boxes, amount.minor) for boxes, amount in price.phases]
        reason = problem_of_phases(phases, shipping, price.interval)
    if reason:
        raise ImpossiblePrice(reason=reason)


def _shipping(row: AnyRow) -> Interval | None:
    return Interval(row.shipping_unit, row.shipping_count) if row.ships else None


def _note(
    rt: Runtime, who: Who, action: str, plan: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Write the audit entry and let cached pages go."""
    audit.write(
        rt.session, who.id, action, plan, _plain(before), _plain(after), rt.moment(), who.ip
    )
    raise_version(rt.session)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if isinstance(one, date) else one for name, one in values.items()}


def _changing(rt: Runtime, write: Callable[[], T]) -> T:
    """Run ``write`` behind the lock of the catalogue, so that two changes queue."""

    def locked() -> T:
        lock_catalogue(rt.session)
        return write()

    done = retrying(rt.session, locked)
    rt.forget_shop()
    return done
