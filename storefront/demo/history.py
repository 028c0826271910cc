"""The story of *Nine Kettles*, lived day by day: the engine makes every row of its history.

A clock that stands still between events is moved from one to the next. On each day the jobs of
the worker run if something is due, parcels leave, customers change their minds, and shoppers
come. Everything is drawn from one seed, so the same story can be told again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from storefront.demo import cast as named
from storefront.demo import catalogue, choosing, gifting, opening, queues, warehouse
from storefront.demo.cast import Member
from storefront.demo.catalogue import months_before
from storefront.demo.chores import do_chores, send_mails
from storefront.demo.people import (
    Shopper,
    busyness,
    draw_shopper,
    leaves_this_month,
    skips_this_month,
    wants_more,
)
from storefront.demo.shopping import (
    StoryBroken,
    Subscribed,
    add_to_box,
    order,
    refuse_next,
    replace_card,
)
from storefront.domain.errors import DomainError
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel, undo_cancel
from storefront.services.skips import (
    BoxTooLate,
    NothingToSkip,
    SkipDone,
    SkipNotAllowed,
    skip_box,
    undo_skip,
)

log = logging.getLogger(__name__)

#: When the jobs of a story's day run, and when its first and last shopper come.
_MORNING, _OPEN, _CLOSE = time(9, 15), time(9, 40), time(22, 30)
#: Charge days before the last one on which the bank had its bad week, one parcel round left
#: late, and one product was short at the lock.
_BAD_WEEK, _LATE_ROUND, _SHORT_ROUND = 5, 8, 3
#: How often since the last charge some subscribers choose what is in their next box.
_CHOOSERS = 5
#: Months before the end in which prices went up.
_PRICE_CHANGE = 6
#: On this weekday every job runs: orders left lying end, days are sealed.
_SWEEP = 1
_BAD_SHARE, _USUAL_SHARE = 0.19, 0.03

Act = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a story is and how many shoppers it has, who are not all customers in the end.

    As many as a first start can play, with its environment, in about 90 seconds on two cores.
    """

    months: int = 15
    shoppers: int = 250
    seed: int = 9


class StoryClock:
    """Stands still until the story goes on. It never goes back."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Make it ``instant``; an instant that has passed changes nothing."""
        self._now = max(self._now, instant.astimezone(UTC))


@dataclass(slots=True)
class _Known:
    """A subscriber of the story."""

    who: Subscribed
    shopper: Shopper
    since: date
    chased: set[date] = field(default_factory=set)


