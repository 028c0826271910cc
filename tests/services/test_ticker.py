"""One tick after another: what runs, what is passed over, and what never is for long."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storefront.jobs.ticker import NOTE_EVERY, WHOLE_EVERY, Ticker
from storefront.jobs.work import CLOSE_CYCLES, EXPORT, Job
from storefront.models import Customer, JobRun
from storefront.models.base import table_of
from storefront.operations.questions import Question
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.boxes import cycles_of, make_box

TENTH = timedelta(seconds=30)


class Diary:
    """Jobs that write down that they ran; each has work for customers of its own name."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.breaks: set[str] = set()
        self.makes: dict[str, str] = {}

    def job(self, name: str) -> Job:
        def run(rt: Runtime) -> None:
            self.ran.append(name)
            rt.session.execute(sa.delete(Customer).where(Customer.name == name))
            rt.session.commit()
            if name in self.makes:
                work_for(rt, self.makes[name])
            if name in self.breaks:
                raise OSError("disk full")

        table = table_of(Customer)
        due = sa.select(table.c.id).where(table.c.name == sa.bindparam(name))
        return Job(name, run, (Question(lambda: [due], lambda _moment: {name: name}),))

    def of(self, rt: Runtime, ticker: Ticker) -> list[str]:
        """Return what one tick ran."""
        before = len(self.ran)
        assert [job.name for job in ticker.tick(rt)] == self.ran[before:]
        return self.ran[before:]


def work_for(rt: Runtime, name: str) -> None:
    make.make_customer(rt, name=name, email=f"{name}@example.org")


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def ticker(diary: Diary) -> Ticker:
    return Ticker([diary.job("one"), diary.job("two"), diary.job("three")])


def test_the_first_tick_of_a_worker_runs_everything(
    rt: Runtime, diary: Diary, ticker: Ticker
) -> None:
    assert diary.of(rt, ticker) == ["one", "two", "three"]
    assert diary.of(rt, ticker) == []


def test_only_what_has_something_to_do_runs(rt: Runtime, diary: Diary, ticker: Ticker) -> None:
    ticker.tick(rt)
    work_for(rt, "two")
    assert diary.of(rt, ticker) == ["two"]
    assert diary.of(rt, ticker) == []


def test_work_that_a_job_makes_for_a_later_one_is_done_in_the_same_tick(
    rt: Runtime, diary: Diary, ticker: Ticker
) -> None:
    ticker.tick(rt)
    diary.makes = {"one": "three"}
    work_for(rt, "one")
    assert diary.of(rt, ticker) == ["one", "three"]


def test_every_job_runs_once_in_a_while_whatever_its_questions_say(
    rt: Runtime, clock: FrozenClock, diary: Diary, ticker: Ticker
) -> None:
    ticker.tick(rt)
    clock.advance(seconds=WHOLE_EVERY.total_seconds() - 1)
    assert diary.of(rt, ticker) == []
    clock.advance(seconds=1)
    assert diary.of(rt, ticker) == ["one", "two", "three"]


def test_every_job_runs_in_the_first_tick_of_a_day_of_the_shop(
    rt: Runtime, clock: FrozenClock, diary: Diary, ticker: Ticker
) -> None:
    clock.set(datetime(2027, 3, 2, 22, 59, 50, tzinfo=UTC))  # 23:59:50 in Berlin
    ticker.tick(rt)
    assert diary.of(rt, ticker) == []
    clock.advance(seconds=10)
    assert diary.of(rt, ticker) == ["one", "two", "three"]


def test_a_clock_that_was_set_back_holds_nothing_up(
    rt: Runtime, clock: FrozenClock, diary: Diary, ticker: Ticker
) -> None:
    ticker.tick(rt)
    clock.advance(hours=-1)
    assert diary.of(rt, ticker) == ["one", "two", "three"]


def test_a_job_that_failed_runs_again_in_the_next_tick(
    rt: Runtime, diary: Diary, ticker: Ticker
) -> None:
    diary.breaks = {"two"}
    ticker.tick(rt)
    assert diary.of(rt, ticker) == ["two"]
    diary.breaks = set()
    assert diary.of(rt, ticker) == ["two"]
    assert diary.of(rt, ticker) == []
    assert rt.session.get_one(JobRun, "two").error == ""


def test_what_cannot_be_asked_is_done(
    rt: Runtime, diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    broken = sa.select(sa.literal_column("1")).select_from(sa.table("no_such_table"))
    ticker = Ticker(
        [Job("one", diary.job("one").run, (Question(lambda: [broken], lambda _m: {}),))]
    )
    ticker.tick(rt)
    with caplog.at_level(logging.ERROR):
        assert diary.of(rt, ticker) == ["one"]
    assert "no_such_table" in caplog.text


def test_a_job_without_a_question_runs_each_time(rt: Runtime, diary: Diary) -> None:
    ticker = Ticker([Job("always", diary.job("always").run), diary.job("one")])
    ticker.tick(rt)
    assert diary.of(rt, ticker) == ["always"]


def test_a_worker_with_nothing_to_do_shows_that_it_lives(
    rt: Runtime, clock: FrozenClock, diary: Diary, ticker: Ticker
) -> None:
    for _ in range(10):
        ticker.tick(rt)
        clock.advance(seconds=30)
    last = rt.session.scalars(sa.select(JobRun.finished_at)).all()
    rt.session.rollback()
    assert len(diary.ran) == len(last) == 3
    assert all(at is not None and rt.now() - at <= NOTE_EVERY + TENTH for at in last)


def test_boxes_are_exported_in_the_tick_that_locks_their_cycle(
    rt: Runtime, clock: FrozenClock
) -> None:
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=10)])
    cycle = cycles_of(rt, group)[0]
    clock.advance(days=(cycle.lock_on - rt.today()).days + 1)
    ticker = Ticker([CLOSE_CYCLES, EXPORT])
    ticker.tick(rt)
    make_box(rt, plan, cycle)

    assert ticker.tick(rt) == [CLOSE_CYCLES, EXPORT]
    assert rt.session.get_one(JobRun, "export").report == {"batches": 1}
    assert ticker.tick(rt) == []
