"""What the admin's timeline and log say: words, never codes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storefront.blueprints.admin.log_words import action_name, changes, deeds
from storefront.blueprints.admin.timeline_words import told
from storefront.blueprints.admin.words import job_name
from storefront.domain.events import EventKind
from storefront.jobs.work import JOBS
from storefront.queries.subscribers import Happening
from storefront.runtime import Runtime
from tests.support.log_codes import log_codes


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for words."""
    return databases.sqlite(tmp_path)


AT = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)


def words_of(kind: str, **data: str) -> str:
    return told(Happening(AT, kind, "worker", "", "sub_1", data), "EUR").text


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_event_has_words(rt: Runtime, kind: EventKind) -> None:
    assert kind.value.partition(".")[0] + ":" not in words_of(kind)


def test_a_pause_and_a_moved_payment_name_their_days(rt: Runtime) -> None:
    planned = EventKind.SUBSCRIPTION_PAUSE_PLANNED
    text = words_of(planned, **{"from": "2027-04-12", "until": "2027-05-12"})
    assert "12 April" in text
    assert "12 May" in text
    assert words_of(planned) == "The pause was taken back."
    moved = {"from": "2027-04-12", "to": "2027-04-20"}
    assert "20 April" in words_of(EventKind.DATE_MOVED, **moved)


@pytest.mark.parametrize("code", sorted(log_codes()))
def test_every_deed_has_words(rt: Runtime, code: str) -> None:
    assert ":" not in action_name(code)


def test_the_codes_of_the_log_are_followed_through_the_source() -> None:
    found = log_codes()
    # A plain text, a choice, a part put in, one passed through ``partial``, and an event's.
    assert {
        "credit.given",
        "invoice.written_off",
        "price_change.withdrawn",
        "refund.to_credit",
        "subscription.pause_planned",
    } <= found


def test_the_log_has_words_for_nothing_that_is_never_done(rt: Runtime) -> None:
    assert set(deeds()) == log_codes()


def test_every_job_has_words(rt: Runtime) -> None:
    bare = [
        job.name for job in JOBS if job_name(job.name) == job.name.replace("_", " ").capitalize()
    ]
    assert bare == []


def test_the_log_lists_values_as_people_write_them(rt: Runtime) -> None:
    after = {"held": {"stock": 2}, "is_counted": True, "notes": ["crn_1", "crn_2"], "once": "x"}
    assert changes({}, after) == [
        ("Held", "–", "stock: 2"),
        ("Stock is counted", "–", "yes"),
        ("Notes", "–", "crn_1, crn_2"),
    ]
