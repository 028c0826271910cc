"""What giver, recipient and staff see of gifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.gifts import UNCLAIMED_AFTER, GiftState, state_of
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    Checkout,
    Customer,
    Gift,
    Invoice,
    InvoiceLine,
    Plan,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.gifts import stands
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_rows import ADDRESS_COLUMNS
from storefront.operations.secrets import gift_code, hash_secret, typed_gift_code

_NOT_PAID = (SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED)


@dataclass(frozen=True, slots=True)
class GiftView:
    """A gift, without a word about its price."""

    public_id: str
    subscription: str
    giver: str
    name: str
    email: str
    country: str
    message: str
    send_on: date
    state: GiftState
    plan: str
    plan_code: str
    boxes: int
    #: When its next unsent box leaves, and until when it may go elsewhere; None when none is
    #: planned.
    ships_on: date | None
    cutoff_on: date | None
    #: What was paid for it; only its giver may see that document.
    invoice: str
    #: The subscription by which its recipient went on, if they did.
    followed_by: str = ""
    #: We write nothing to the recipient; the giver has the code.
    is_quiet: bool = False
    #: When its recipient took it over; what happened before is the giver's.
    claimed_at: datetime | None = None
    #: Where the giver said that it goes, as long as nobody has claimed it; else empty.
    goes_to: Mapping[str, str] = field(default_factory=dict)


def by_code(session: AnySession, code: str) -> GiftView | None:
    """Return the gift that a code opens; None before its day and when it was taken back."""
    gift = table_of(Gift)
    digest = hash_secret(typed_gift_code(code))
    opens = sa.or_(gift.c.claimed_at.is_not(None), stands(gift.c.subscription_id))
    found = _views(session, gift.c.code_hash == digest, gift.c.told_at.is_not(None), opens)
    return found[0] if found else None


def by_id(session: AnySession, public_id: str) -> GiftView | None:
    """Return a gift by its public id."""
    found = _views(session, table_of(Gift).c.public_id == public_id)
    return found[0] if found else None


def given_by(session: AnySession, customer_id: int) -> tuple[GiftView, ...]:
    """Return what a customer has given, the latest first."""
    return tuple(_views(session, table_of(Gift).c.giver_id == customer_id))


def to_hand_over(
    session: AnySession, customer_id: int, public_id: str, key: str
) -> tuple[GiftView, str] | None:
    """Return a gift with the code that its giver hands over; None where that is not theirs to do.

    ``key`` is the shop's, which codes are made of. Once the gift is claimed there is none.
    """
    gift = table_of(Gift)
    code = gift_code(key, public_id)
    mine = (gift.c.giver_id == customer_id, gift.c.public_id == public_id, gift.c.is_quiet)
    opens = (gift.c.claimed_at.is_(None), gift.c.code_hash == hash_secret(code))
    found = _views(session, *mine, *opens, stands(gift.c.subscription_id))
    return (found[0], code) if found else None


@dataclass(frozen=True, slots=True)
class People:
    """Whose a gift is, by their public ids: who gives it, and who claimed it, empty until then."""

    giver: str
    giver_name: str
    owner: str


def people_of(session: AnySession, public_id: str) -> People | None:
    """Return whom staff turn to about a gift; None for one there is not."""
    gift, table = table_of(Gift), table_of(Subscription)
    giver, owner = table_of(Customer).alias("giver"), table_of(Customer).alias("owner")
    row = session.execute(
        sa.select(giver.c.public_id, giver.c.name, owner.c.public_id.label("owner"))
        .select_from(gift)
        .join(table, table.c.id == gift.c.subscription_id)
        .join(giver, giver.c.id == gift.c.giver_id)
        .outerjoin(owner, owner.c.id == table.c.customer_id)
        .where(gift.c.public_id == public_id)
    ).one_or_none()
    return None if row is None else People(row.public_id, row.name, row.owner or "")


def given_by_customer(session: AnySession, customer: str) -> tuple[GiftView, ...]:
    """Return what the customer with this public id has given, the latest first."""
    table = table_of(Customer)
    key = sa.select(table.c.id).where(table.c.public_id == customer).scalar_subquery()
    return tuple(_views(session, table_of(Gift).c.giver_id == key))


@dataclass(frozen=True, slots=True)
class OwnGifts:
    """The gifts of one customer, the latest first."""

    given: tuple[GiftView, ...]
    #: Those they have claimed.
    received: tuple[GiftView, ...]


def has_gifts(customer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether a customer may have given or been given anything."""
    gift, table = table_of(Gift), table_of(Subscription)
    claimed = sa.exists().where(
        gift.c.subscription_id == table.c.id, table.c.customer_id == customer
    )
    return sa.or_(sa.exists().where(gift.c.giver_id == customer), claimed)


