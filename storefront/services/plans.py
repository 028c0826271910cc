"""Make and change plans and their prices; what runs already keeps what it was sold at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.cycles import can_keep
from storefront.domain.errors import DomainError
from storefront.domain.lifecycle import RUNNING
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import CycleGroup, Plan, Price, Subscription
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import (
    lock_catalogue,
    locked_plan,
    price_of,
    prices_on_sale,
    raise_version,
)
from storefront.operations.content import write_content
from storefront.operations.keys import AnyRow, reserve
from storefront.runtime import Runtime

T = TypeVar("T")

#: What ``save_plan`` may change.
EDITABLE = (
    "name",
    "tagline",
    "description",
    "benefits",
    "translations",
    "is_recommended",
    "is_public",
    "access_code",
    "position",
    "tax_class",
    "retry_days",
    "last_action",
    "retry_minute",
)

#: Days before the cut-off on which subscribers of a new plan are told of their box.
NOTICE_DAYS = 3


class CodeTaken(DomainError):
    """Another plan has this short name."""

    code = "code_taken"


class AccessCodeTaken(DomainError):
    """Another plan is opened by this code."""

    code = "access_code_taken"


class UnknownGroup(DomainError):
    """There is no such cycle group."""

    code = "unknown_group"


class IntervalDoesNotFit(DomainError):
    """The billing interval is no whole multiple of the shipping interval."""

    code = "interval_does_not_fit"


class RhythmDoesNotFit(DomainError):
    """The cycle group cannot keep the shipping interval."""

    code = "rhythm_does_not_fit"


class PriceIsZero(DomainError):
    """Nothing is sold for nothing; a code or a trial gives something away on purpose."""

    code = "price_is_zero"


class PlanInUse(DomainError):
    """Subscriptions run on the plan, so its rhythm is settled."""

    code = "plan_in_use"


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A new plan. ``group`` is the public id of its cycle group, empty when nothing ships."""

    code: str
    name: str
    shipping: Interval
    group: str
    tax_class: str
    tagline: str = ""
    is_public: bool = True
    #: Its first price and what that pays for; None: not on sale yet.
    amount: Money | None = None
    billing: Interval | None = None


def add_plan(rt: Runtime, who: Who, draft: PlanDraft) -> str:
    """Add a plan and return its public id.

    Raises ``CodeTaken``, ``UnknownGroup``, ``RhythmDoesNotFit`` or ``IntervalDoesNotFit``.
    """

    def write() -> str:
        table, moment = table_of(Plan), rt.moment()
        # Two plans added at once queue, so that a short name is refused and not an error.
        lock_catalogue(rt.session)
        if rt.session.execute(sa.select(table.c.id).where(table.c.code == draft.code)).first():
            raise CodeTaken(plan=draft.code)
        group = _group(rt, draft.group) if draft.group else None
        _require_rhythm(group, draft.shipping)
        last = rt.session.execute(sa.select(sa.func.max(table.c.position))).scalar_one()
        key, public = reserve(rt.session, Plan, 1)[0], public_id("plan")
        rt.session.execute(
            sa.insert(table).values(
                id=key,
                public_id=public,
                code=draft.code,
                name=draft.name,
                tagline=draft.tagline,
                description="",
                benefits=[],
                is_public=draft.is_public,
                position=(last or 0) + 1,
                ships=group is not None,
                shipping_unit=draft.shipping.unit,
                shipping_count=draft.shipping.count,
                cycle_group_id=group.id if group else None,
                tax_class=draft.tax_class,
                box_notice_days=NOTICE_DAYS if group is not None else 0,
                created_at=moment.now,
            )
        )
        after: dict[str, Any] = {"code": draft.code, "name": draft.name}
        if draft.amount is not None:
            billing = draft.billing or draft.shipping
            _insert_price(rt, locked_plan(rt.session, public), draft.amount, billing, None)
            after |= {"amount_minor": draft.amount.minor, "interval": str(billing)}
        _note(rt, who, "plan.added", public, {}, after)
        rt.session.commit()
        return public

    return _changing(rt, write)


