"""Preference questions answered anew: from which box it counts, and what was said before."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.changes import NotChangeable
from storefront.models import AuditEntry, Box, BoxCycle, Invoice, Option, OptionAnswer, Subscription
from storefront.queries.answers import answers_page
from storefront.queries.invariants import broken
from storefront.services.answers import CostsOther, NotFound, NotOffered, change_answers
from storefront.services.changes import quote_change
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from tests.support.admin import make_staff
from tests.support.changing import fresh, go, one, wish_of

SIZES = [("s", "Small", 0), ("m", "Middle", 0), ("l", "Large", 400)]


@pytest.fixture
def group(rt):
    return factories.make_group(rt)


def answer(rt, sub, **answers):
    return change_answers(rt, sub.customer_id, sub.public_id, answers)


def test_the_log_of_the_staff_says_which_question_was_answered_never_what(rt, group):
    plan = factories.make_plan(rt, group=group)
    factories.make_options(rt, plan)
    sub = factories.make_subscription(rt, plan=plan, options={"taste": "mild"})
    who = make_staff(rt)

    change_answers(rt, sub.customer_id, sub.public_id, {"taste": "strong"}, who)

    (entry,) = fresh(rt, AuditEntry, AuditEntry.action == "answers.changed")
    assert (entry.object_ref, entry.before, entry.after) == (
        sub.public_id, {}, {"questions": ["taste"]},
    )  # fmt: skip


def rows(rt):
    """Return what was said: words, and in the how manyth cycle it begins (None: with the order)."""
    order = [cycle.id for cycle in sorted(fresh(rt, BoxCycle), key=lambda row: row.ship_from)]
    said = fresh(rt, OptionAnswer)
    return [
        (row.number, row.answer_name, None if row.cycle_id is None else order.index(row.cycle_id))
        for row in said
    ]


def tastes(rt):
    return [box.options["taste"] for box in fresh(rt, Box)]


def test_an_answer_counts_for_every_box_until_the_last_second_of_its_cut_off(rt, group, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=7800, count=3)
    factories.make_options(rt, plan)
    sub = factories.make_subscription(rt, plan=plan, options={"taste": "mild"})
    first, second = sorted(fresh(rt, BoxCycle), key=lambda row: row.ship_from)[:2]
    midnight = rt.moment().start_of(first.cutoff_on + timedelta(days=1))
    days = (first.ship_from, second.ship_from)
    clock.set(midnight - timedelta(seconds=1))

    assert answer(rt, sub, taste="strong").box_on == days[0]
    assert not answer(rt, sub, taste="strong").is_new
    assert tastes(rt) == ["strong"] * 3

    clock.set(midnight)
    assert answer(rt, sub, taste="mild").box_on == days[1]
    assert tastes(rt) == ["strong", "mild", "mild"]
    assert one(rt, Subscription, sub.id).options == {"taste": "mild"}
    assert rows(rt) == [(1, "Mild", None), (2, "Strong", 0), (3, "Mild", 1)]
    assert len(fresh(rt, Invoice)) == 1

    rt.session.execute(sa.update(Option).values(name="Renamed", archived_at=rt.now()))
    rt.session.commit()
    page = answers_page(rt.session, sub.customer_id, sub.public_id, rt.moment())
    assert [said.answer for said in page.said] == ["Mild", "Strong", "Mild"]
    assert (page.box_on, page.can_answer) == (days[1], False)
    assert not any(broken(rt.session).values())


def test_a_box_paid_for_behind_its_cut_off_has_the_answers_of_the_cut_off(rt, group, clock):
    plan = factories.make_plan(rt, group=group)
    factories.make_options(rt, plan)
    sub = factories.make_subscription(rt, plan=plan, options={"taste": "mild"})
    april, may = sorted(fresh(rt, BoxCycle), key=lambda row: row.ship_from)[1:3]
    days = (april.charge_on, may.charge_on)
    assert april.cutoff_on < april.charge_on
    clock.set(rt.moment().start_of(days[0]) + timedelta(minutes=1))
    answer(rt, sub, taste="strong")

    for day in days:
        clock.set(rt.moment().start_of(day) + timedelta(hours=9))
        run_renewals(rt)

    assert tastes(rt) == ["mild", "mild", "strong"]
    assert rows(rt) == [(1, "Mild", None), (2, "Strong", 2)]


def test_what_costs_otherwise_or_is_not_offered_is_no_preference(rt, group):
    plan = factories.make_plan(rt, group=group)
    factories.make_options(rt, plan, code="size", choices=SIZES)
    sub = factories.make_subscription(rt, plan=plan, options={"size": "s"})

    for wrong, answers in (
        (CostsOther, {"size": "l"}),
        (NotOffered, {"size": "xl"}),
        (NotOffered, {"colour": "red"}),
    ):
        with pytest.raises(wrong):
            answer(rt, sub, **answers)
    with pytest.raises(NotFound):
        change_answers(rt, sub.customer_id + 1, sub.public_id, {"size": "m"})
    with pytest.raises(NotChangeable) as refused:
        quote_change(rt, sub.customer_id, sub.public_id, wish_of(rt, sub, options={"size": "m"}))
    assert refused.value.params["reason"] == "free"
    assert rows(rt) == []


def test_a_change_that_waits_does_not_bring_the_old_answer_back(rt, group, clock):
    plan = factories.make_plan(rt, group=group)
    factories.make_options(rt, plan)
    factories.make_options(rt, plan, code="size", choices=SIZES)
    sub = factories.make_subscription(rt, plan=plan, options={"taste": "mild", "size": "s"})
    quote, _done = go(rt, sub, quantity=2, options={"size": "l"}, when="boundary")

    answer(rt, sub, taste="strong")
    # The days up to the billing day are free; the change comes with what is charged then.
    for day in (one(rt, Subscription, sub.id).next_on, quote.effective_on):
        clock.set(rt.moment().start_of(day) + timedelta(hours=9))
        run_renewals(rt)

    now = one(rt, Subscription, sub.id)
    assert (now.quantity, now.options) == (2, {"taste": "strong", "size": "l"})
    assert [box.options["size"] for box in fresh(rt, Box)] == ["s", "l"]
    assert rows(rt) == [(1, "Mild", None), (2, "Strong", 0), (1, "Small", None), (2, "Large", None)]
