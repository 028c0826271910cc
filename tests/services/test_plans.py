"""Plans and prices: what is sold from now on, and what runs on as it was sold."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import AuditEntry, BoxCycle, CycleGroup, Plan, Price, Subscription
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import UnknownPlan, UnknownPrice
from storefront.queries.plans import plan_detail
from storefront.queries.pricing import plan_page
from storefront.runtime import Runtime
from storefront.services import groups, options, plan_terms, plans
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.admin import make_staff

MONTH = Interval("month")


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def detail(rt: Runtime, plan: Plan):  # type: ignore[no-untyped-def]
    found = plan_detail(rt.session, plan.public_id, "EUR")
    rt.session.rollback()
    assert found is not None
    return found


def version(rt: Runtime) -> int:
    rt.forget_shop()
    return rt.shop.catalogue_version


def test_a_new_price_is_for_new_sales_and_subscribers_keep_theirs(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    old = make.price_of(rt, plan)
    populate(rt, plan, old, 3, date(2027, 3, 12))
    assert plans.set_price(rt, who, plan.public_id, eur(2900), MONTH)
    found = detail(rt, plan)
    assert [(p.amount.minor, p.version, p.running) for p in found.on_sale] == [(2900, 2, 0)]
    assert [(p.amount.minor, p.version, p.running) for p in found.kept] == [(2600, 1, 3)]
    kept = set(rt.session.scalars(sa.select(Subscription.price_id)))
    assert kept == {old.id}


def test_the_same_price_again_makes_no_new_version(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    before = version(rt)
    assert not plans.set_price(rt, who, plan.public_id, eur(2600), MONTH)
    assert len(detail(rt, plan).prices) == 1
    assert version(rt) == before


def test_a_retired_price_can_be_sold_again_as_a_new_version(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    first = detail(rt, plan).on_sale[0].ref
    assert plans.retire_price(rt, who, plan.public_id, first)
    assert not plans.retire_price(rt, who, plan.public_id, first)
    assert detail(rt, plan).on_sale == ()
    assert plans.set_price(rt, who, plan.public_id, eur(2600), MONTH)
    assert [p.version for p in detail(rt, plan).on_sale] == [2]


@pytest.mark.parametrize("billing", [Interval("week", 2), Interval("week"), Interval("day", 30)])
def test_paying_must_cover_a_whole_number_of_boxes(
    rt: Runtime, who: Who, billing: Interval
) -> None:
    plan = make.make_plan(rt)
    with pytest.raises(plans.IntervalDoesNotFit):
        plans.set_price(rt, who, plan.public_id, eur(5000), billing)
    assert len(detail(rt, plan).prices) == 1


def test_a_quarterly_plan_cannot_be_paid_monthly(rt: Runtime, who: Who) -> None:
    group = make.make_group(rt, count=3)
    draft = plans.PlanDraft(
        "slow", "Slow", Interval("month", 3), group.public_id, "reduced", amount=eur(9000)
    )
    ref = plans.add_plan(rt, who, draft)
    with pytest.raises(plans.IntervalDoesNotFit):
        plans.set_price(rt, who, ref, eur(3000), MONTH)


def test_a_new_plan_with_a_price_can_be_bought_at_once(rt: Runtime, who: Who) -> None:
    from storefront.operations.checkout import Market

    group = make.make_group(rt)
    draft = plans.PlanDraft("cup", "Cup", MONTH, group.public_id, "reduced", amount=eur(1600))
    plans.add_plan(rt, who, draft)
    shown = plan_page(rt.session, "cup", Market.of(rt.shop), rt.today())
    rt.session.rollback()
    assert shown is not None
    assert [offer.total for offer in shown.plan.offers] == [eur(1600)]


@pytest.mark.parametrize("shipping", [Interval("week"), Interval("month", 2), Interval("year")])
def test_a_rhythm_that_the_group_cannot_keep_is_refused(
    rt: Runtime, who: Who, shipping: Interval
) -> None:
    group = make.make_group(rt)
    draft = plans.PlanDraft("odd", "Odd", shipping, group.public_id, "zero")
    with pytest.raises(plans.RhythmDoesNotFit):
        plans.add_plan(rt, who, draft)
    rt.session.rollback()
    fits = plans.PlanDraft("even", "Even", MONTH, group.public_id, "zero")
    plan = plans.add_plan(rt, who, fits)
    with pytest.raises(plans.RhythmDoesNotFit):
        plans.change_rhythm(rt, who, plan, shipping, group.public_id)
    rt.session.rollback()
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Plan)) == 1


def test_two_plans_cannot_share_a_short_name(rt: Runtime, who: Who) -> None:
    make.make_plan(rt, code="pot")
    group = make.make_group(rt)
    with pytest.raises(plans.CodeTaken):
        plans.add_plan(rt, who, plans.PlanDraft("pot", "Pot", MONTH, group.public_id, "zero"))


def test_one_plan_at_most_is_recommended(rt: Runtime, who: Who) -> None:
    cup, pot = make.make_plan(rt, is_recommended=True), make.make_plan(rt)
    assert plans.save_plan(rt, who, pot.public_id, {"is_recommended": True})
    rows = rt.session.execute(sa.select(Plan.id).where(Plan.is_recommended)).scalars().all()
    assert rows == [pot.id]
    assert cup.id != pot.id


def test_saving_nothing_new_writes_nothing(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    before = version(rt)
    assert not plans.save_plan(rt, who, plan.public_id, {"name": plan.name})
    assert version(rt) == before


def test_only_the_listed_fields_of_a_plan_can_be_changed(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    with pytest.raises(KeyError):
        plans.save_plan(rt, who, plan.public_id, {"cycle_group_id": 1})


def test_the_rhythm_is_settled_once_people_subscribe(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    group = make.make_group(rt, count=2)
    plans.retire_price(rt, who, plan.public_id, detail(rt, plan).on_sale[0].ref)
    assert plans.change_rhythm(rt, who, plan.public_id, Interval("month", 2), group.public_id)
    price = make.make_price(rt, plan, count=2)
    populate(rt, plan, price, 1, date(2027, 3, 12))
    with pytest.raises(plans.PlanInUse):
        plans.change_rhythm(rt, who, plan.public_id, MONTH, group.public_id)


def test_an_archived_plan_is_not_sold_and_its_subscriptions_stay(rt: Runtime, who: Who) -> None:
    from storefront.operations.checkout import Market

    plan = make.make_plan(rt, code="pot")
    populate(rt, plan, make.price_of(rt, plan), 2, date(2027, 3, 12))
    assert plans.archive_plan(rt, who, plan.public_id)
    market = Market.of(rt.shop)
    assert plan_page(rt.session, "pot", market, rt.today()) is None
    assert detail(rt, plan).running == 2
    assert plans.restore_plan(rt, who, plan.public_id)
    assert plan_page(rt.session, "pot", market, rt.today()) is not None


def test_every_change_drops_kept_pages_and_names_who_did_it(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    seen = [version(rt)]
    ref = plan.public_id
    changes = [
        lambda: plans.save_plan(rt, who, ref, {"name": "Great pot"}),
        lambda: plans.set_price(rt, who, ref, eur(2700), MONTH),
        lambda: options.add_question(rt, who, ref, "taste", "How strong?"),
        lambda: options.add_option(rt, who, ref, "taste", "mild", "Mild", eur(0)),
        lambda: options.save_option(rt, who, ref, "taste", "mild", eur(100)),
        lambda: options.archive_option(rt, who, ref, "taste", "mild"),
        lambda: plans.archive_plan(rt, who, ref),
    ]
    for change in changes:
        change()
        seen.append(version(rt))
    assert seen == list(range(seen[0], seen[0] + len(changes) + 1))
    rows = rt.session.execute(
        sa.select(AuditEntry.action, AuditEntry.staff_id).where(AuditEntry.object_ref == ref)
    ).all()
    assert len(rows) == len(changes)
    assert {row.staff_id for row in rows} == {who.id}
    assert audit.verify(rt.session).is_unbroken


def test_an_answer_shows_its_surcharge_until_it_is_archived(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    ref = plan.public_id
    options.add_question(rt, who, ref, "taste", "How strong?")
    options.add_option(rt, who, ref, "taste", "strong", "Strong", eur(200))
    with pytest.raises(options.OptionExists):
        options.add_option(rt, who, ref, "taste", "strong", "Strong", eur(0))
    (question,) = detail(rt, plan).questions
    assert [(o.name, o.surcharge) for o in question.options] == [("Strong", eur(200))]
    options.archive_option(rt, who, ref, "taste", "strong")
    assert detail(rt, plan).questions[0].options[0].is_archived
    options.archive_option(rt, who, ref, "taste", "strong", archived=False)
    assert not detail(rt, plan).questions[0].options[0].is_archived


def test_a_new_group_has_its_cycles_at_once(rt: Runtime, who: Who) -> None:
    draft = groups.GroupDraft("monthly", "Monthly", MONTH, 12, rt.today())
    ref = groups.add_group(rt, who, draft)
    days = rt.session.execute(
        sa.select(BoxCycle.charge_on, BoxCycle.cutoff_on, BoxCycle.lock_on)
        .join(CycleGroup, CycleGroup.id == BoxCycle.group_id)
        .where(CycleGroup.public_id == ref)
        .order_by(BoxCycle.ship_from)
    ).all()
    assert tuple(days[0]) == (date(2027, 3, 12), date(2027, 3, 11), date(2027, 3, 15))
    assert len(days) > 11
    rt.session.rollback()
    with pytest.raises(groups.GroupExists):
        groups.add_group(rt, who, draft)


def test_a_group_whose_days_are_out_of_order_is_refused(rt: Runtime, who: Who) -> None:
    draft = groups.GroupDraft("x", "X", MONTH, 12, rt.today(), lock_days=9, ship_days=6)
    with pytest.raises(ValueError, match="lock"):
        groups.add_group(rt, who, draft)


def test_an_unknown_plan_is_refused_everywhere(rt: Runtime, who: Who) -> None:
    for change in (
        lambda: plans.save_plan(rt, who, "plan_x", {"name": "X"}),
        lambda: plans.set_price(rt, who, "plan_x", eur(100), MONTH),
        lambda: plans.retire_price(rt, who, "plan_x", "pri_x"),
        lambda: plans.archive_plan(rt, who, "plan_x"),
    ):
        with pytest.raises(UnknownPlan):
            change()
    with pytest.raises(UnknownPlan):
        options.add_question(rt, who, "plan_x", "a", "A")
    plan = make.make_plan(rt)
    with pytest.raises(UnknownPrice):
        plans.retire_price(rt, who, plan.public_id, "pri_x")
    with pytest.raises(plans.UnknownGroup):
        plans.change_rhythm(rt, who, plan.public_id, MONTH, "grp_x")
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Price)) == 1


def test_a_rhythm_must_fit_the_prices_of_every_country(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    price = plan_terms.ListPrice(Money(5900, "CHF"), Interval("month", 3), "CH")
    assert plan_terms.list_price(rt, who, plan.public_id, price)
    home = [one.public_id for one in rt.session.scalars(sa.select(Price)) if one.country == ""]
    rt.session.rollback()
    for one in home:
        plans.retire_price(rt, who, plan.public_id, one)
    with pytest.raises(plans.IntervalDoesNotFit):
        plans.change_rhythm(rt, who, plan.public_id, Interval("month", 2), "")


def test_a_price_of_a_country_leaves_the_price_for_everywhere_alone(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    price = plan_terms.ListPrice(eur(5900), MONTH, "CH")
    assert plan_terms.list_price(rt, who, plan.public_id, price)
    assert plans.set_price(rt, who, plan.public_id, eur(2100), MONTH)
    sold = rt.session.execute(
        sa.select(Price.country, Price.amount_minor).where(Price.retired_at.is_(None))
    )
    assert {tuple(row) for row in sold} == {("", 2100), ("CH", 5900)}
