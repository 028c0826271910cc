"""Gift subscriptions: paid once by the giver, begun on a day, over after their boxes.

Days are shop-local dates. Source: docs/decisions/0160-gift-subscriptions.md and
0194-recipients-go-on.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from storefront.domain.checkout import OrderTerms
from storefront.domain.cycles import CycleSlot
from storefront.domain.errors import DomainError
from storefront.domain.periods import Interval, add_interval
from storefront.domain.renewals import NOTICE_DAYS

#: Signs of the message that goes with a gift.
MESSAGE_MOST = 400
#: How far ahead a gift can be ordered: rounds are planned a little further.
DAYS_AHEAD = 180
#: So long after its day the recipient is reminded, once; the giver hears of it.
REMIND_AFTER = timedelta(days=7)

#: So long after its day a gift that nobody has claimed is on the staff's list.
UNCLAIMED_AFTER = timedelta(days=30)

#: So long before the last box leaves its recipient is told how to go on.
OFFER_BEFORE = timedelta(days=14)
#: So long after it left they are thanked, where they did not go on.
THANK_AFTER = timedelta(days=5)
#: Nobody is written to of a gift that has been over for longer.
THANK_UNTIL = timedelta(days=35)


class GiftState(StrEnum):
    """How far a gift has come."""

    #: Its day is to come: the recipient knows nothing.
    WAITING = "waiting"
    #: The recipient has a code and has not said where the boxes go.
    TOLD = "told"
    CLAIMED = "claimed"


class NotGivable(DomainError):
    """``reason``: several (one box at a time), nothing_ships, addons, past or too_far."""

    code = "not_givable"


@dataclass(frozen=True, slots=True)
class GiftWish:
    """Who gets it, what stands in the card, and the first day of the term."""

    name: str
    #: Empty for a quiet one: nothing is written to them.
    email: str
    country: str
    message: str
    send_on: date
    #: Where it goes, by column name, as far as the giver knows it; else its recipient says so.
    address: Mapping[str, str] = field(default_factory=dict)
    #: The giver hands over the code, or nobody does: we write nothing to the recipient.
    is_quiet: bool = False

    def kept(self) -> dict[str, Any]:
        """Return the wish as ``checkout.gift`` has it."""
        wish: dict[str, Any] = {
            "name": self.name,
            "email": self.email,
            "country": self.country,
            "message": self.message,
            "send_on": self.send_on.isoformat(),
        }
        if self.address:
            wish["address"] = dict(self.address)
        if self.is_quiet:
            wish["is_quiet"] = True
        return wish


def read_wish(kept: Mapping[str, Any] | None) -> GiftWish | None:
    """Return the wish that ``checkout.gift`` keeps; None for an order that is no gift.

    >>> read_wish({}) is None
    True
    """
    if not kept:
        return None
    parts = {name: str(kept[name]) for name in ("name", "email", "country", "message")}
    return GiftWish(
        **parts,
        send_on=date.fromisoformat(kept["send_on"]),
        address=kept.get("address", {}),
        is_quiet=bool(kept.get("is_quiet")),
    )


def destination_of(address: Mapping[str, Any], kept: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return where an order goes that is taxed and sent by ``address``, or by its gift's own.

    >>> destination_of({"country": "DE"}, {"address": {"country": "DE", "postcode": "07743"}})
    {'country': 'DE', 'postcode': '07743'}
    """
    given: Mapping[str, Any] = (kept or {}).get("address") or address
    return given


