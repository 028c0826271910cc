"""Whether there is anything to do, asked of many jobs in one statement.

A question holds the very statements with which its job looks for work, so the two cannot drift
apart. It may say yes when the job then finds nothing; never no when it would find something.
Source: docs/decisions/0102-ask-before-working.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.operations.keys import AnySelect
from storefront.operations.moment import Moment

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """Yes while one of the statements of ``finds`` finds a row.

    ``values`` gives their parameters, by names that mean the same in every question; sizes of
    batches are not among them.
    """

    finds: Callable[[], Sequence[AnySelect]]
    values: Callable[[Moment], Values]

    def is_yes(self) -> sa.ColumnElement[bool]:
        """Return the condition; for a statement that is kept for good."""
        return sa.or_(*[_exists(statement) for statement in self.finds()])


def at_now(moment: Moment) -> Values:
    """Return the parameter of statements that ask only what time it is."""
    return {"now": moment.now}


def on_today(moment: Moment) -> Values:
    """Return the parameter of statements that ask only which day it is."""
    return {"today": moment.today}


def _exists(statement: AnySelect) -> sa.ColumnElement[bool]:
    # The order only chooses among several, and so does the size of a batch.
    return statement.order_by(None).limit(None).exists()
