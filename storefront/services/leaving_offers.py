"""Keep what is offered to somebody about to leave, and count what they answer.

Looking at an offer writes nothing. It counts as made when the page it stood on was answered:
taken, or cancelled all the same. Source: docs/decisions/0213-one-offer-at-most.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.coupons import normalise_code
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.leaving import OFFERS, may_offer
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.pauses import BOXES_OFFERED
from storefront.models import Address, LeavingOffer, Plan, Subscription, SubscriptionEvent
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import UnknownPlan, lock_catalogue
from storefront.operations.coupons import find_code
from storefront.operations.keys import AnyRow
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

_MADE = (EventKind.OFFER_TAKEN, EventKind.OFFER_DECLINED)
#: The longest time between two offers, in days.
LONGEST_REST = 3650


class OfferGone(DomainError):
    """No such offer."""

    code = "offer_gone"


class BadOffer(DomainError):
    """``reason``: kind, boxes, rest_days, code (none that lowers coming payments) or to_plan."""

    code = "bad_offer"


@dataclass(frozen=True, slots=True)
class OfferDraft:
    """An offer as typed; ``plan`` is the public id of the plan it is for, empty: of any.

    ``to_plan`` is the public id of the plan that is offered.
    """

    kind: str
    rest_days: int
    boxes: int = 0
    code: str = ""
    plan: str = ""
    to_plan: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be offered to somebody; ``to_plan`` is the key of the plan that is offered."""

    ref: str
    kind: str
    boxes: int
    code: str
    to_plan: int | None = None


def add_offer(rt: Runtime, who: Who, draft: OfferDraft) -> str:
    """Make an offer and return its name. Raises ``BadOffer`` and ``UnknownPlan``."""
    _check(draft)

    def write() -> str:
        table = table_of(LeavingOffer)
        lock_catalogue(rt.session)
        values: dict[str, Any] = {
            "kind": draft.kind,
            "boxes": draft.boxes if draft.kind == "pause" else 0,
            "code": _code(rt, draft) if draft.kind == "discount" else "",
            "rest_days": draft.rest_days,
        }
        of, to = (
            _plan(rt, draft.plan) if draft.plan else None,
            _plan(rt, draft.to_plan) if draft.kind == "plan" else None,
        )
        keys = {"plan_id": of.id if of else None, "to_plan_id": to.id if to else None}
        ref = public_id("off")
        new = {"public_id": ref, "taken": 0, "declined": 0, "created_at": rt.now()}
        rt.session.execute(sa.insert(table).values(**values, **keys, **new))
        names = {"plan": of.name if of else "", "offered_plan": to.name if to else ""}
        told = {key: value for key, value in (values | names).items() if value not in ("", 0)}
        audit.write(rt.session, who.id, "leaving_offer.added", ref, {}, told, rt.moment(), who.ip)
        rt.session.commit()
        return ref

    return retrying(rt.session, write)


def remove_offer(rt: Runtime, who: Who, ref: str) -> None:
    """Make an offer to nobody any more; what was taken stays. Raises ``OfferGone``."""

    def write() -> None:
        table = table_of(LeavingOffer)
        gone = rt.session.execute(
            sa.delete(table).where(table.c.public_id == ref).returning(table)
        ).one_or_none()
        if gone is None:
            rt.session.rollback()
            raise OfferGone(offer=ref)
        before = {"kind": gone.kind, "taken": gone.taken, "declined": gone.declined}
        audit.write(
            rt.session, who.id, "leaving_offer.removed", ref, before, {}, rt.moment(), who.ip
        )
        rt.session.commit()

    retrying(rt.session, write)


