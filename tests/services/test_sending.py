"""Many charges in flight at once, with a bank that takes its time."""

import threading
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from storefront import sending
from storefront.charges import look_up_open
from storefront.database import create_engine
from storefront.models import ChargeAttempt
from storefront.models.base import table_of
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from storefront.testing.population import populate
from storefront_demo_gateway.quick import QuickBank

DUE, DUE_ON = 14, date(2027, 3, 12)
IN_FLIGHT = 4


class WatchingBank(QuickBank):
    """Answers after 50 ms; notes how many it is asked at once and how many wait for an answer."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(answer_ms=50)
        self._engine = engine
        self._lock = threading.Lock()
        self._asked = 0
        self._answered: set[str] = set()
        self.most_asked = 0
        self.most_sent = 0

    def charge(self, reference: str, details: dict[str, Any]) -> Any:
        attempt = table_of(ChargeAttempt)
        sent = sa.select(attempt.c.public_id).where(attempt.c.state == "sent")
        with self._lock:
            self._asked += 1
            self.most_asked = max(self.most_asked, self._asked)
            with self._engine.connect() as connection:
                unanswered = set(connection.execute(sent).scalars()) - self._answered
            self.most_sent = max(self.most_sent, len(unanswered))
        try:
            return super().charge(reference, details)
        finally:
            with self._lock:
                self._asked -= 1
                self._answered.add(reference)


class MeetingBank(QuickBank):
    """Answers the first charge when it has heard of a second; notes whether one came."""

    def __init__(self) -> None:
        super().__init__()
        self._first, self._second = threading.Lock(), threading.Event()
        self.met = False

    def charge(self, reference: str, details: dict[str, Any]) -> Any:
        if self._first.acquire(blocking=False):
            self.met = self._second.wait(timeout=5)
        else:
            self._second.set()
        return super().charge(reference, details)


@pytest.fixture
def settings(settings):
    return replace(settings, in_flight=IN_FLIGHT)


@pytest.fixture
def bank(rt, clock, demo_gateway, database):
    """The bank of a shop with 14 subscribers who are due."""
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), DUE, DUE_ON)
    clock.advance(days=(DUE_ON - rt.today()).days)
    engine = create_engine(database.url)
    demo_gateway.bank = WatchingBank(engine)
    yield demo_gateway.bank
    engine.dispose()


def test_never_more_are_asked_at_once_than_may_be_in_flight(rt, bank):
    assert run_renewals(rt).charges.settled == DUE

    assert bank.most_asked == IN_FLIGHT


def test_no_more_than_half_as_many_again_are_marked_sent_and_wait(rt, bank):
    run_renewals(rt)

    assert IN_FLIGHT < bank.most_sent <= IN_FLIGHT + IN_FLIGHT // 2


def test_the_first_answer_holds_up_no_other_charge(rt, bank, demo_gateway):
    demo_gateway.bank = MeetingBank()

    assert run_renewals(rt).charges.settled == DUE

    assert demo_gateway.bank.met


def test_answers_that_come_at_once_are_written_no_more_at_a_time_than_agreed(
    rt, bank, demo_gateway, monkeypatch
):
    demo_gateway.bank, record, sizes = QuickBank(), sending.record, []

    def note(rt: Any, results: Any) -> Any:
        sizes.append(len(results))
        return record(rt, results)

    monkeypatch.setattr(sending, "record", note)
    monkeypatch.setattr(sending, "RECORD_EVERY", 5)

    assert run_renewals(rt).charges.settled == DUE

    assert max(sizes) == 5


def test_what_waited_too_long_is_looked_up_and_not_asked_late(rt, bank, clock, monkeypatch):
    # Each answer takes 50 ms: who waits for a place longer than a hundredth is late.
    monkeypatch.setattr(sending, "LONGEST_WAIT_SECONDS", 0.01)
    settled = run_renewals(rt).charges.settled
    assert 0 < settled < DUE
    assert bank.executed_count() == settled

    clock.advance(minutes=6)
    look_up_open(rt)

    assert bank.executed_count() == DUE
    assert bank.double_charges() == []
