"""Change the name of a group of plans and the days of its rhythm, once it was shown what moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.cycles import CycleRhythm
from storefront.domain.errors import DomainError
from storefront.domain.rhythm_changes import RhythmProblem, Step, problem_of_steps, steps_of
from storefront.models import CycleGroup
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.cycles import Group, note_planned_days, read_days_off, rhythm_of
from storefront.operations.group_rhythm import (
    first_payments,
    planned_days,
    read_group,
    read_rounds,
    write_group,
    write_steps,
)
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class GroupGone(DomainError):
    """There is no such group."""

    code = "group_gone"


class NameTaken(DomainError):
    """Another group has this name."""

    code = "group_name_taken"


class RhythmRefused(DomainError):
    """The rhythm does not go with what is sold; ``problem`` says why, ``key`` names the cycle."""

    code = "rhythm_refused"

    def __init__(self, problem: RhythmProblem, key: str) -> None:
        super().__init__(problem=problem.value, key=key)
        self.problem = problem
        self.key = key


class NotAsShown(DomainError):
    """The group, or what would move, is not as it was when the page was made."""

    code = "not_as_shown"


@dataclass(frozen=True, slots=True)
class RhythmDraft:
    """What a group is to be; days are counted from the charge day, rolling: the packing day."""

    name: str
    cutoff_days: int
    #: Rolling: without effect, as payments find their box by the lock (decision 0018).
    lock_days: int
    ship_days: int
    ship_window_days: int
    #: Cycles with paid boxes follow, too, but for those with somebody's first box.
    moves_paid: bool = False


@dataclass(frozen=True, slots=True)
class RhythmPreview:
    """What a draft does to the cycles that are there, and marks to save just that."""

    steps: tuple[Step, ...]
    refused: tuple[RhythmProblem, str] | None
    #: Of the group as it is stored, and of the days that move.
    version: str
    seen: str

    @property
    def moves(self) -> bool:
        """Whether a cycle gets other days."""
        return any(one.moves for one in self.steps)


def group_of(rt: Runtime, ref: str) -> tuple[AnyRow, str]:
    """Return the group's row and its version. Raises ``GroupGone``."""
    with reading():
        row = read_group(rt.session, ref)
        rt.session.rollback()
    if row is None:
        raise GroupGone(ref=ref)
    return row, _version(row)


def preview_group(rt: Runtime, ref: str, draft: RhythmDraft) -> RhythmPreview:
    """Return which cycles would get which days. Nothing is written.

    Raises ``GroupGone``, and ``ValueError`` for days out of order.
    """
    with reading():
        row = read_group(rt.session, ref)
        if row is None:
            rt.session.rollback()
            raise GroupGone(ref=ref)
        found = _preview(rt, row, draft)
        rt.session.rollback()
    return found


def change_group(
    rt: Runtime, who: Who, ref: str, draft: RhythmDraft, version: str, seen: str
) -> int:
    """Save a draft as it was shown; returns how many cycles got other days.

    Cycles that nothing is sold, charged, promised or told of yet follow the new rhythm, and those
    of paid boxes where the draft says so; all others keep their days, and every box and payment
    stays where it is. ``version`` and ``seen``
    are those of the preview that staff looked at; where no cycle moves nothing has to be seen.
    Raises ``GroupGone``, ``NameTaken``, ``RhythmRefused``, ``NotAsShown``, and ``ValueError`` for
    days out of order.
    """

    def write() -> int:
        # In the order in which the worker takes them when it plans ahead.
        off = read_days_off(rt.session, for_update=True)
        row = read_group(rt.session, ref, for_update=True)
        if row is None:
            raise GroupGone(ref=ref)
        _check_name(rt, row, draft.name)
        found = _preview(rt, row, draft, for_update=True)
        if found.refused is not None:
            raise RhythmRefused(*found.refused)
        if version != found.version or (found.moves and seen != found.seen):
            raise NotAsShown(ref=ref)
        note_planned_days(rt.session, Group(row.id, rhythm_of(row)), off, rt.today())
        write_group(rt.session, row.id, draft.name, _rhythm(row, draft))
        moved = write_steps(rt.session, found.steps)
        before, after = _plain(row), _drafted(row, draft) | {"moved": moved}
        audit.write(rt.session, who.id, "group.changed", ref, before, after, rt.moment(), who.ip)
        raise_version(rt.session)
        rt.session.commit()
        return moved

    moved = retrying(rt.session, write)
    rt.forget_shop()
    return moved


def _preview(
    rt: Runtime, row: AnyRow, draft: RhythmDraft, *, for_update: bool = False
) -> RhythmPreview:
    session, today = rt.session, rt.today()
    off = read_days_off(session)
    rounds = read_rounds(session, row.id, today, for_update=for_update)
    after = planned_days(_rhythm(row, draft), rounds, off, today)
    steps = steps_of(rounds, after, today, moves_paid=draft.moves_paid)
    refused = problem_of_steps(steps, first_payments(session, row.id))
    return RhythmPreview(tuple(steps), refused, _version(row), _seen(steps))


def _rhythm(row: AnyRow, draft: RhythmDraft) -> CycleRhythm:
    old = rhythm_of(row)
    lock = old.lock_days_after_charge if old.is_rolling else draft.lock_days
    return replace(
        old,
        cutoff_days_before_charge=draft.cutoff_days,
        lock_days_after_charge=lock,
        ship_days_after_charge=draft.ship_days,
        ship_window_days=draft.ship_window_days,
    )


def _check_name(rt: Runtime, row: AnyRow, name: str) -> None:
    table = table_of(CycleGroup)
    others = rt.session.scalars(sa.select(table.c.name).where(table.c.id != row.id))
    if any(other.casefold() == name.casefold() for other in others):
        raise NameTaken(name=name)


_DAYS = ("cutoff_days", "lock_days", "ship_days", "ship_window_days")


def _plain(row: AnyRow) -> dict[str, str | int]:
    return {name: getattr(row, name) for name in ("name", *_DAYS)}


def _drafted(row: AnyRow, draft: RhythmDraft) -> dict[str, str | int]:
    found: dict[str, str | int] = {name: getattr(draft, name) for name in ("name", *_DAYS)}
    return found | ({"lock_days": row.lock_days} if row.charge_day is None else {})


def _version(row: AnyRow) -> str:
    return _mark(sorted(_plain(row).items()))


def _seen(steps: list[Step]) -> str:
    return _mark([(one.round.id, one.round.days, one.after) for one in steps if one.moves])


def _mark(of: object) -> str:
    return sha256(repr(of).encode()).hexdigest()[:16]