def offers_for(rt: Runtime, customer_id: int, subscription: str) -> list[Offer]:
    """Return what may be offered to somebody who looks at leaving, the first choice first.

    Whether one can be had now, such as a pause, is for the caller to ask. Empty where the law
    of the place or an offer not long ago forbids it.
    """
    row = _subscription(rt, customer_id, subscription)
    runs = row is not None and row.state == SubscriptionState.ACTIVE
    if row is None or not runs or row.cancel_on is not None or row.held_at is not None:
        return []
    table, moment = table_of(LeavingOffer), rt.moment()
    rows = rt.session.execute(
        sa.select(table)
        .where(sa.or_(table.c.plan_id.is_(None), table.c.plan_id == row.plan_id))
        .order_by(table.c.plan_id.is_(None), table.c.id)
    ).all()
    if not rows:
        return []
    made_at = _made_at(rt, row.id)
    made_on = made_at.astimezone(moment.zone).date() if made_at else None
    country = row.country or rt.shop.seller_country
    return [
        Offer(one.public_id, one.kind, one.boxes, one.code, one.to_plan_id)
        for one in rows
        if one.to_plan_id != row.plan_id
        and may_offer(country, made_on, one.rest_days, moment.today)
    ]


def note(rt: Runtime, customer_id: int, subscription: str, ref: str, *, taken: bool) -> bool:
    """Count the answer to an offer; False for a second one within its time, and unknown ones."""

    def write() -> bool:
        table = table_of(LeavingOffer)
        row = _subscription(rt, customer_id, subscription, for_update=True)
        one = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
        if row is None or one is None or not _is_new(rt, row, one):
            rt.session.rollback()
            return False
        kind = EventKind.OFFER_TAKEN if taken else EventKind.OFFER_DECLINED
        data = {"offer": ref, "kind": one.kind}
        entry = Entry(row.id, row.public_id, kind, Actor.CUSTOMER, data=data)
        record(rt.session, [entry], rt.moment())
        counted = table.c.taken if taken else table.c.declined
        rt.session.execute(
            sa.update(table).where(table.c.id == one.id).values({counted: counted + 1})
        )
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _is_new(rt: Runtime, row: AnyRow, one: AnyRow) -> bool:
    made_at, moment = _made_at(rt, row.id), rt.moment()
    made_on = made_at.astimezone(moment.zone).date() if made_at else None
    country = row.country or rt.shop.seller_country
    fits = one.plan_id in (None, row.plan_id)
    return fits and may_offer(country, made_on, one.rest_days, moment.today)


def _made_at(rt: Runtime, subscription_id: int) -> Any:
    event = table_of(SubscriptionEvent)
    return rt.session.scalar(
        sa.select(event.c.at)
        .where(event.c.subscription_id == subscription_id, event.c.kind.in_(_MADE))
        .order_by(event.c.id.desc())
        .limit(1)
    )


def _subscription(
    rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = False
) -> AnyRow | None:
    table, address = table_of(Subscription), table_of(Address)
    statement = (
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.plan_id,
            table.c.state,
            table.c.cancel_on,
            table.c.held_at,
            address.c.country,
        )
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    )
    if for_update and rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table)
    return rt.session.execute(statement).one_or_none()


def _check(draft: OfferDraft) -> None:
    reason = ""
    if draft.kind not in OFFERS:
        reason = "kind"
    elif draft.kind == "pause" and not 1 <= draft.boxes <= BOXES_OFFERED:
        reason = "boxes"
    elif draft.kind == "plan" and draft.to_plan in ("", draft.plan):
        reason = "to_plan"
    elif not 1 <= draft.rest_days <= LONGEST_REST:
        reason = "rest_days"
    if reason:
        raise BadOffer(reason=reason)


def _plan(rt: Runtime, ref: str) -> AnyRow:
    plan = table_of(Plan)
    found = rt.session.execute(
        sa.select(plan.c.id, plan.c.name).where(plan.c.public_id == ref)
    ).one_or_none()
    if found is None:
        rt.session.rollback()
        raise UnknownPlan(plan=ref)
    return found


def _code(rt: Runtime, draft: OfferDraft) -> str:
    """Return the code of a discount as it is kept."""
    normalised = normalise_code(draft.code)
    found = find_code(rt.session, normalised) if normalised else None
    if found is None or found.terms.target in ("first_box", "fee"):
        rt.session.rollback()
        raise BadOffer(reason="code")
    return found.code