@cache
def of_customer() -> AnySelect:
    """The gifts that a ``customer`` has given or claimed, the latest first; built once."""
    customer: sa.BindParameter[int] = sa.bindparam("customer", type_=sa.BigInteger())
    giver, owner = table_of(Gift).c.giver_id, table_of(Subscription).c.customer_id
    return _gifts().where(sa.or_(giver == customer, owner == customer))


def own_from(rows: Sequence[AnyRow], customer_id: int) -> OwnGifts:
    """Return what ``of_customer`` found."""
    return OwnGifts(
        tuple(_view(row) for row in rows if row.giver_id == customer_id),
        tuple(_view(row) for row in rows if row.owner_id == customer_id),
    )


def received(session: AnySession, customer_id: int, subscription: str) -> GiftView | None:
    """Return the gift that a customer's subscription was; None for one they pay themselves."""
    table = table_of(Subscription)
    mine = (table.c.customer_id == customer_id, table.c.public_id == subscription)
    found = _views(session, *mine)
    return found[0] if found else None


def of_subscription(session: AnySession, subscription: str) -> GiftView | None:
    """Return the gift that a subscription was; None for one that its customer pays."""
    found = _views(session, table_of(Subscription).c.public_id == subscription)
    return found[0] if found else None


def unclaimed(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Gifts whose recipient was told long ago and has not answered: a person decides."""
    gift, table = table_of(Gift), table_of(Subscription)
    return (
        sa.select(
            gift.c.id, sa.literal(None, sa.BigInteger).label("minor"), gift.c.told_at.label("at")
        )
        .join(table, table.c.id == gift.c.subscription_id)
        .where(
            gift.c.claimed_at.is_(None),
            gift.c.told_at.is_not(None),
            gift.c.send_on <= moment.today - UNCLAIMED_AFTER,
            # Its boxes leave without an answer where the giver knew the address.
            table.c.address_id.is_(None),
            _has_unsent_box(gift),
        )
    )


def _has_unsent_box(gift: sa.Table) -> sa.ColumnElement[bool]:
    """True until a refund or the like has taken all its boxes back."""
    box = table_of(Box)
    return sa.exists().where(
        box.c.subscription_id == gift.c.subscription_id,
        box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
    )


def of_unclaimed(part: sa.Subquery) -> sa.Select[Any]:
    """Return the rows of the list behind ``unclaimed``: each about its giver."""
    gift, table, plan = table_of(Gift), table_of(Subscription), table_of(Plan)
    giver = table_of(Customer)
    to = sa.func.coalesce(sa.func.nullif(gift.c.recipient_email, ""), gift.c.recipient_name)
    return (
        sa.select(
            giver.c.public_id.label("customer"),
            giver.c.name.label("name"),
            (plan.c.name + " → " + to).label("about"),
            # Its subscription may be over: what was paid once is not charged again. The box waits.
            sa.literal("gift_waits").label("state"),
            sa.literal("").label("detail"),
            part.c.minor,
            sa.literal("").label("currency"),
            part.c.at,
            sa.literal("").label("cycle"),
        )
        .select_from(part)
        .join(gift, gift.c.id == part.c.id)
        .join(giver, giver.c.id == gift.c.giver_id)
        .join(table, table.c.id == gift.c.subscription_id)
        .join(plan, plan.c.id == table.c.plan_id)
    )


def _views(session: AnySession, *conditions: sa.ColumnElement[bool]) -> list[GiftView]:
    """Return the gifts that were paid for, the latest first."""
    return [_view(row) for row in session.execute(_gifts().where(*conditions))]


@cache
def _gifts() -> AnySelect:
    """The gifts that were paid for, the latest first; built once, the caller says which."""
    gift, table, plan = table_of(Gift), table_of(Subscription), table_of(Plan)
    period, line, paper = table_of(SubscriptionPeriod), table_of(InvoiceLine), table_of(Invoice)
    address = table_of(Address)
    # An address of who claimed it is no business of the giver.
    goes_to = sa.and_(address.c.id == table.c.address_id, gift.c.claimed_at.is_(None))
    invoice = (
        sa.select(paper.c.public_id)
        .join(line, line.c.invoice_id == paper.c.id)
        .where(line.c.period_id == period.c.id, sa.not_(line.c.is_void))
        .limit(1)
        .scalar_subquery()
    )
    return (
        sa.select(
            gift,
            table.c.public_id.label("ref"),
            table.c.customer_id.label("owner_id"),
            address.c.id.label("address_id"),
            *(address.c[name].label(f"to_{name}") for name in ADDRESS_COLUMNS),
            plan.c.name.label("plan"),
            plan.c.code.label("plan_code"),
            period.c.box_count,
            invoice.label("invoice"),
            _next_day(table, "ship_from").label("ships_on"),
            _next_day(table, "cutoff_on").label("cutoff_on"),
            _follower(gift).label("followed_by"),
        )
        .join(table, table.c.id == gift.c.subscription_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(period, sa.and_(period.c.subscription_id == table.c.id, period.c.number == 0))
        .outerjoin(address, goes_to)
        .where(table.c.state.not_in(_NOT_PAID))
        .order_by(gift.c.id.desc())
    )


def _next_day(table: sa.Table, name: str) -> sa.ScalarSelect[Any]:
    """Return a day of the first round that a box is planned for."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    return (
        sa.select(sa.func.min(cycle.c[name]))
        .join(box, box.c.cycle_id == cycle.c.id)
        .where(box.c.subscription_id == table.c.id, box.c.state == BoxState.PLANNED)
        .scalar_subquery()
    )


