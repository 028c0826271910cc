"""What the shop window shows: plans, what a box costs, the coming and the past boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache

import sqlalchemy as sa

from storefront.domain.cycles import SUNDAYS, CycleSlot
from storefront.domain.first_boxes import FirstBox, FirstBoxRule, first_place
from storefront.domain.least_terms import LIMITS, least_allowed
from storefront.domain.periods import Interval
from storefront.domain.skip_limits import LIMIT_COLUMNS, SkipLimits
from storefront.models import (
    CycleGroup,
    Plan,
    PlanPlaces,
    Price,
)
from storefront.models.base import table_of
from storefront.operations.capacity import room_in, uses_of
from storefront.operations.checkout import Market
from storefront.operations.cycles import read_days_off
from storefront.operations.first_boxes import at_once, waiting
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    OrderPlan,
    Question,
    in_one_currency,
    length,
    listed_in,
    opened_by,
    plan_columns,
    plan_from,
    read_questions,
    sold_on,
)
from storefront.queries.places import sold_out
from storefront.queries.plan_offers import Offer, plan_offers
from storefront.queries.rounds import PastBox, rounds_of

PAST_BOXES = 3


@dataclass(frozen=True, slots=True)
class ComingBox:
    """The box an order of today begins with; without ``cutoff_on`` nothing of it can change."""

    cutoff_on: date | None
    ship_from: date
    ship_to: date
    #: now, later, or next: where every order of today goes.
    rule: FirstBoxRule = "next"
    #: The ship day of the box that is sold out, or not sold today (``is_unsold``), which it would
    #: be otherwise.
    instead_of: date | None = None
    is_unsold: bool = False
    #: An order behind the cut-off still gets it, if the plan's first boxes leave at once.
    joins_late: bool = False


@dataclass(frozen=True, slots=True)
class PlanCard:
    """A plan with everything its card says; without ``coming`` a shipping plan is sold out."""

    code: str
    name: str
    tagline: str
    description: str
    benefits: tuple[str, ...]
    is_recommended: bool
    ships: bool
    offers: tuple[Offer, ...]
    coming: ComingBox | None
    #: How many boxes it is taken for at least; 0 and 1 bind to nothing.
    min_boxes: int = 0
    #: Country, region and how many boxes where the law binds to fewer; of countries sold to.
    fewer_in: tuple[tuple[str, str, int], ...] = ()
    #: Every place is taken, or what is in stock is spoken for.
    is_full: bool = False
    #: How often its boxes may be skipped.
    skip_limits: SkipLimits = field(default_factory=SkipLimits)

    @property
    def binds(self) -> bool:
        return self.min_boxes > 1

    @property
    def is_sold_out(self) -> bool:
        return self.is_full or (self.ships and self.coming is None)

    def offer(self, interval: Interval | None) -> Offer:
        """Return the offer in ``interval``, else the one in the shortest interval there is."""
        return next((each for each in self.offers if each.interval == interval), self.offers[0])


@dataclass(frozen=True, slots=True)
class PricingPage:
    """The pricing page; ``intervals`` are those that any plan is sold in."""

    plans: tuple[PlanCard, ...]
    intervals: tuple[Interval, ...]
    savings: dict[Interval, int]
    past: tuple[PastBox, ...]


@dataclass(frozen=True, slots=True)
class PlanPage:
    """One plan in detail."""

    plan: PlanCard
    questions: tuple[Question, ...]
    past: tuple[PastBox, ...]
    #: It stands on the pricing page; else only who has its link finds it.
    is_listed: bool = True


def pricing_page(
    session: AnySession, market: Market, today: date, moment: Moment | None = None
) -> PricingPage:
    """Return the public plans in their order; two statements, more where places are limited.

    With ``moment`` those are sold out that are full at that moment.
    """
    plan = table_of(Plan)
    rows = _plan_rows(session, market, plan.c.is_public, today)
    cards, past = _cards(session, rows, market, today, moment)
    full = _full(session, rows, moment)
    cards = [replace(card, is_full=card.code in full) for card in cards]
    intervals = {offer.interval for card in cards for offer in card.offers}
    savings: dict[Interval, int] = {}
    for card in cards:
        for offer in card.offers:
            known = savings.get(offer.interval)
            savings[offer.interval] = offer.saving if known is None else min(known, offer.saving)
    return PricingPage(
        tuple(cards), tuple(sorted(intervals, key=length)), savings, tuple(past[:PAST_BOXES])
    )


def plan_page(
    session: AnySession,
    code: str,
    market: Market,
    today: date,
    moment: Moment | None = None,
    codes: Sequence[str] = (),
) -> PlanPage | None:
    """Return one plan that is on sale, also an unlisted one, or None.

    ``codes`` are those of private plans that the visitor knows.
    """
    plan = table_of(Plan)
    asked = sa.and_(plan.c.code == code, opened_by(plan, codes))
    rows = _plan_rows(session, market, asked, today)
    if not rows:
        return None
    cards, past = _cards(session, rows, market, today, moment)
    if not cards:
        return None
    currency = cards[0].offers[0].total.currency
    questions = read_questions(session, rows[0].id, currency)
    full = _full(session, rows, moment)
    card = replace(cards[0], is_full=cards[0].code in full)
    return PlanPage(card, questions, tuple(past[:PAST_BOXES]), rows[0].is_public)


def listed_codes(session: AnySession, today: date) -> list[str]:
    """Return the codes of the plans that stand on the pricing page, in its order."""
    plan = table_of(Plan)
    listed = sa.select(plan.c.code).where(plan.c.is_public, sold_on(plan, today))
    return list(session.scalars(listed.order_by(plan.c.position, plan.c.id)))


def is_sold(session: AnySession, code: str, today: date, codes: Sequence[str] = ()) -> bool:
    """Return whether there is such a plan on sale that ``codes`` open, listed or not."""
    plan = table_of(Plan)
    found = sa.select(plan.c.id).where(
        plan.c.code == code, sold_on(plan, today), opened_by(plan, codes)
    )
    return session.execute(found).first() is not None


def plan_opened_by(session: AnySession, code: str, today: date) -> str | None:
    """Return the code by which addresses name the plan that an access code opens, or None."""
    plan = table_of(Plan)
    found = sa.select(plan.c.code).where(plan.c.access_code == code, sold_on(plan, today))
    return session.scalar(found)


def _full(session: AnySession, rows: Sequence[AnyRow], moment: Moment | None) -> set[str]:
    """Return the codes of those plans of which nothing more can be sold."""
    limited = {row.id: row.code for row in rows if row.is_limited or row.has_capacity}
    if not limited or moment is None:
        return set()
    return {limited[key] for key in sold_out(session, limited, moment)}


def _plan_rows(
    session: AnySession, market: Market, condition: sa.ColumnElement[bool], today: date
) -> Sequence[AnyRow]:
    """Return a row per price on sale of the plans, the versions of a price oldest first."""
    country = market.country_of({})
    return session.execute(
        _prices().where(
            condition,
            sold_on(table_of(Plan), today),
            listed_in(table_of(Price), market.currency, country),
        )
    ).all()


@cache
def _prices() -> AnySelect:
    """The prices of plans in their order; built once, the caller says which."""
    plan, group, price = table_of(Plan), table_of(CycleGroup), table_of(Price)
    source = plan.join(price, price.c.plan_id == plan.c.id).outerjoin(
        group, group.c.id == plan.c.cycle_group_id
    )
    return (
        sa.select(
            *plan_columns(),
            plan.c.description,
            plan.c.is_recommended,
            plan.c.is_public,
            sa.exists().where(PlanPlaces.plan_id == plan.c.id).label("is_limited"),
            *(plan.c[name] for name in LIMIT_COLUMNS),
            price.c.id.label("price_id"),
            price.c.public_id.label("price_ref"),
            price.c.currency,
            price.c.country,
            price.c.phases,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.tax_inclusive,
            price.c.sign_up_fee_minor,
        )
        .select_from(source)
        .where(price.c.retired_at.is_(None))
        .order_by(plan.c.position, plan.c.id, price.c.country, price.c.version)
    )


def _cards(
    session: AnySession,
    rows: Sequence[AnyRow],
    market: Market,
    today: date,
    moment: Moment | None,
) -> tuple[list[PlanCard], list[PastBox]]:
    groups = {row.cycle_group_id for row in rows if row.cycle_group_id}
    rounds = rounds_of(session, groups, {row.id: row for row in rows}, today)
    limited = {row.cycle_group_id for row in rows if row.has_capacity}
    uses = uses_of(session, limited, moment) if limited and moment is not None else {}
    is_now = any(row.first_box == "now" for row in rows)
    off = read_days_off(session) if is_now else SUNDAYS
    per_plan: dict[int, list[AnyRow]] = defaultdict(list)
    for row in rows:
        per_plan[row.id].append(row)
    cards = []
    for own in per_plan.values():
        plan = plan_from(own[0])
        joinable = rounds.slots.get(plan.group_id or 0, [])
        first = waiting(plan)
        if plan.first_box == "now":
            first = at_once(rounds.locked_last.get(plan.group_id or 0), today, off)
        if plan.shipping is not None and plan.has_capacity:
            first = room_in(first, joinable, uses, (1, 1, plan.shipping), today)
        # What follows a trial comes with a later payment, and is in nobody's window of sale.
        first = replace(first, is_sale=not plan.trial_days)
        coming = _coming(joinable, first, rounds.ends, today)
        offers = plan_offers(plan, in_one_currency(own), joinable, first, market, today)
        if not offers:
            continue
        row = own[0]
        cards.append(
            PlanCard(
                plan.code,
                plan.name,
                plan.tagline,
                row.description,
                plan.benefits,
                row.is_recommended,
                plan.shipping is not None,
                offers,
                coming,
                least_allowed(plan.min_boxes, _each(plan, offers), market.country_of({})),
                _fewer_in(plan, offers, market),
                skip_limits=SkipLimits(*(getattr(row, name) for name in LIMIT_COLUMNS)),
            )
        )
    return cards, rounds.past


def _coming(
    slots: Sequence[CycleSlot], first: FirstBox, ends: Mapping[int, date], today: date
) -> ComingBox | None:
    place = first_place(slots, today, first)
    if place is None:
        return None
    cutoff_on: date | None = place.cycle.cutoff_on
    ship_to = max(place.ships_on, ends[place.cycle.id])
    cutoff_on = cutoff_on if cutoff_on and cutoff_on >= today else None
    rule: FirstBoxRule = "next"
    if place.is_kept:
        rule = "later" if place.waits else "now"
    passed = place.passed.ship_from if place.passed is not None else None
    late = first.rule == "now"
    return ComingBox(cutoff_on, place.ships_on, ship_to, rule, passed, place.passed_unsold, late)


def _each(plan: OrderPlan, offers: Sequence[Offer]) -> Interval:
    return plan.shipping or offers[0].interval


def _fewer_in(
    plan: OrderPlan, offers: Sequence[Offer], market: Market
) -> tuple[tuple[str, str, int], ...]:
    found = []
    for one in LIMITS:
        least = least_allowed(plan.min_boxes, _each(plan, offers), one.country, one.region)
        if one.country in market.countries and least < plan.min_boxes:
            found.append((one.country, one.region, least))
    return tuple(found)
