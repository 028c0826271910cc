"""What questions and answers of a plan are called, and what they were called before.

Source: docs/decisions/0190-renaming-questions.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from storefront.models import Option, OptionGroup, OptionWording
from storefront.models.base import table_of
from storefront.operations.keys import AnySession

#: Plan, question and answer by their codes; an empty answer is the question itself.
Key = tuple[int, str, str]
#: Names of question and answer.
Words = Mapping[Key, tuple[str, str]]


class Former(NamedTuple):
    """A name that was given up, and when."""

    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Wordings:
    """Names as they are, and the former ones, oldest first."""

    now: Words
    former: Mapping[Key, Sequence[Former]]

    def at(self, key: Key, when: datetime | None) -> tuple[str, str] | None:
        """Return question and answer as they were called ``when``; None where nobody knows.

        ``when`` None: as they are called now.
        """
        names = self.now.get(key)
        if names is None or when is None:
            return names
        plan_id, question, _answer = key
        return (
            self._then((plan_id, question, ""), names[0], when),
            self._then(key, names[1], when),
        )

    def _then(self, key: Key, now: str, when: datetime) -> str:
        return next((one.name for one in self.former.get(key, ()) if when < one.until), now)


def answer_words(session: AnySession, plan_ids: set[int]) -> Words:
    """Return what questions and answers are called, also of those not offered any more."""
    group, option = table_of(OptionGroup), table_of(Option)
    rows: sa.Result[Any] = session.execute(
        sa.select(
            group.c.plan_id,
            group.c.code.label("question"),
            option.c.code,
            group.c.name.label("question_name"),
            option.c.name,
        )
        .join(option, option.c.group_id == group.c.id)
        .where(group.c.plan_id.in_(plan_ids))
    )
    return {(row.plan_id, row.question, row.code): (row.question_name, row.name) for row in rows}


def read_wordings(session: AnySession, plan_ids: set[int]) -> Wordings:
    """Return the names of all questions and answers of these plans; two statements."""
    table = table_of(OptionWording)
    rows = session.execute(
        sa.select(table).where(table.c.plan_id.in_(plan_ids)).order_by(table.c.plan_id, table.c.id)
    )
    former: dict[Key, list[Former]] = defaultdict(list)
    for row in rows:
        former[row.plan_id, row.question, row.answer].append(Former(row.name, row.until_at))
    return Wordings(answer_words(session, plan_ids), former)


def keep_wording(session: AnySession, key: Key, name: str, now: datetime) -> None:
    """Keep ``name``, which is given up ``now``."""
    plan_id, question, answer = key
    row = {"plan_id": plan_id, "question": question, "answer": answer, "name": name}
    session.execute(sa.insert(table_of(OptionWording)).values(**row, until_at=now))
