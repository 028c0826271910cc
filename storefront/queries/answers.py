"""What a plan asks about its boxes, what was answered when, and from which box on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.lifecycle import ENDED
from storefront.models import BoxCycle, OptionAnswer, OptionGroup, Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.answers import AnswerCosts, answer_costs
from storefront.operations.choosing import open_boxes
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.offers import Question, read_questions
from storefront.operations.skips import read_coming
from storefront.operations.wordings import Words, answer_words


@dataclass(frozen=True, slots=True)
class Answer:
    """Something to answer that costs the same as what is answered now."""

    code: str
    name: str
    hint: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what can be answered for nothing; ``has_dearer``: others cost otherwise."""

    code: str
    name: str
    hint: str
    answers: tuple[Answer, ...]
    chosen: str
    has_dearer: bool


@dataclass(frozen=True, slots=True)
class Said:
    """One answer in the words it had then; ``answer`` empty: none any more.

    It holds from the box of ``box_on``; without one, from the day it was given on (``on``
    None: with the order). ``now``: what the answer is called today, where that is something else.
    """

    question: str
    answer: str
    now: str
    box_on: date | None
    on: date | None


@dataclass(frozen=True, slots=True)
class AnswersPage:
    """The questions of a subscription's plan, and everything that was answered, newest first."""

    subscription: str
    plan: str
    questions: tuple[Asked, ...]
    said: tuple[Said, ...]
    #: The first box that what is answered now counts for, and until when; None: none is open.
    box_on: date | None
    until: datetime | None
    is_ended: bool

    @property
    def can_answer(self) -> bool:
        """Return whether there is anything to choose between."""
        return not self.is_ended and any(len(one.answers) > 1 for one in self.questions)

    @property
    def has_dearer(self) -> bool:
        return any(one.has_dearer for one in self.questions)


def asks_of(subscription: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that a subscription's plan asks about its boxes, or that it answered once."""
    group, said = table_of(OptionGroup), table_of(OptionAnswer)
    asked = sa.exists().where(group.c.plan_id == subscription.c.plan_id)
    return sa.or_(asked, sa.exists().where(said.c.subscription_id == subscription.c.id))


def asks_anything(session: AnySession, subscription: str) -> bool:
    """Return whether a subscription has preferences to show."""
    table = table_of(Subscription)
    return bool(session.scalar(sa.select(asks_of(table)).where(table.c.public_id == subscription)))


def answers_page(
    session: AnySession, customer_id: int, subscription: str, moment: Moment
) -> AnswersPage | None:
    """Return the page, None where there is no such subscription of the customer."""
    row = _own(session, customer_id, subscription)
    if row is None:
        return None
    before = {code: str(said) for code, said in (row.options or {}).items()}
    costs = answer_costs(session, row.plan_id, row.code, row.currency)
    words = answer_words(session, {row.plan_id})
    questions = read_questions(session, row.plan_id, row.currency)
    found = read_coming(session, table_of(Subscription).c.id == row.id, moment.today)
    boxes = open_boxes(session, found[0], moment.today) if found else []
    first = boxes[0].cycle if boxes else None
    return AnswersPage(
        row.public_id,
        row.name,
        tuple(_asked(one, before, costs, words) for one in questions),
        _said(session, row, words, moment),
        first.ship_from if first else None,
        _last_second(moment, first.cutoff_on) if first else None,
        row.state in ENDED,
    )


def _own(session: AnySession, customer_id: int, subscription: str) -> AnyRow | None:
    table, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    row: AnyRow | None = session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.state,
            table.c.plan_id,
            table.c.options,
            plan.c.code,
            plan.c.name,
            price.c.currency,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    ).one_or_none()
    return row


def _asked(
    question: Question, before: Mapping[str, str], costs: AnswerCosts, words: Words
) -> Asked:
    chosen = before.get(question.code, "")
    free = tuple(
        Answer(one.code, one.name, one.hint)
        for one in question.choices
        if costs.are_same(before, {**before, question.code: one.code})
    )
    has_dearer = len(free) < len(question.choices)
    if chosen and chosen not in {one.code for one in free}:
        # Not offered any more; who has it keeps it.
        name = words.get((costs.plan_id, question.code, chosen), ("", chosen))[1]
        free = (Answer(chosen, name, ""), *free)
    return Asked(question.code, question.name, question.hint, free, chosen, has_dearer)


def _said(session: AnySession, of: AnyRow, words: Words, moment: Moment) -> tuple[Said, ...]:
    table, cycle = table_of(OptionAnswer), table_of(BoxCycle)
    rows = session.execute(
        sa.select(
            table.c.question,
            table.c.answer,
            table.c.question_name,
            table.c.answer_name,
            cycle.c.ship_from,
            table.c.answered_at,
        )
        .outerjoin(cycle, cycle.c.id == table.c.cycle_id)
        .where(table.c.subscription_id == of.id)
        # What came with the order is the oldest, whenever its row was written.
        .order_by(table.c.answered_at.is_(None), table.c.answered_at.desc(), table.c.id.desc())
    )
    return tuple(
        Said(
            row.question_name,
            row.answer_name,
            _called(row, of.plan_id, words),
            row.ship_from,
            moment.day_of(row.answered_at) if row.answered_at else None,
        )
        for row in rows
    )


def _called(row: AnyRow, plan_id: int, words: Words) -> str:
    """Return today's name of an answer of this plan; empty where it is still the same."""
    name = words.get((plan_id, row.question, row.answer), ("", row.answer_name))[1]
    return name if name != row.answer_name else ""


def _last_second(moment: Moment, day: date) -> datetime:
    return moment.start_of(day + timedelta(days=1)) - timedelta(seconds=1)