class Story:
    """One telling. ``rt`` must run on ``clock``."""

    def __init__(self, rt: Runtime, clock: StoryClock, end: datetime, scale: Scale) -> None:
        self._rt, self._clock, self._end, self._scale = rt, clock, end, scale
        self._zone = ZoneInfo(catalogue.SHOP["zone"])
        self._last = end.astimezone(self._zone).date()
        self._begin = months_before(self._last, scale.months)
        self._rng = Random(scale.seed)  # noqa: S311 - a story, not a secret
        self._known: dict[int, _Known] = {}
        self._named: dict[str, Subscribed] = {}
        self._agenda: dict[date, list[tuple[time, Act]]] = defaultdict(list)
        self._charge_days = [
            day for n in range(scale.months + 1) if (day := self._charge_day(n)) <= self._last
        ]

    @property
    def days(self) -> int:
        """How many days the story has."""
        return (self._last - self._begin).days + 1

    def tell(self, on_day: Callable[[int, int], None]) -> None:
        """Open the shop and live every day; ``on_day`` is told how many, and of how many.

        Raises ``StoryBroken`` or ``JobFailed`` when the engine does not do what it should.
        """
        self._at(self._begin, time(6, 30))
        opening.open_shop(self._rt, self._last)
        self._invite()
        for number in range(self.days):
            self._live(self._begin + timedelta(days=number))
            on_day(number + 1, self.days)

    # ------------------------------------------------------------------------------ a day

    def _live(self, day: date) -> None:
        rt = self._rt
        if day.day == 1 or day == self._begin:
            self._begin_month(day)
        if day in self._charge_days:
            self._at(day, time(6, 0))
            self._trouble_cards(day)
        self._at(day, _MORNING)
        do_chores(rt, self._is_wanted, everything=day.isoweekday() == _SWEEP)
        if day in self._charge_days:
            self._plan_replacements(day)
        warehouse.ship_due(rt, self._rng, late_key=self._late_key())
        warehouse.note_arrivals(rt)
        for at, act in sorted(self._agenda.pop(day, []), key=lambda entry: entry[0]):
            self._at(day, at)
            act()
        send_mails(rt, self._is_wanted)
        if day == self._last:
            self._clock.move_to(self._end)
            self._leave_the_cast_as_promised()
            do_chores(rt, self._is_wanted, is_last=True)

    def _at(self, day: date, at: time) -> None:
        instant = datetime.combine(day, at, self._zone).astimezone(UTC)
        self._clock.move_to(min(instant, self._end))

    def _is_wanted(self, customer_id: int | None, created_at: datetime) -> bool:
        """Whether a mail is worth a file: of the cast, or of the last days."""
        if self._end - created_at < timedelta(days=3):
            return True
        return any(who.customer_id == customer_id for who in self._named.values())

    # ------------------------------------------------------------------------- the months

    def _begin_month(self, day: date) -> None:
        rt = self._rt
        self._at(day, time(7, 30))
        do_chores(rt, self._is_wanted, everything=True)
        warehouse.write_recipes(rt)
        opening.reorder(rt)
        if day == months_before(self._last, _PRICE_CHANGE) and day > self._begin:
            opening.change_prices(rt)
        running = self._running()
        for known in self._known.values():
            if known.who.subscription_id in running:
                self._think_it_over(known, day)
        if self._charge_day_of(day) == self._round(_SHORT_ROUND):
            self._plan(day.replace(day=15), time(16, 0), partial(warehouse.lose_some, rt))
            self._plan(day.replace(day=17), time(8, 0), partial(warehouse.make_good, rt))

    def _think_it_over(self, known: _Known, month: date) -> None:
        shopper, own = known.shopper, known.shopper.own
        age = (month - known.since).days // 30
        if leaves_this_month(shopper, age, month.month):
            self._plan_at(month, own.randint(1, 28), own, partial(self._leave, known))
        elif skips_this_month(shopper, month.month):
            self._plan_at(month, own.randint(2, 10), own, partial(self._skip, known))
        elif wants_more(shopper, month):
            self._plan_at(month, 5, own, partial(self._take_more, known, month.month))

    def _take_more(self, known: _Known, number: int) -> None:
        add_to_box(self._rt, known.who, number)

    def _leave(self, known: _Known) -> None:
        rt, who, shopper = self._rt, known.who, known.shopper
        cancel(rt, who.customer_id, who.subscription, why=shopper.why, note=shopper.note)
        if shopper.own.random() < 0.08:
            self._plan(self._today() + timedelta(days=1), time(19, 5), partial(self._stay, who))

    def _stay(self, who: Subscribed) -> None:
        try:
            undo_cancel(self._rt, who.customer_id, who.subscription)
        except DomainError:
            self._rt.session.rollback()  # it had ended overnight

    def _skip(self, known: _Known) -> None:
        rt, who = self._rt, known.who
        cycle = named.next_changeable(rt)
        try:
            skip_box(rt, who.customer_id, who.subscription, cycle)
        except (NothingToSkip, BoxTooLate, SkipNotAllowed):
            rt.session.rollback()  # a newcomer, or everything that may be is skipped already
            return
        if known.shopper.own.random() < 0.2:
            later = self._today() + timedelta(days=1)
            self._plan(later, time(20, 10), partial(self._unskip, who, cycle))

    def _unskip(self, who: Subscribed, cycle: str) -> None:
        try:
            undo_skip(self._rt, who.customer_id, who.subscription, cycle)
        except (BoxTooLate, SkipDone):
            self._rt.session.rollback()  # the cut-off was faster

    # -------------------------------------------------------------------------- the money

    def _trouble_cards(self, day: date) -> None:
        """Let some cards that are due today be refused: a few, and many in the bad week."""
        share = _BAD_SHARE if day == self._round(_BAD_WEEK) else _USUAL_SHARE
        due = self._due_on(day)
        for known in self._known.values():
            who = known.who
            if who.subscription_id in due and known.shopper.own.random() < share:
                times = known.shopper.own.choices((1, 2, 5), weights=(72, 18, 10))[0]
                refuse_next(self._rt, who.customer_id, times)
        owing = self._named.get("past_due")
        if owing is not None and day == self._charge_days[-1]:
            refuse_next(self._rt, owing.customer_id, 5)

    def _plan_replacements(self, day: date) -> None:
        behind = self._running(SubscriptionState.PAST_DUE)
        for known in self._known.values():
            if known.who.subscription_id not in behind or not known.shopper.returns:
                continue
            own = known.shopper.own
            later = day + timedelta(days=own.randint(1, 12))
            self._plan(later, time(own.randint(10, 21), 20), partial(self._replace, known))

    def _replace(self, known: _Known) -> None:
        if known.who.subscription_id in self._running(SubscriptionState.PAST_DUE):
            replace_card(self._rt, known.who.customer_id)

    # ------------------------------------------------------------------------- the people

    def _invite(self) -> None:
        """Spread the shoppers over the days, and the cast to theirs."""
        days = [self._begin + timedelta(days=n) for n in range(1, self.days)]
        weights = [busyness(day, self._begin, self._last) for day in days]
        for number, day in enumerate(
            sorted(self._rng.choices(days, weights, k=self._scale.shoppers)), start=1
        ):
            shopper = draw_shopper(self._scale.seed, number, day)
            self._plan(day, self._some_time(shopper.own), partial(self._welcome, shopper))
        dropped = self._last - timedelta(days=1)
        self._plan(dropped, time(11, 10), partial(warehouse.drop_a_pallet, self._rt))
        last_charge = self._charge_days[-1] if self._charge_days else self._begin
        self._plan_choices(last_charge)
        self._plan_queues(last_charge)
        for day, members in named.arrivals(self._begin, self._last, last_charge).items():
            for member in members:
                self._plan(day, _OPEN, partial(self._welcome_named, member))

    def _plan_choices(self, since: date) -> None:
        """Have some choose, on the days since the last box was charged, what is in the next."""
        rng = Random(self._scale.seed)  # noqa: S311 - a story, not a secret
        rt, days = self._rt, (self._last - since).days
        self._plan(since, time(9, 30), partial(choosing.open_pools, rt))
        self._plan(since, time(9, 40), partial(choosing.open_swaps, rt))
        self._plan(self._last, time(11, 20), partial(choosing.swap_for_some, rt, 4))
        self._plan(self._last, time(11, 25), partial(choosing.change_minds, rt, 3))
        for number in range(_CHOOSERS):
            day = since + timedelta(days=days * number // _CHOOSERS)
            at = time(10 + number % 4, 7 * number % 60)
            self._plan(day, at, partial(choosing.choose_for_some, rt, rng, 5))
        ida = partial(choosing.choose_for_member, rt, rng, named.email_of("two_boxes"))
        self._plan(self._last, time(11, 30), ida)

    def _plan_queues(self, last_charge: date) -> None:
        """Plan gifts, a box that is held back, and a plan whose few places are gone."""
        rt, last = self._rt, self._last
        for present in named.PRESENTS:
            day = named.day_of_present(present, self._begin, last)
            self._plan(day, time(18, 5), partial(gifting.give_present, rt, present))
            if present.is_claimed:
                claimed = day + timedelta(days=1)
                self._plan(claimed, time(8, 50), partial(gifting.claim_present, rt, present))
        held = last_charge + timedelta(days=1)
        self._plan(held, time(17, 30), partial(queues.hold_one, rt))
        self._plan(last, time(11, 35), partial(queues.ask_for_new_home, rt))
        self._plan(last - timedelta(days=3), time(23, 0), self._fill_limited)
        self._plan(last, time(11, 40), partial(queues.wait_for_places, rt))

    def _fill_limited(self) -> None:
        running = self._running()
        known = [one for one in self._known.values() if one.who.subscription_id in running]
        queues.fill_limited(self._rt, [one.shopper for one in known])

    def _welcome(self, shopper: Shopper) -> None:
        who = order(self._rt, shopper)
        if who is not None:
            self._known[who.subscription_id] = _Known(who, shopper, self._today())

    def _welcome_named(self, member: Member) -> None:
        who = order(self._rt, member.as_shopper())
        if who is None:
            raise StoryBroken(f"{member.name} could not order")
        self._named[member.role] = who

    def _leave_the_cast_as_promised(self) -> None:
        rt = self._rt
        skips, leaving = self._named["skips"], self._named["leaving"]
        skip_box(rt, skips.customer_id, skips.subscription, named.next_changeable(rt))
        cancel(rt, leaving.customer_id, leaving.subscription, why="too_much")
        named.give_passwords(rt)

    # ----------------------------------------------------------------------------- reading

    def _running(self, state: SubscriptionState = SubscriptionState.ACTIVE) -> set[int]:
        """Return the keys of subscriptions in ``state`` that nobody has cancelled."""
        table = table_of(Subscription)
        rows = self._rt.session.scalars(
            sa.select(table.c.id).where(table.c.state == state, table.c.cancel_on.is_(None))
        ).all()
        self._rt.session.rollback()
        return set(rows)

    def _due_on(self, day: date) -> set[int]:
        table = table_of(Subscription)
        rows = self._rt.session.scalars(
            sa.select(table.c.id).where(
                table.c.next_on == day,
                table.c.state == SubscriptionState.ACTIVE,
                table.c.cancel_on.is_(None),
            )
        ).all()
        self._rt.session.rollback()
        return set(rows)

    def _today(self) -> date:
        return self._rt.today()

    def _some_time(self, rng: Random) -> time:
        first, last = (each.hour * 60 + each.minute for each in (_OPEN, _CLOSE))
        minutes = rng.randint(first, last)
        return time(minutes // 60, minutes % 60, rng.randint(0, 59))

    def _plan(self, day: date, at: time, act: Act) -> None:
        if day <= self._last:
            self._agenda[day].append((at, act))

    def _plan_at(self, month: date, number: int, rng: Random, act: Act) -> None:
        """Plan for a day of the month; what would lie in the past is not done."""
        day = month.replace(day=number)
        if day >= month:
            self._plan(day, self._some_time(rng), act)

    def _charge_day(self, number: int) -> date:
        return self._charge_day_of(months_before(self._last, self._scale.months - number))

    def _charge_day_of(self, month: date) -> date:
        return month.replace(day=12)

    def _round(self, ago: int) -> date | None:
        """Return the charge day that lies ``ago`` rounds before the last, if the story has it."""
        return self._charge_days[-1 - ago] if len(self._charge_days) > ago + 1 else None

    def _late_key(self) -> str:
        late = self._round(_LATE_ROUND)
        return f"{late:%Y-%m}" if late else ""