def without_recipient_of(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``checkout.gift`` keeps without who was to get it, where, and what it said.

    >>> without_recipient_of({"name": "Bo", "email": "b@c.org", "message": "", "country": "DE"})
    {'name': '', 'email': '', 'message': '', 'country': 'DE'}
    """
    left = {name: value for name, value in kept.items() if name != "address"}
    return {**left, "name": "", "email": "", "message": ""}


def problem_of_day(send_on: date, today: date) -> str:
    """Return why a gift cannot begin on a day: past or too_far; empty when it can.

    >>> problem_of_day(date(2027, 3, 1), date(2027, 3, 2))
    'past'
    """
    if send_on < today:
        return "past"
    return "too_far" if send_on > today + timedelta(days=DAYS_AHEAD) else ""


def first_day(send_on: date, today: date) -> date:
    """Return the day a gift's term begins: its own, or today where that has passed unpaid."""
    return max(send_on, today)


def begun_on(terms: OrderTerms, day: date) -> OrderTerms:
    """Return the terms of an order as those of a gift whose term begins on ``day``.

    Rates and discounts are those of the day of the order, which are in ``terms`` already. It
    is paid in full at once, is never tried for free, and ends after the boxes of one payment.
    """
    whole = replace(terms, today=day, trial_days=0, first_period="full", then=None, ends_on=None)
    boxes = (terms.interval.multiple_of(terms.shipping) or 1) if terms.shipping else 1
    return replace(whole, max_boxes=boxes)


def closed_without_address(cycles: Iterable[CycleSlot], today: date) -> list[CycleSlot]:
    """Return those of the cycles of unclaimed boxes whose cut-off is over, the first first.

    Each box of theirs moves behind the last one, until somebody says where it goes.
    """
    over = [cycle for cycle in cycles if cycle.cutoff_on < today]
    return sorted(over, key=lambda cycle: (cycle.lock_on, cycle.id))


def follows_on(
    begun_on: date, shipping: Interval, boxes: int, last_feed_on: date | None, unplaced: int = 0
) -> date:
    """Return the first day on which a recipient who goes on can be charged.

    The gift began on ``begun_on`` and has ``boxes``, one each ``shipping`` interval; of those
    that have a round the last is paid for on ``last_feed_on`` at the latest, and ``unplaced`` ones
    come behind it, one each interval. It is the first boundary of the gift behind all of them: so
    the first box of one's own is the one after the gift's last, however often a box moved.

    >>> follows_on(date(2027, 4, 20), Interval("month"), 3, date(2027, 7, 12))
    datetime.date(2027, 7, 20)
    >>> follows_on(date(2027, 4, 20), Interval("month"), 3, date(2027, 8, 12))
    datetime.date(2027, 8, 20)
    >>> follows_on(date(2027, 4, 20), Interval("month"), 12, date(2027, 12, 12), unplaced=4)
    datetime.date(2028, 4, 20)
    """
    number = 0
    while last_feed_on is not None and add_interval(begun_on, shipping, number) <= last_feed_on:
        number += 1
    return add_interval(begun_on, shipping, max(boxes, number + unplaced))


def moved_to(current: date, wanted: date, agreed: date, ours: date, today: date) -> date:
    """Return the first payment day of a recipient who goes on, now that a box of the gift moved.

    Never before ``agreed``, and ``current`` only moves back where it is the day that we gave it
    last (``ours``, at first ``agreed``): a later day that the recipient chose stands. Nor does it
    move back to a day so near that they would be charged before they heard of it.

    >>> at = [date(2027, month, 20) for month in (7, 8, 9)]
    >>> moved_to(at[0], at[1], at[0], at[0], date(2027, 6, 1)) == at[1]
    True
    >>> moved_to(at[2], at[1], at[0], at[0], date(2027, 6, 1)) == at[2]
    True
    >>> moved_to(at[1], at[0], at[0], at[1], date(2027, 7, 17)) == at[1]
    True
    """
    day = max(wanted, agreed)
    if day >= current:
        return day
    is_chosen, is_near = current != ours, day <= today + timedelta(days=NOTICE_DAYS)
    return current if is_chosen or is_near else day


def state_of(*, is_told: bool, is_claimed: bool) -> GiftState:
    """Return how far a gift has come."""
    if is_claimed:
        return GiftState.CLAIMED
    return GiftState.TOLD if is_told else GiftState.WAITING
