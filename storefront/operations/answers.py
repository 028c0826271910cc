"""What subscribers answered to the questions of their plan, and whether another answer costs more.

What is answered counts for every box whose cut-off is not over: a box uses the answers as they
stand at the end of its cut-off day. ``subscription.options`` holds the newest, a box those it is
packed by; the rows here say what was answered before, from which box on, and in which words.
Source: docs/decisions/0187-answers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind
from storefront.domain.money import Money
from storefront.domain.packing import option_keys
from storefront.domain.shipping import Delivery
from storefront.models import (
    Box,
    BoxCycle,
    OptionAnswer,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.shipping import read_delivery
from storefront.operations.skips import MOVABLE
from storefront.operations.terms import OptionTexts, option_texts, surcharges_of
from storefront.operations.wordings import Wordings, Words, read_wordings


class Answered(NamedTuple):
    """Answers by question before and after a change, with the price they were given for."""

    subscription_id: int
    before: Mapping[str, str]
    price_before: int
    after: Mapping[str, str]
    price_after: int
    #: The first cycle it counts for; None: whatever comes, for the plan changed with it.
    cycle_id: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerCosts:
    """What decides whether two sets of answers to a plan's questions cost the same."""

    plan_id: int
    plan_code: str
    currency: str
    texts: OptionTexts
    delivery: Delivery

    def are_same(self, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
        """Return whether each answer has the surcharge of the other, and the box its weight."""
        weights = [self.delivery.grams(self.plan_code, option_keys(one)) for one in (before, after)]
        return self._surcharges(before) == self._surcharges(after) and weights[0] == weights[1]

    def _surcharges(self, options: Mapping[str, str]) -> dict[str, Money]:
        found = surcharges_of(options, self.plan_id, self.currency, self.texts)
        return {ref.partition("=")[0]: amount for _text, ref, amount in found}


def answer_costs(session: AnySession, plan_id: int, plan_code: str, currency: str) -> AnswerCosts:
    """Read what the answers of a plan cost, those too that are not offered any more."""
    texts = option_texts(session, {plan_id})
    return AnswerCosts(plan_id, plan_code, currency, texts, read_delivery(session))


def next_cycle(session: AnySession, plan_id: int, today: date) -> int | None:
    """Return the first cycle of a plan whose cut-off is not over, None where none is planned."""
    plan, cycle = table_of(Plan), table_of(BoxCycle)
    found: int | None = session.scalar(
        sa.select(cycle.c.id)
        .join(plan, plan.c.cycle_group_id == cycle.c.group_id)
        .where(plan.c.id == plan_id, cycle.c.cutoff_on >= today)
        .order_by(cycle.c.ship_from, cycle.c.id)
        .limit(1)
    )
    return found


def write_answers(session: AnySession, changes: Sequence[Answered], moment: Moment) -> None:
    """Add a row for every answer that changed; nothing where none did.

    The first time, what was answered before gets a row too, in the words of its order. The
    caller has changed the rows of the subscriptions, so that two changes of one come one after
    the other.
    """
    changed = [one for one in changes if dict(one.before) != dict(one.after)]
    if not changed:
        return
    known = _known(session, changed)
    rows = [row for one in changed for row in _rows(one, known, moment.now)]
    if rows:
        session.execute(sa.insert(table_of(OptionAnswer)), rows)


class _Known(NamedTuple):
    """Plan by price, words, newest number by question, and when who ordered, where it matters."""

    plans: Mapping[int, int]
    wordings: Wordings
    last: Mapping[tuple[int, str], int]
    ordered: Mapping[int, datetime]


def _known(session: AnySession, changed: Sequence[Answered]) -> _Known:
    price, ids = table_of(Price), [one.subscription_id for one in changed]
    keys = {key for one in changed for key in (one.price_before, one.price_after)}
    of_price = session.execute(sa.select(price.c.id, price.c.plan_id).where(price.c.id.in_(keys)))
    plans = {row.id: int(row.plan_id) for row in of_price}
    wordings = read_wordings(session, set(plans.values()))
    ordered = _ordered_at(session, ids) if wordings.former else {}
    return _Known(plans, wordings, _last_numbers(session, ids), ordered)


def _rows(one: Answered, known: _Known, now: datetime) -> list[dict[str, Any]]:
    old, new = known.plans[one.price_before], known.plans[one.price_after]
    words, rows = known.wordings.now, []
    for question in sorted({*one.before, *one.after}):
        said = one.before.get(question, ""), one.after.get(question, "")
        if said[0] == said[1]:
            continue
        key = (one.subscription_id, question)
        number = known.last.get(key, 0)
        if not number and said[0]:
            number = 1
            ordered = known.ordered.get(one.subscription_id)
            first = known.wordings.at((old, question, said[0]), ordered)
            rows.append(_row(key, 1, said[0], first, None, None))
        named = words.get((new, question, said[1])) or (_asked(words, question), "")
        rows.append(_row(key, number + 1, said[1], named, one.cycle_id, now))
    return rows


def _row(
    of: tuple[int, str],
    number: int,
    answer: str,
    words: tuple[str, str] | None,
    cycle_id: int | None,
    at: datetime | None,
) -> dict[str, Any]:
    question_name, answer_name = words or (of[1], answer)
    return {
        "subscription_id": of[0],
        "question": of[1],
        "number": number,
        "answer": answer,
        "question_name": question_name,
        "answer_name": answer_name,
        "cycle_id": cycle_id,
        "answered_at": at,
    }


def _asked(words: Words, question: str) -> str:
    """Return what a question is called whose answer is gone; its code where nobody knows."""
    names = (names[0] for (_plan, code, _answer), names in words.items() if code == question)
    return next(names, question)


def _ordered_at(session: AnySession, ids: Sequence[int]) -> dict[int, datetime]:
    table = table_of(Subscription)
    rows = session.execute(sa.select(table.c.id, table.c.created_at).where(table.c.id.in_(ids)))
    return {row.id: row.created_at for row in rows}


def _last_numbers(session: AnySession, ids: Sequence[int]) -> dict[tuple[int, str], int]:
    table = table_of(OptionAnswer)
    rows = session.execute(
        sa.select(
            table.c.subscription_id, table.c.question, sa.func.max(table.c.number).label("number")
        )
        .where(table.c.subscription_id.in_(ids))
        .group_by(table.c.subscription_id, table.c.question)
    )
    return {(row.subscription_id, row.question): int(row.number) for row in rows}


def answer_boxes(session: AnySession, row: AnyRow, answers: Mapping[str, str], today: date) -> None:
    """Give paid boxes whose cut-off is not over these answers, and a change that waits too.

    ``row`` is the subscription as it was. What the waiting change alters itself stays as it was
    wished for.
    """
    box, cycle = table_of(Box), table_of(BoxCycle)
    boxes = session.execute(
        sa.select(box.c.id, box.c.options)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            box.c.subscription_id == row.id,
            box.c.plan_id == row.plan_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state.in_(MOVABLE),
            sa.or_(cycle.c.id.is_(None), cycle.c.cutoff_on >= today),
        )
    ).all()
    for one in boxes:
        values = {**(one.options or {}), **answers}
        session.execute(sa.update(box).where(box.c.id == one.id).values(options=values))
    _answer_waiting(session, row, answers)


def _answer_waiting(session: AnySession, row: AnyRow, answers: Mapping[str, str]) -> None:
    table, price = table_of(ScheduledChange), table_of(Price)
    waiting = session.execute(
        sa.select(table.c.id, table.c.data)
        .join(price, price.c.id == table.c.price_id)
        .where(
            table.c.subscription_id == row.id,
            table.c.state == "waiting",
            price.c.plan_id == row.plan_id,
        )
    ).all()
    before = row.options or {}
    for one in waiting:
        wished = (one.data or {}).get("options")
        if wished is None:
            continue
        kept = {code: say for code, say in answers.items() if wished.get(code) == before.get(code)}
        data = {**one.data, "options": {**wished, **kept}}
        session.execute(sa.update(table).where(table.c.id == one.id).values(data=data))
