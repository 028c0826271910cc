"""Choose what is in the next box, and say what is not tolerated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState
from storefront.domain.choices import Fault, FaultKind, refusals
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.models import Box, Product, ProductVariant, Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.choices import avoided_by, write_answer, write_choice
from storefront.operations.choosing import Offer, OpenBox, offer_for, open_boxes
from storefront.operations.consents import Given, write_health
from storefront.operations.keys import AnyRow
from storefront.operations.skips import Coming, read_coming
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

T = TypeVar("T")


class NotFound(DomainError):
    """No such subscription or box of this customer."""

    code = "not_found"


class ChoiceTooLate(DomainError):
    """The box cannot be chosen for (any more, or yet). ``next_cycle`` and ``next_on`` name the
    first that can, None if there is none in sight."""

    code = "choice_too_late"


class NothingToChoose(DomainError):
    """The recipe of the box leaves nothing to choose."""

    code = "nothing_to_choose"


class BadChoice(DomainError):
    """The choice breaks rules: ``faults`` in the order of the pool."""

    code = "bad_choice"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was saved: for the box that leaves on ``ship_on``, changeable until ``until_on``.

    ``missing`` pieces are added by the default rule.
    """

    ship_on: date
    until_on: date
    pieces: int
    missing: int


def choose_contents(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    cycle: str,
    picks: Mapping[str, int],
    who: Who | None = None,
) -> Chosen:
    """Save what is in the box of ``cycle``: pieces for one box by variant.

    It replaces what was chosen before. Fewer than the rule asks for are completed at the lock.
    Only for the first box that may still change, because pieces are set aside for it.
    ``who``: staff do it for the customer, until the lock.
    Raises ``NotFound``, ``ChoiceTooLate``, ``NothingToChoose`` or ``BadChoice``.
    """

    def work() -> Chosen:
        coming, box, offer = _offer(rt, customer_id, subscription, cycle, who)
        variants = _variants(rt, picks)
        chosen = {variants[ref]: pieces for ref, pieces in picks.items() if ref in variants}
        rule = offer.recipe.rule
        assert rule is not None
        found = refusals(rule, offer.pool, offer.barred, chosen)
        if set(picks) - set(variants):
            found.insert(0, Fault(FaultKind.UNKNOWN))
        if found:
            raise BadChoice(found)
        ordered = {
            one.variant: chosen[one.variant] for one in offer.pool if chosen.get(one.variant)
        }
        write_choice(rt.session, coming.row.id, box.cycle.id, ordered, rt.now())
        _note(rt, coming, box, ordered, who)
        rt.session.commit()
        pieces = sum(ordered.values())
        return Chosen(box.cycle.ship_from, _until(box, who), pieces, rule.pieces - pieces)

    return _changing(rt, work)


def leave_it_to_us(
    rt: Runtime, customer_id: int, subscription: str, cycle: str, who: Who | None = None
) -> Chosen:
    """Take back what was chosen for the box, so that the default rule fills it.

    Raises ``NotFound``, ``ChoiceTooLate`` or ``NothingToChoose``.
    """

    def work() -> Chosen:
        coming, box, offer = _offer(rt, customer_id, subscription, cycle, who)
        if offer.subscriber.chosen is not None:
            write_choice(rt.session, coming.row.id, box.cycle.id, {}, rt.now())
            _note(rt, coming, box, {}, who)
        rt.session.commit()
        rule = offer.recipe.rule
        return Chosen(box.cycle.ship_from, _until(box, who), 0, rule.pieces if rule else 0)

    return _changing(rt, work)