def save_plan(rt: Runtime, who: Who, plan: str, values: Mapping[str, Any]) -> bool:
    """Change what a plan says; False when nothing differs.

    One plan at most is recommended: recommending this one takes it from the others. Raises
    ``UnknownPlan``, ``AccessCodeTaken``, and ``KeyError`` for what is not among ``EDITABLE``.
    """
    strange = set(values) - set(EDITABLE)
    if strange:
        raise KeyError(", ".join(sorted(strange)))

    def write() -> bool:
        row, table = locked_plan(rt.session, plan), table_of(Plan)
        changed = {key: new for key, new in values.items() if getattr(row, key) != new}
        if not changed:
            rt.session.rollback()
            return False
        code = changed.get("access_code")
        if code and rt.session.scalar(sa.select(table.c.id).where(table.c.access_code == code)):
            raise AccessCodeTaken(plan=plan)
        if changed.get("is_recommended"):
            rt.session.execute(sa.update(table).values(is_recommended=False))
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**changed))
        before = {key: getattr(row, key) for key in changed}
        _note(rt, who, "plan.changed", plan, before, changed)
        if changed.keys() & {"is_public", "access_code"}:
            write_content(rt.session)
        rt.session.commit()
        return True

    return _changing(rt, write)


def change_rhythm(rt: Runtime, who: Who, plan: str, shipping: Interval, group: str) -> bool:
    """Change how often a plan ships and in which cycles; False when nothing differs.

    Raises ``UnknownPlan``, ``UnknownGroup``, ``RhythmDoesNotFit``, ``PlanInUse`` once anything
    was sold, or ``IntervalDoesNotFit`` when a price on sale would no longer fit.
    """

    def write() -> bool:
        row, table = locked_plan(rt.session, plan), table_of(Plan)
        found = _group(rt, group) if group else None
        group_id = found.id if found else None
        old = Interval(row.shipping_unit, row.shipping_count)
        if old == shipping and row.cycle_group_id == group_id:
            rt.session.rollback()
            return False
        if _was_sold(rt, row.id):
            raise PlanInUse(plan=plan)
        _require_rhythm(found, shipping)
        for price in prices_on_sale(rt.session, row.id):
            _require_fit(Interval(price.unit, price.unit_count), shipping)
        values = {
            "ships": group_id is not None,
            "cycle_group_id": group_id,
            "shipping_unit": shipping.unit,
            "shipping_count": shipping.count,
        }
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**values))
        before, after = {"shipping": str(old)}, {"shipping": str(shipping), "group": group}
        _note(rt, who, "plan.changed", plan, before, after)
        rt.session.commit()
        return True

    return _changing(rt, write)


def set_price(rt: Runtime, who: Who, plan: str, amount: Money, billing: Interval) -> bool:
    """Sell a plan at ``amount`` per ``billing`` from now on; False when it is so already.

    A new version for new sales: the old one is retired, and every subscription that runs on
    it keeps it. Raises ``UnknownPlan`` or ``IntervalDoesNotFit``.
    """

    def write() -> bool:
        row = locked_plan(rt.session, plan)
        same = [
            price
            for price in prices_on_sale(rt.session, row.id)
            if (price.country, price.currency, price.unit, price.unit_count)
            == ("", amount.currency, billing.unit, billing.count)
        ]
        if len(same) == 1 and same[0].amount_minor == amount.minor:
            rt.session.rollback()
            return False
        _insert_price(rt, row, amount, billing, same[-1] if same else None)
        for price in same:
            _retire(rt, price.id)
        before = {"amount_minor": same[-1].amount_minor} if same else {}
        after = {"amount_minor": amount.minor, "currency": amount.currency}
        after |= {"interval": str(billing)}
        _note(rt, who, "plan.price_changed" if same else "plan.price_added", plan, before, after)
        rt.session.commit()
        return True

    return _changing(rt, write)


def retire_price(rt: Runtime, who: Who, plan: str, price: str) -> bool:
    """Sell a price no more; what runs on it goes on. False when it is not sold already.

    Raises ``UnknownPlan`` or ``UnknownPrice``.
    """

    def write() -> bool:
        row = locked_plan(rt.session, plan)
        found = price_of(rt.session, row.id, price)
        if found.retired_at is not None:
            rt.session.rollback()
            return False
        _retire(rt, found.id)
        before = {
            "amount_minor": found.amount_minor,
            "interval": str(Interval(found.unit, found.unit_count)),
        }
        _note(rt, who, "plan.price_retired", plan, before, {})
        rt.session.commit()
        return True

    return _changing(rt, write)