def _follower(gift: sa.Table) -> sa.ScalarSelect[Any]:
    order, own = table_of(Checkout), table_of(Subscription).alias()
    return (
        sa.select(own.c.public_id)
        .join(order, order.c.id == own.c.checkout_id)
        .where(order.c.id == gift.c.checkout_id, order.c.state == "done")
        .order_by(own.c.checkout_position)
        .limit(1)
        .scalar_subquery()
    )


def _address(row: AnyRow) -> dict[str, str]:
    if row.address_id is None:
        return {}
    return {name: str(getattr(row, f"to_{name}")) for name in ADDRESS_COLUMNS}


def _view(row: AnyRow) -> GiftView:
    is_claimed = row.claimed_at is not None
    return GiftView(
        public_id=row.public_id,
        subscription=row.ref,
        giver=row.giver_name,
        name=row.recipient_name,
        email=row.recipient_email,
        country=row.country,
        message=row.message,
        send_on=row.send_on,
        state=state_of(is_told=row.told_at is not None, is_claimed=is_claimed),
        plan=row.plan,
        plan_code=row.plan_code,
        boxes=row.box_count,
        ships_on=row.ships_on,
        cutoff_on=row.cutoff_on,
        invoice=row.invoice or "",
        followed_by=row.followed_by or "",
        is_quiet=row.is_quiet,
        claimed_at=row.claimed_at,
        goes_to=_address(row),
    )
