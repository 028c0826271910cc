"""Answer a question about the box anew, where that costs the same; it counts from the next box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED
from storefront.models import Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.answers import (
    Answered,
    answer_boxes,
    answer_costs,
    next_cycle,
    write_answers,
)
from storefront.operations.audit import Who
from storefront.operations.choice_losses import Loss, answered, losses_of, token_of
from storefront.operations.choosing import open_boxes
from storefront.operations.keys import AnyRow
from storefront.operations.offers import read_questions
from storefront.operations.skips import read_coming
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime


class NotFound(DomainError):
    """No such subscription of this customer, or it has ended."""

    code = "not_found"


class NotOffered(DomainError):
    """The plan does not ask ``question``, or offers no such answer any more."""

    code = "not_offered"


class CostsOther(DomainError):
    """Another answer, or the weight of its box, costs more or less: that changes the plan."""

    code = "costs_other"


class ChoiceFallsOut(DomainError):
    """What was chosen for coming boxes does not come with these answers: ``losses``."""

    code = "choice_falls_out"

    def __init__(self, losses: Sequence[Loss]) -> None:
        super().__init__()
        self.losses = tuple(losses)


@dataclass(frozen=True, slots=True)
class Saved:
    """Whether anything is new, and the day of the first box it counts for; None: none is open.

    ``losses``: what was chosen and does not come any more.
    """

    is_new: bool
    box_on: date | None
    losses: tuple[Loss, ...] = ()


def change_answers(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    answers: Mapping[str, str],
    who: Who | None = None,
    *,
    shown: str = "",
) -> Saved:
    """Save ``answers`` by question, for every box whose cut-off is not over and from then on.

    Nothing is charged and nothing given back. Raises ``NotFound``, ``NotOffered``,
    ``CostsOther``, or ``ChoiceFallsOut`` where other choices fall out than ``shown`` (the token
    of these losses) says. ``who``: staff do it for the customer.
    """

    def work() -> Saved:
        row = _own(rt, customer_id, subscription)
        before = {code: str(said) for code, said in (row.options or {}).items()}
        wanted = {code: said for code, said in answers.items() if said != before.get(code)}
        _check(rt, row, before, wanted)
        found = read_coming(rt.session, table_of(Subscription).c.id == row.id, rt.today())
        boxes = open_boxes(rt.session, found[0], rt.today()) if found else []
        changed = answered(boxes, row.plan_id, wanted) if wanted else []
        losses = losses_of(rt.session, row.id, changed)
        if losses and token_of(losses) != shown:
            raise ChoiceFallsOut(losses)
        if wanted:
            _write(rt, row, before, wanted, who)
        rt.session.commit()
        first = boxes[0].cycle.ship_from if boxes else None
        return Saved(bool(wanted), first, tuple(losses))

    try:
        return decide_again(rt.session, work)
    except DomainError:
        rt.session.rollback()
        raise


def _own(rt: Runtime, customer_id: int, subscription: str) -> AnyRow:
    table, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    row = rt.session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.version,
            table.c.plan_id,
            table.c.price_id,
            table.c.options,
            plan.c.code,
            price.c.currency,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .where(
            table.c.public_id == subscription,
            table.c.customer_id == customer_id,
            table.c.state.not_in(ENDED),
        )
    ).one_or_none()
    if row is None:
        raise NotFound(subscription=subscription)
    return row


def _check(rt: Runtime, row: AnyRow, before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    questions = read_questions(rt.session, row.plan_id, row.currency)
    offered = {one.code: {choice.code for choice in one.choices} for one in questions}
    for code, said in wanted.items():
        if said not in offered.get(code, ()):
            raise NotOffered(question=code)
    costs = answer_costs(rt.session, row.plan_id, row.code, row.currency)
    if not costs.are_same(before, {**before, **wanted}):
        raise CostsOther(subscription=row.public_id)


def _write(
    rt: Runtime,
    row: AnyRow,
    before: Mapping[str, str],
    wanted: Mapping[str, str],
    who: Who | None,
) -> None:
    moment, after = rt.moment(), {**before, **wanted}
    # The version tells a renewal or a payment that has read the old answers to read again.
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {"options": after})])
    answer_boxes(rt.session, row, wanted, moment.today)
    cycle_id = next_cycle(rt.session, row.plan_id, moment.today)
    answered = Answered(row.id, before, row.price_id, after, row.price_id, cycle_id)
    write_answers(rt.session, [answered], moment)
    actor, ref = (Actor.CUSTOMER, "") if who is None else (Actor.STAFF, who.public_id)
    # What was answered stands in its own rows, which go with an erased person; the log of the
    # staff cannot be blanked.
    data = {"questions": sorted(wanted)}
    entry = Entry(row.id, row.public_id, EventKind.OPTIONS_CHANGED, actor, ref, data)
    record(rt.session, [entry], moment)
    if who is not None:
        audit.write(
            rt.session,
            who.id,
            "answers.changed",
            row.public_id,
            {},
            data,
            moment,
            who.ip,
        )
