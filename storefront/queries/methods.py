"""What a customer sees of their stored methods: what each is, what it pays for, when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.expiry import last_day, months_near, stage_of
from storefront.domain.lifecycle import RUNNING
from storefront.models import PaymentMethod, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.methods import paying_method, was_accepted


@dataclass(frozen=True, slots=True)
class MethodView:
    """A stored method. ``pays_for`` names the plans of running subscriptions."""

    public_id: str
    kind: str
    brand: str
    last4: str
    #: What its owner knows it by where there is no number.
    label: str
    exp_month: int | None
    exp_year: int | None
    is_default: bool
    is_backup: bool
    is_refused: bool
    is_expired: bool
    #: Ends within a month, or has ended.
    ends_soon: bool
    pays_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PaidSubscription:
    """A running subscription and the method that pays for it; empty: none does."""

    public_id: str
    plan: str
    method: str


@dataclass(frozen=True, slots=True)
class MethodsPage:
    """All methods, the default first, and what they pay for."""

    methods: tuple[MethodView, ...]
    subscriptions: tuple[PaidSubscription, ...]

    @property
    def usable(self) -> tuple[MethodView, ...]:
        return tuple(one for one in self.methods if not one.is_refused)


def methods_of(session: AnySession, customer_id: int, today: date) -> MethodsPage:
    """Return the stored methods that were ever accepted; two statements."""
    table, subscription, plan = (table_of(one) for one in (PaymentMethod, Subscription, Plan))
    rows = session.execute(
        sa.select(table)
        .where(table.c.customer_id == customer_id, table.c.detached_at.is_(None), was_accepted())
        .order_by(table.c.is_default.desc(), table.c.is_backup.desc(), table.c.id.desc())
    ).all()
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    running = session.execute(
        sa.select(subscription.c.public_id, plan.c.name, table.c.public_id.label("method"))
        .join(plan, plan.c.id == subscription.c.plan_id)
        .outerjoin(table, sa.and_(paying_method(usable=False), table.c.detached_at.is_(None)))
        .where(payer == customer_id, subscription.c.state.in_(RUNNING))
        .order_by(subscription.c.id)
    ).all()
    return MethodsPage(
        tuple(_view(row, running, today) for row in rows),
        tuple(PaidSubscription(one.public_id, one.name, one.method or "") for one in running),
    )


def _view(row: AnyRow, running: Sequence[AnyRow], today: date) -> MethodView:
    ends = last_day(row.exp_year, row.exp_month) if row.exp_year and row.exp_month else None
    return MethodView(
        public_id=row.public_id,
        kind=row.kind,
        brand=row.brand,
        last4=row.last4,
        label=row.label,
        exp_month=row.exp_month,
        exp_year=row.exp_year,
        is_default=row.is_default,
        is_backup=row.is_backup,
        is_refused=row.refused_at is not None,
        is_expired=ends is not None and ends < today,
        ends_soon=ends is not None
        and (ends < today or stage_of(row.exp_year, row.exp_month, today) is not None),
        pays_for=tuple(one.name for one in running if one.method == row.public_id),
    )


@dataclass(frozen=True, slots=True)
class EndingCard:
    """A card that pays for something and ends soon."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    is_expired: bool


def ending_from(rows: Iterable[AnyRow], today: date) -> list[EndingCard]:
    """Return those that end soon of the cards that ``ending_cards`` found."""
    found = []
    for row in rows:
        is_over = last_day(row.exp_year, row.exp_month) < today
        if is_over or stage_of(row.exp_year, row.exp_month, today) is not None:
            found.append(EndingCard(row.brand, row.last4, row.exp_month, row.exp_year, is_over))
    return found


def ending_values(today: date) -> dict[str, int]:
    """Return the parameters that say by when a card ends soon."""
    year, month = months_near(today)[-1]
    return {"year": year, "month": month}


def has_ending_cards(customer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether a card of a customer ends, whatever it pays for."""
    return sa.exists().where(*_ends_soon(customer))


def _ends_soon(customer: sa.BindParameter[int]) -> tuple[sa.ColumnElement[bool], ...]:
    table = table_of(PaymentMethod)
    year = sa.bindparam("year", type_=table.c.exp_year.type)
    month = sa.bindparam("month", type_=table.c.exp_month.type)
    in_year = sa.and_(table.c.exp_year == year, table.c.exp_month <= month)
    return table.c.customer_id == customer, sa.or_(table.c.exp_year < year, in_year)


@cache
def ending_cards() -> AnySelect:
    """The cards that pay for a running subscription of a ``customer`` and may end soon."""
    table, subscription = table_of(PaymentMethod), table_of(Subscription)
    customer: sa.BindParameter[int] = sa.bindparam("customer", type_=sa.BigInteger())
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    pays = sa.exists().where(
        payer == customer,
        subscription.c.state.in_(RUNNING),
        subscription.c.cancel_on.is_(None),
        paying_method(usable=True),
    )
    return (
        sa.select(table.c.brand, table.c.last4, table.c.exp_month, table.c.exp_year)
        .where(*_ends_soon(customer), pays)
        .order_by(table.c.exp_year, table.c.exp_month, table.c.id)
    )
