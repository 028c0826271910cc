"""The demo shop: walking its clock, and a history that the engine itself has made."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from storefront.adapters.clock import DemoClock
from storefront.cli import main
from storefront.demo import catalogue, seed
from storefront.demo.cast import CAST, PRESENTS, WAITING
from storefront.demo.history import Scale, StoryClock
from storefront.demo.people import draw_shopper
from storefront.demo.standing import standing_of
from storefront.demo.walk import ClockIsReal, TooFar, walk
from storefront.domain.boxes import BoxState
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import (
    Box,
    BoxChoice,
    BoxSkip,
    ChargeAttempt,
    CreditNote,
    Customer,
    Gift,
    Invoice,
    LateChange,
    LedgerTransfer,
    OutboxMessage,
    Plan,
    SelfCheck,
    ShortageRule,
    Subscription,
    WaitingPlace,
)
from storefront.queries.invariants import broken
from storefront.queries.pricing import listed_codes, plan_opened_by
from storefront.services.accounting import export_accounting
from storefront.services.cancellations import cancel
from storefront.services.leaving_offers import offers_for
from storefront.services.renewals import run_renewals
from storefront.services.signin import check_password
from storefront.settings import PREFIX
from storefront.testing import factories as make
from storefront.testing.population import populate


class TestWalking:
    """Moving the clock of a demo shop."""

    @pytest.fixture
    def clock(self, tmp_path: Path) -> DemoClock:
        clock = DemoClock(tmp_path / "clock")
        clock.move_to(clock.now().replace(year=clock.now().year + 1, day=3, month=3, hour=10))
        return clock

    def test_each_day_renews_what_is_due_on_it(self, rt, clock):
        plan = make.make_plan(rt)
        price, today = make.price_of(rt, plan), rt.today()
        populate(rt, plan, price, 2, today + timedelta(days=2))
        populate(rt, plan, price, 3, today + timedelta(days=4))

        days = walk(rt, 5)

        assert [day.on for day in days] == [today + timedelta(days=n) for n in range(1, 6)]
        assert [day.counts.get("renewed", 0) for day in days] == [0, 2, 0, 3, 0]
        assert [day.counts.get("paid", 0) for day in days] == [0, 2, 0, 3, 0]
        assert all(day.went_well for day in days)

    def test_the_time_of_day_stays_and_progress_is_told(self, rt, clock):
        before, told = clock.now(), []
        walk(rt, 2, lambda done, total: told.append((done, total)))
        assert timedelta() <= clock.now() - before - timedelta(days=2) < timedelta(minutes=1)
        assert told == [(1, 2), (2, 2)]

    def test_a_walk_ends_early_when_its_time_is_over(self, rt, clock):
        before = rt.today()
        assert len(walk(rt, 9, most_seconds=0)) == 1
        assert rt.today() == before + timedelta(days=1)

    def test_a_declined_charge_is_tried_again_on_its_day(self, rt, clock):
        plan = make.make_plan(rt)
        populate(rt, plan, make.price_of(rt, plan), 1, rt.today() + timedelta(days=1), card="0341")
        days = walk(rt, 5)
        assert [day.counts.get("declined", 0) for day in days] == [1, 0, 0, 0, 0]
        assert [day.counts.get("tried_again", 0) for day in days] == [0, 0, 0, 1, 0]

    @pytest.mark.parametrize("days", [0, -1, 63])
    def test_a_walk_goes_forward_and_not_too_far(self, rt, days):
        with pytest.raises(TooFar):
            walk(rt, days)


def test_a_real_clock_is_not_moved(rt):
    with pytest.raises(ClockIsReal):
        walk(rt, 1)
    assert rt.today() == date(2027, 3, 2)


#: The end of a small story: between a charge day and the next cut-off.
END = datetime(2027, 3, 24, 15, 30, tzinfo=UTC)
TINY = Scale(months=2, shoppers=12)


class TestHistory:
    """A small story, told by the engine."""

    @pytest.fixture
    def clock(self) -> StoryClock:
        return StoryClock(datetime(2026, 1, 1, tzinfo=UTC))

    def test_a_story_holds_every_promise_and_loses_no_money(
        self, rt, clock, demo_gateway, tmp_path
    ):
        days = []
        done = seed.tell(rt, clock, END, TINY, lambda number, total: days.append((number, total)))

        assert broken(rt.session) == {}
        taken = rt.session.scalar(
            sa.select(sa.func.sum(ChargeAttempt.amount_minor)).where(ChargeAttempt.settles)
        )
        paid = rt.session.scalar(sa.select(sa.func.sum(Invoice.paid_minor)))
        # For what was left out of a box because its subscriber does not tolerate it.
        back = rt.session.scalar(
            sa.select(sa.func.sum(CreditNote.total_minor)).where(CreditNote.to == "credit")
        )
        assert demo_gateway.bank.executed_total("EUR") == taken == paid + back > 0
        assert demo_gateway.bank.double_charges() == []
        assert clock.now() == END
        assert days[-1] == (83, 83)
        assert done.customers <= TINY.shoppers + len(CAST) + len(PRESENTS)
        self.parcels_arrive_and_mails_leave_on_their_day(rt)
        self.every_member_of_the_cast_is_as_promised(rt)
        self.gifts_and_queues_are_as_promised(rt)
        # It raises where a total is not the ledger's.
        books = export_accounting(rt, date(2026, 1, 1), END.date(), tmp_path / "books")
        assert books.transfers == rt.session.scalar(sa.select(sa.func.count(LedgerTransfer.id)))

    def parcels_arrive_and_mails_leave_on_their_day(self, rt):
        states = rt.session.execute(sa.select(Box.state, sa.func.count()).group_by(Box.state))
        found = dict(states.all())
        assert found[BoxState.DELIVERED] > 0
        assert found[BoxState.LOST] > 0, "one of them is sent again"
        assert BoxState.SHIPPED not in found
        mails = rt.session.execute(
            sa.select(OutboxMessage.created_at, OutboxMessage.delivered_at)
        ).all()
        assert len(mails) > TINY.shoppers
        assert all(left - made < timedelta(days=1) for made, left in mails)
        # Every night of years would only cost time: nothing is changed by asking.
        assert rt.session.scalar(sa.select(sa.func.count()).select_from(SelfCheck)) == 1

    def every_member_of_the_cast_is_as_promised(self, rt):
        found = {
            role: rt.session.scalars(
                sa.select(Subscription)
                .join(Customer, Customer.id == Subscription.customer_id)
                .where(Customer.email == email)
                .order_by(Subscription.checkout_position)
                .limit(1)
            ).one()
            for role, email in ((member.role, member.email) for member in CAST)
        }
        states = {role: each.state for role, each in found.items()}
        assert states == {
            "new": SubscriptionState.ACTIVE,
            "skips": SubscriptionState.ACTIVE,
            "past_due": SubscriptionState.PAST_DUE,
            "leaving": SubscriptionState.ACTIVE,
            "prepaid": SubscriptionState.ACTIVE,
            "two_boxes": SubscriptionState.ACTIVE,
        }
        together = sa.select(Subscription).where(
            Subscription.checkout_id == found["two_boxes"].checkout_id
        )
        assert len(rt.session.scalars(together).all()) == 2
        assert found["leaving"].cancel_on > rt.today()
        skip = sa.select(BoxSkip).where(BoxSkip.subscription_id == found["skips"].id)
        assert rt.session.scalars(skip).one()
        planned = {
            role: rt.session.scalar(
                sa.select(sa.func.count()).where(
                    Box.subscription_id == found[role].id, Box.state == BoxState.PLANNED
                )
            )
            for role in ("new", "prepaid")
        }
        assert planned["new"] == 1
        chosen = sa.select(BoxChoice.subscription_id)
        assert found["two_boxes"].id in rt.session.scalars(chosen).all()
        # Outside the countries whose law wants nothing else on the page that cancels.
        offered = {
            role: offers_for(rt, one.customer_id, one.public_id)
            for role, one in found.items()
            if role in ("two_boxes", "skips")
        }
        assert [one.kind for one in offered["two_boxes"]] == ["pause"]
        assert offered["skips"] == []
        assert found["past_due"].id not in rt.session.scalars(chosen).all()
        assert planned["prepaid"] > 6
        for member in CAST:
            assert check_password(rt, member.email, catalogue.PASSWORD)

    def gifts_and_queues_are_as_promised(self, rt):
        gifts = rt.session.execute(sa.select(Gift.recipient_email, Gift.claimed_at)).all()
        claimed = {one.recipient_email: one.claimed_at is not None for one in gifts}
        assert claimed == {one.email: one.is_claimed for one in PRESENTS}
        assert all(
            check_password(rt, one.email, catalogue.PASSWORD) for one in PRESENTS if one.is_claimed
        )
        waiting = rt.session.scalars(sa.select(WaitingPlace.email).order_by(WaitingPlace.id))
        assert tuple(waiting) == WAITING
        taken = sa.select(Subscription).join(Plan, Plan.id == Subscription.plan_id)
        limited = taken.where(Plan.code == catalogue.LIMITED.code)
        assert len(rt.session.scalars(limited).all()) == catalogue.LIMITED_PLACES
        assert catalogue.PRIVATE.code not in listed_codes(rt.session, rt.today())
        opened = plan_opened_by(rt.session, catalogue.PRIVATE_CODE, rt.today())
        assert opened == catalogue.PRIVATE.code
        assert rt.session.scalars(sa.select(LateChange.state)).all() == ["open"]
        assert rt.session.scalars(sa.select(ShortageRule.policy)).all() == ["substitute"]

    def test_an_interrupted_story_is_noticed_and_begun_anew(self, rt, clock, database):
        def stop(number: int, _total: int) -> None:
            if number == 9:
                assert seed.standing(rt) is seed.Standing.BEING_MADE
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            seed.tell(rt, clock, END, TINY, stop)
        rt.session.rollback()
        assert seed.standing(rt) is seed.Standing.UNFINISHED
        if database.kind == "postgresql":
            with pytest.raises(seed.NotOurs):
                seed.clear(rt)
            return
        seed.clear(rt)
        assert seed.standing(rt) is seed.Standing.EMPTY


def test_the_same_seed_draws_the_same_people():
    day = date(2027, 3, 2)
    first = [draw_shopper(9, number, day) for number in range(40)]
    again = [draw_shopper(9, number, day) for number in range(40)]
    other = [draw_shopper(10, number, day) for number in range(40)]
    drawn = [
        [(each.email, each.plan, each.card, each.code) for each in them]
        for them in (first, again, other)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_prices_are_those_of_the_three_plans():
    shown = {plan.code: catalogue.version_of(plan, is_early=False) for plan in catalogue.PLANS}
    assert {code: [minor for *_, minor in prices] for code, prices in shown.items()} == {
        "cup": [1600, 4560, 17280],
        "pot": [2600, 7410, 28080],
        "table": [4200, 11970, 45360],
    }


def test_a_customer_is_told_of_as_they_stand_when_asked(rt, clock):
    customer = make.make_customer(rt, email="emil@example.org")
    sub = make.make_subscription(rt, customer=customer)
    assert standing_of(rt, "emil@example.org") == (
        "Pot: active, box of 18 Mar 2027 paid, can be changed, next charge 12 Apr 2027 (EUR 26.00)"
    )
    cancel(rt, customer.id, sub.public_id)
    assert "cancelled, but still running, until 2 Apr 2027" in standing_of(rt, customer.email)
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert standing_of(rt, customer.email) == "Pot: ended, since 2 Apr 2027"
    assert standing_of(rt, "nobody@example.org") == "is no customer yet"


@pytest.mark.parametrize("plan", ["pot", "table"])
def test_a_box_without_caffeine_holds_no_tea(plan):
    kinds = {product.sku: product.category for product in catalogue.PRODUCTS}
    for number in range(24):
        packed = catalogue.recipe_of(plan, number, is_free=True)
        assert "Tea" not in {kinds[sku] for sku in packed}
        assert len(packed) == len(set(packed))


class TestCommands:
    """What ``dev.py run`` calls."""

    @pytest.fixture(autouse=True)
    def demo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import os

        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "demo")
        monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))

    def run(self, *arguments: str) -> str:
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    def test_a_demo_is_made_once_and_its_clock_walks_on(self):
        self.run("migrate")
        assert "customers subscribe" in self.run("demo", "seed", "--months", "2", "--shoppers", "2")
        assert "there already" in self.run("demo", "seed")
        told = CliRunner().invoke(main, ["demo", "open"], catch_exceptions=False).stdout
        assert "there already" not in told
        people = [member.email for member in CAST] + [person.email for person in catalogue.STAFF]
        assert all(email in told for email in people)
        assert catalogue.PASSWORD in told
        assert "Cup: cancelled, but still running, until" in told
        walked = self.run("demo", "advance", "2").splitlines()
        assert len(walked) >= 3
        assert walked[-1].endswith("/admin/clock")

    def test_only_a_demo_is_seeded(self, monkeypatch):
        self.run("migrate")
        monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "development")
        done = CliRunner().invoke(main, ["demo", "seed"])
        assert done.exit_code == 1
        assert "STOREFRONT_ENVIRONMENT" in done.stderr
