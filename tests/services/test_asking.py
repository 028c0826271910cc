"""What holds jobs to their questions, in tests, sees everything that they write."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.jobs.work import REFUNDS, Job
from storefront.models import SelfCheck
from storefront.models.base import table_of
from storefront.runtime import Runtime
from tests.support.asking import WorkPassedOver, run_asked, works

CHECK = table_of(SelfCheck)
ROW = {"at": datetime(2027, 3, 1, tzinfo=UTC), "milliseconds": 1, "is_whole": True, "broken": {}}

Write = Callable[[Runtime], object]

#: In this order: each finds rows of those before it.
WRITES: dict[str, Write] = {
    "one row": lambda rt: rt.session.add(SelfCheck(**ROW)),
    "rows at once": lambda rt: rt.session.add_all([SelfCheck(**ROW), SelfCheck(**ROW)]),
    "an insert": lambda rt: rt.session.execute(sa.insert(CHECK).values(**ROW)),
    "many inserts": lambda rt: rt.session.execute(sa.insert(CHECK), [ROW, ROW]),
    "an update": lambda rt: rt.session.execute(sa.update(CHECK).values(milliseconds=2)),
    "a delete": lambda rt: rt.session.execute(sa.delete(CHECK)),
}
NO_WRITES: dict[str, Write] = {
    "a look": lambda rt: rt.session.execute(sa.select(CHECK)).all(),
    "an update of nothing": lambda rt: rt.session.execute(
        sa.update(CHECK).where(CHECK.c.id < 0).values(milliseconds=2)
    ),
    "a delete of nothing": lambda rt: rt.session.execute(sa.delete(CHECK).where(CHECK.c.id < 0)),
}


def doing(write: Write) -> Job:
    """Return a job that does ``write``, with questions that say no in a shop without refunds."""

    def run(rt: Runtime) -> None:
        write(rt)
        rt.session.commit()

    return replace(REFUNDS, run=run)


def test_whatever_a_job_writes_that_no_question_announced_is_seen(rt: Runtime) -> None:
    for name, write in WRITES.items():
        with pytest.raises(WorkPassedOver, match="self_check"):
            run_asked(rt, doing(write))
        assert name == "a delete" or works(rt, doing(write)), name


def test_a_job_that_changed_no_row_was_not_passed_over(rt: Runtime) -> None:
    for name, write in NO_WRITES.items():
        assert run_asked(rt, doing(write)), name
        assert not works(rt, doing(write)), name
