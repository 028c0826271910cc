"""The coming boxes of a subscription, row by row, as the account and the staff see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType

from storefront.domain.boxes import BoxState, ProjectedBox, ProjectedKind, project
from storefront.domain.lifecycle import PeriodState
from storefront.domain.money import Money
from storefront.domain.skip_limits import SkipRoom, year_of
from storefront.operations.box_states import waits_for
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.skip_room import skip_room
from storefront.operations.skips import MOVABLE, Coming
from storefront.queries.next_payment import Costs, price_of

#: How many boxes ahead the account shows.
AHEAD = 6


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One coming box, or one that was skipped, as the account shows it."""

    subscription: str
    #: Public id of the cycle; empty while it is still to come.
    cycle: str
    #: Pill of the state: open, locked, held, skipped, planned.
    state: str
    #: First and last ship day; None while the cycle is still to come.
    ship_from: date | None
    ship_to: date | None
    #: Last second in which the box may be changed.
    cutoff_at: datetime | None
    days_left: int
    #: The day it is charged and what that payment is; None when it is paid or skipped.
    charge_on: date | None
    amount: Money | None
    #: For a box that an earlier row's payment covers: nothing more is charged for it.
    covered: bool
    is_paid: bool
    #: Whether it may still change, be skipped, and whether its skip can be taken back.
    can_change: bool
    can_skip: bool
    can_undo: bool
    #: Of a skip: the day on which nothing is charged, and where a paid box went.
    spared_on: date | None = None
    moved: bool = False
    moved_to: date | None = None
    #: Why a held box waits (``domain.packing.Problem``); empty for any other.
    problem: str = ""
    #: Products that a held box waits for.
    waits_for: tuple[str, ...] = ()
    #: Products in a packed box that are still made.
    still_made: tuple[str, ...] = ()
    #: Where it goes, if not where the subscription goes.
    address: str = ""
    #: Whether that is for this box alone, and can be taken back with a click.
    is_elsewhere: bool = False
    #: Why a box that may change cannot be skipped (``SkipRefusal``), and the year it counts in.
    kept: str = ""
    year: int = 0


def box_rows(
    coming: Coming,
    costs: Costs,
    moment: Moment,
    given: Mapping[int, AnyRow] = MappingProxyType({}),
) -> list[BoxRow]:
    """Return the next boxes of a subscription, with the skips between them.

    ``given``: by cycle, the addresses that single boxes were given.
    """
    ahead = project(coming.standing, AHEAD, moment.today)
    room = skip_room(coming, ahead, moment.today)
    days = sorted({box.charge_on for box in ahead if box.charge_on})
    prices = {day: price_of(coming, costs, day, n) for n, day in enumerate(days)}
    rows, seen = [], set[date]()
    for box in ahead:
        alone = given.get(box.cycle.id) if box.cycle else None
        rows.append(_box_row(coming, box, prices, seen, moment, room, alone))
        if box.charge_on:
            seen.add(box.charge_on)
    return rows


def _box_row(
    coming: Coming,
    box: ProjectedBox,
    prices: Mapping[date, Money],
    seen: Iterable[date],
    moment: Moment,
    room: SkipRoom,
    alone: AnyRow | None,
) -> BoxRow:
    cycle = coming.cycles.get(box.cycle.id) if box.cycle else None
    skip = coming.skips.get(cycle.id) if cycle else None
    is_skip = box.kind is ProjectedKind.SKIPPED
    is_open = cycle is not None and cycle.cutoff_on >= moment.today
    paid = next((one for one in coming.boxes if one.id == box.box_id), None)
    movable = paid is None or paid.state in MOVABLE
    moved_to = coming.cycles.get(skip.moved_to_id) if skip and skip.moved_to_id else None
    moved = bool(skip and skip.moved_box_id)
    begun = cycle is not None and not moved and box_feed(cycle) < coming.row.next_on
    covered = box.charge_on is not None and box.charge_on in seen
    ship_from, ship_to = ship_days(paid, cycle)
    can_change = is_open and not is_skip and movable and coming.row.held_at is None
    kept = room.refusal(box.cycle) if can_change and box.cycle else None
    return BoxRow(
        subscription=coming.row.public_id,
        cycle=cycle.public_id if cycle else "",
        state="skipped" if is_skip else _box_state(paid, cycle is None or is_open),
        ship_from=ship_from,
        ship_to=ship_to,
        cutoff_at=_last_second(cycle.cutoff_on, moment) if cycle else None,
        days_left=(cycle.cutoff_on - moment.today).days if cycle else 0,
        charge_on=box.charge_on,
        amount=prices.get(box.charge_on) if box.charge_on else None,
        covered=covered,
        is_paid=box.kind is ProjectedKind.PAID and not _is_owed(paid),
        can_change=can_change,
        can_skip=can_change and kept is None,
        can_undo=is_open and is_skip and not begun,
        spared_on=cycle.charge_on if cycle and is_skip and not moved else None,
        moved=moved and is_skip,
        moved_to=moved_to.ship_from if moved_to and is_skip else None,
        problem=paid.problem if paid is not None and paid.state == BoxState.HELD else "",
        waits_for=tuple(name for name, *_r in waits_for(paid)) if paid is not None else (),
        still_made=_still_made(paid),
        address=_elsewhere(paid, alone),
        is_elsewhere=bool(can_change and cycle and _elsewhere(paid, alone)),
        kept=kept.value if kept else "",
        year=year_of(box.cycle) if kept and box.cycle else 0,
    )


def _still_made(paid: AnyRow | None) -> tuple[str, ...]:
    if paid is None or paid.state not in (BoxState.LOCKED, BoxState.EXPORTED):
        return ()
    return tuple(name for name, _pieces in (paid.packing or {}).get("made", ()))


def _elsewhere(paid: AnyRow | None, alone: AnyRow | None) -> str:
    """Return where a box goes that was given an address of its own."""
    parts = (paid.own_street, paid.own_city) if paid is not None else (None, None)
    if not any(parts) and alone is not None:
        parts = (alone.street, alone.city)
    return ", ".join(part for part in parts if part)


def ship_days(box: AnyRow | None, cycle: AnyRow | None) -> tuple[date | None, date | None]:
    """Return first and last ship day of a box: of its cycle, or its own where it joined late."""
    if cycle is None:
        return None, None
    own = box.leaves_on if box is not None else None
    if own is None or own <= cycle.ship_from:
        return cycle.ship_from, cycle.ship_to
    return own, max(own, cycle.ship_to)


def _is_owed(box: AnyRow | None) -> bool:
    """Return whether a box goes out before it is paid."""
    return box is not None and box.period_state != PeriodState.PAID


def box_feed(cycle: AnyRow) -> date:
    """Return the last start of a period that feeds ``cycle``; see ``CycleSlot.feed_on``."""
    day: date = cycle.lock_on if cycle.charge_on is None else cycle.charge_on
    return day


def _box_state(paid: AnyRow | None, is_open: bool) -> str:
    if paid is None:
        return "open" if is_open else BoxState.LOCKED.value
    # After the cut-off nothing can be changed, whether the packers have begun or not.
    if paid.state == BoxState.PLANNED and not is_open and paid.cycle_id is not None:
        return BoxState.LOCKED.value
    return BoxState(paid.state).value


def _last_second(day: date, moment: Moment) -> datetime:
    return moment.start_of(day + timedelta(days=1)) - timedelta(seconds=1)