def archive_plan(rt: Runtime, who: Who, plan: str) -> bool:
    """Sell a plan no more; its subscriptions go on. False when it is archived already."""
    return _archive(rt, who, plan, archived=True)


def restore_plan(rt: Runtime, who: Who, plan: str) -> bool:
    """Sell an archived plan again; False when it is on sale already."""
    return _archive(rt, who, plan, archived=False)


def _archive(rt: Runtime, who: Who, plan: str, *, archived: bool) -> bool:
    def write() -> bool:
        row, table = locked_plan(rt.session, plan), table_of(Plan)
        if (row.archived_at is not None) == archived:
            rt.session.rollback()
            return False
        at = rt.now() if archived else None
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(archived_at=at))
        _note(rt, who, "plan.archived" if archived else "plan.restored", plan, {}, {})
        write_content(rt.session)
        rt.session.commit()
        return True

    return _changing(rt, write)


def _insert_price(
    rt: Runtime, plan: AnyRow, amount: Money, billing: Interval, old: AnyRow | None
) -> None:
    if not amount.minor:
        raise PriceIsZero
    if plan.ships:
        _require_fit(billing, Interval(plan.shipping_unit, plan.shipping_count))
    table = table_of(Price)
    versions = sa.select(sa.func.max(table.c.version)).where(
        table.c.plan_id == plan.id,
        table.c.currency == amount.currency,
        table.c.country == "",
        table.c.unit == billing.unit,
        table.c.count == billing.count,
    )
    last = rt.session.execute(versions).scalar_one()
    rt.session.execute(
        sa.insert(table).values(
            id=reserve(rt.session, Price, 1)[0],
            public_id=public_id("pri"),
            plan_id=plan.id,
            currency=amount.currency,
            country="",
            unit=billing.unit,
            count=billing.count,
            version=(last or 0) + 1,
            amount_minor=amount.minor,
            tax_inclusive=old.tax_inclusive if old else True,
            sign_up_fee_minor=old.sign_up_fee_minor if old else 0,
            created_at=rt.now(),
        )
    )


def _require_fit(billing: Interval, shipping: Interval) -> None:
    if billing.multiple_of(shipping) is None:
        raise IntervalDoesNotFit(billing=str(billing), shipping=str(shipping))


def _retire(rt: Runtime, price_id: int) -> None:
    table = table_of(Price)
    rt.session.execute(sa.update(table).where(table.c.id == price_id).values(retired_at=rt.now()))


def _was_sold(rt: Runtime, plan_id: int) -> bool:
    table = table_of(Subscription)
    running = sa.select(table.c.id).where(table.c.plan_id == plan_id, table.c.state.in_(RUNNING))
    return rt.session.execute(running.limit(1)).first() is not None


def _group(rt: Runtime, group: str) -> AnyRow:
    table = table_of(CycleGroup)
    columns = (table.c.id, table.c.unit, table.c.count.label("unit_count"), table.c.charge_day)
    row = rt.session.execute(sa.select(*columns).where(table.c.public_id == group)).one_or_none()
    if row is None:
        raise UnknownGroup(group=group)
    return row


def _require_rhythm(group: AnyRow | None, shipping: Interval) -> None:
    """Refuse a shipping interval that the group cannot keep; without a group nothing ships."""
    if group is None:
        return
    interval = Interval(group.unit, group.unit_count)
    if not can_keep(interval, shipping, is_rolling=group.charge_day is None):
        raise RhythmDoesNotFit(group=str(interval), shipping=str(shipping))


def _note(
    rt: Runtime,
    who: Who,
    action: str,
    plan: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    raise_version(rt.session)
    audit.write(rt.session, who.id, action, plan, before, after, rt.moment(), who.ip)


def _changing(rt: Runtime, write: Callable[[], T]) -> T:
    """Run one change of the catalogue; what was kept of the shop's settings is read anew."""
    done = retrying(rt.session, write)
    rt.forget_shop()
    return done