def answer_allergies(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    allergens: Sequence[str],
    who: Who | None = None,
    given: Given | None = None,
) -> bool:
    """Save what the subscriber does not tolerate; returns whether that is new.

    ``given``: the words by which the subscriber lets it be kept, or takes that back.

    It counts for every box that is not packed yet. Only words that products of the shop carry
    or that were answered before are taken. What is answered is health data, so neither the
    timeline nor the audit trail repeats it. Raises ``NotFound``.
    """

    def work() -> bool:
        table = table_of(Subscription)
        row = rt.session.execute(
            sa.select(table.c.id, table.c.public_id)
            .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound(subscription=subscription)
        known = _known_allergens(rt, row.id)
        wanted = [word for word in dict.fromkeys(allergens) if word in known]
        changed = write_answer(rt.session, row.id, wanted, rt.now())
        if changed:
            entry = Entry(row.id, row.public_id, EventKind.ANSWERS_CHANGED, _actor(who))
            record(rt.session, [entry], rt.moment())
            if given is not None:
                keeps = bool(wanted)
                write_health(rt.session, customer_id, given, keeps=keeps, moment=rt.moment())
            if who is not None:
                audit.write(
                    rt.session, who.id, "choice.answered", subscription, {}, {}, rt.moment(), who.ip
                )
        rt.session.commit()
        return changed

    return _changing(rt, work)


def _known_allergens(rt: Runtime, subscription_id: int) -> set[str]:
    """Return every word for an allergen that a product carries or that was answered before."""
    product = table_of(Product)
    texts = rt.session.scalars(sa.select(sa.cast(product.c.allergens, sa.Text)).distinct())
    answered = avoided_by(rt.session, [subscription_id]).get(subscription_id, frozenset())
    return {word for text in texts for word in json.loads(text or "[]")} | answered


def _offer(
    rt: Runtime, customer_id: int, subscription: str, cycle: str, who: Who | None
) -> tuple[Coming, OpenBox, Offer]:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=True)
    if not found:
        raise NotFound(subscription=subscription)
    coming = found[0]
    at = next((row for row in coming.cycles.values() if row.public_id == cycle), None)
    if at is None:
        raise NotFound(cycle=cycle)
    boxes = open_boxes(rt.session, coming, rt.today(), by_staff=who is not None)
    if not boxes or boxes[0].cycle.id != at.id or not _holds(rt, boxes[0]):
        first = next((box for box in boxes if box.cycle.id != at.id), None)
        raise ChoiceTooLate(
            box_on=at.ship_from,
            next_on=first.cycle.ship_from if first else None,
            next_cycle=first.cycle.public_id if first else None,
        )
    offer = offer_for(rt.session, coming.row.id, boxes[0], for_update=True)
    if offer is None:
        raise NothingToChoose(cycle=cycle)
    return coming, boxes[0], offer


def _holds(rt: Runtime, box: OpenBox) -> bool:
    """Lock a paid box, and return whether it still is not packed."""
    if box.box_id is None:
        return True
    table = table_of(Box)
    state = rt.session.scalar(
        sa.select(table.c.state).where(table.c.id == box.box_id).with_for_update()
    )
    return state in (BoxState.PLANNED, BoxState.HELD)


def _variants(rt: Runtime, picks: Mapping[str, int]) -> dict[str, int]:
    table = table_of(ProductVariant)
    rows = rt.session.execute(
        sa.select(table.c.public_id, table.c.id).where(table.c.public_id.in_(list(picks)))
    )
    return {row.public_id: row.id for row in rows}


def _until(box: OpenBox, who: Who | None) -> date:
    day: date = box.cycle.cutoff_on if who is None else box.cycle.lock_on
    return day


def _actor(who: Who | None) -> Actor:
    return Actor.CUSTOMER if who is None else Actor.STAFF


def _note(
    rt: Runtime, coming: Coming, box: OpenBox, chosen: Mapping[int, int], who: Who | None
) -> None:
    """Write into the timeline what was chosen, by name, and into the audit trail that staff did."""
    row: AnyRow = coming.row
    names = _names(rt, chosen)
    data = {
        "cycle": box.cycle.key,
        "ship_on": box.cycle.ship_from.isoformat(),
        "items": [[names[variant], pieces] for variant, pieces in chosen.items()],
    }
    ref = who.public_id if who else ""
    entry = Entry(row.id, row.public_id, EventKind.BOX_CHOSEN, _actor(who), ref, data)
    record(rt.session, [entry], rt.moment())
    if who is not None:
        audit.write(
            rt.session, who.id, "choice.saved", row.public_id, {}, data, rt.moment(), who.ip
        )


def _names(rt: Runtime, variants: Mapping[int, int]) -> dict[int, str]:
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = rt.session.execute(
        sa.select(variant.c.id, sa.func.trim(product.c.name + " " + variant.c.name).label("name"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(list(variants)))
    )
    return {row.id: row.name for row in rows}


def _changing(rt: Runtime, work: Callable[[], T]) -> T:
    """Run one whole change; a refusal leaves nothing behind."""
    try:
        return retrying(rt.session, work)
    except DomainError:
        rt.session.rollback()
        raise
