"""What is asked about the box of a plan, and what each answer costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, count
from typing import Any, Literal, NamedTuple, TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.models import Option, OptionGroup
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import locked_plan, raise_version
from storefront.operations.keys import AnyRow, reserve
from storefront.operations.wordings import keep_wording
from storefront.runtime import Runtime

#: What became of a new name: another one, only what it is called elsewhere, or nothing.
SavedName = Literal["renamed", "translated", "same"]
T = TypeVar("T")
ACTION = "plan.option_changed"
#: Language to the name in it.
Names = Mapping[str, str]


class UnknownOption(DomainError):
    """The plan has no such question or answer."""

    code = "unknown_option"


class OptionExists(DomainError):
    """The plan has a question or answer of this name already."""

    code = "option_exists"


def add_question(rt: Runtime, who: Who, plan: str, code: str, name: str) -> None:
    """Ask ``name`` about the box; it shows once it has answers.

    Raises ``UnknownPlan`` or ``OptionExists``.
    """

    def write() -> None:
        row, table = locked_plan(rt.session, plan), table_of(OptionGroup)
        mine = table.c.plan_id == row.id
        _check_new(rt, mine, table.c.name, name)
        free = _free_code(rt, mine, table.c.code, code)
        last = rt.session.execute(sa.select(sa.func.max(table.c.position)).where(mine))
        rt.session.execute(
            sa.insert(table).values(
                id=reserve(rt.session, OptionGroup, 1)[0],
                plan_id=row.id,
                code=free,
                name=name,
                hint="",
                position=(last.scalar_one() or 0) + 1,
            )
        )
        _done(rt, who, plan, {}, {"question": name})

    _changing(rt, write)


def add_option(
    rt: Runtime, who: Who, plan: str, question: str, code: str, name: str, surcharge: Money
) -> None:
    """Add an answer to a question; ``surcharge`` is per box and may be zero.

    Raises ``UnknownPlan``, ``UnknownOption`` or ``OptionExists``.
    """

    def write() -> None:
        group, table = _question(rt, plan, question), table_of(Option)
        mine = table.c.group_id == group.id
        _check_new(rt, mine, table.c.name, name)
        free = _free_code(rt, mine, table.c.code, code)
        last = rt.session.execute(sa.select(sa.func.max(table.c.position)).where(mine))
        rt.session.execute(
            sa.insert(table).values(
                id=reserve(rt.session, Option, 1)[0],
                group_id=group.id,
                code=free,
                name=name,
                hint="",
                position=(last.scalar_one() or 0) + 1,
                surcharges=_surcharges(surcharge),
            )
        )
        _done(rt, who, plan, {}, {"option": name, "surcharge_minor": surcharge.minor})

    _changing(rt, write)


def save_option(
    rt: Runtime, who: Who, plan: str, question: str, option: str, surcharge: Money
) -> None:
    """Change what an answer costs per box, from each subscriber's next payment on.

    Raises ``UnknownPlan`` or ``UnknownOption``.
    """

    def write() -> None:
        row, table = _option(rt, plan, question, option), table_of(Option)
        values = {**row.surcharges, **_surcharges(surcharge)}
        if surcharge.is_zero:
            values.pop(surcharge.currency, None)
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(surcharges=values))
        before = {"option": row.name, "surcharges": row.surcharges}
        _done(rt, who, plan, before, {"option": row.name, "surcharges": values})

    _changing(rt, write)


def rename_question(
    rt: Runtime, who: Who, plan: str, question: str, name: str, others: Names | None = None
) -> SavedName:
    """Call a question ``name`` from now on; say whether that changed anything.

    ``others``: its name in other languages, all of them; None leaves them.

    What was answered and what is printed keep the words they had. Raises ``UnknownPlan``,
    ``UnknownOption`` or ``OptionExists``.
    """

    def write() -> SavedName:
        row, table = _question(rt, plan, question), table_of(OptionGroup)
        return _rename(rt, who, plan, _Named(table, row, row.plan_id, question), name, others)

    return _changing(rt, write)


def rename_option(
    rt: Runtime,
    who: Who,
    plan: str,
    question: str,
    option: str,
    name: str,
    others: Names | None = None,
) -> SavedName:
    """Call an answer ``name`` from now on, as ``rename_question`` does with a question."""

    def write() -> SavedName:
        group, table = _question(rt, plan, question), table_of(Option)
        row = _option(rt, plan, question, option)
        one = _Named(table, row, group.plan_id, question, option)
        return _rename(rt, who, plan, one, name, others)

    return _changing(rt, write)


class _Named(NamedTuple):
    """A question, or an answer to it, that gets another name."""

    table: sa.Table
    row: AnyRow
    plan_id: int
    question: str
    option: str = ""

    @property
    def others(self) -> sa.ColumnElement[bool]:
        """The condition that a row stands beside it."""
        columns = self.table.c
        beside = (
            columns.group_id == self.row.group_id
            if self.option
            else columns.plan_id == self.row.plan_id
        )
        return sa.and_(beside, columns.id != self.row.id)


def _rename(
    rt: Runtime, who: Who, plan: str, one: _Named, name: str, others: Names | None
) -> SavedName:
    told = one.row.translations if others is None else _named(one.row.translations, others)
    if (name, told) == (one.row.name, one.row.translations):
        rt.session.rollback()
        return "same"
    columns = one.table.c
    if name != one.row.name:
        _check_new(rt, one.others, columns.name, name)
        keep_wording(rt.session, (one.plan_id, one.question, one.option), one.row.name, rt.now())
    values = {"name": name, "translations": told}
    rt.session.execute(sa.update(one.table).where(columns.id == one.row.id).values(values))
    kind = "option" if one.option else "question"
    before = {kind: one.row.name, "translations": one.row.translations}
    _done(rt, who, plan, before, {kind: name, "translations": told})
    return "translated" if name == one.row.name else "renamed"


def _named(told: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return translations with other names; what else is translated stays."""
    kept = {
        code: {part: text for part, text in texts.items() if part != "name"}
        for code, texts in told.items()
    }
    for code, name in names.items():
        kept.setdefault(code, {})["name"] = name
    return {code: texts for code, texts in kept.items() if texts}


def archive_option(
    rt: Runtime, who: Who, plan: str, question: str, option: str, *, archived: bool = True
) -> None:
    """Offer an answer no more, or again; who chose it keeps it.

    Raises ``UnknownPlan`` or ``UnknownOption``.
    """

    def write() -> None:
        row, table = _option(rt, plan, question, option), table_of(Option)
        at = rt.now() if archived else None
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(archived_at=at))
        _done(rt, who, plan, {"option": row.name}, {"archived": archived})

    _changing(rt, write)


def _check_new(
    rt: Runtime, beside: sa.ColumnElement[bool], names: sa.Column[Any], name: str
) -> None:
    """Raise ``OptionExists`` where a name ``beside`` reads like ``name``."""
    taken = rt.session.scalars(sa.select(names).where(beside))
    if _plain(name) in {_plain(one) for one in taken}:
        raise OptionExists(name=name)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _free_code(
    rt: Runtime, beside: sa.ColumnElement[bool], codes: sa.Column[Any], wanted: str
) -> str:
    """Return ``wanted``, with a number where what was renamed since has it."""
    taken = set(rt.session.scalars(sa.select(codes).where(beside)))
    numbered = (f"{wanted[:37].strip('-')}-{number}" for number in count(2))
    return next(code for code in chain([wanted], numbered) if code not in taken)


def _surcharges(amount: Money) -> dict[str, int]:
    return {} if amount.is_zero else {amount.currency: amount.minor}


def _question(rt: Runtime, plan: str, question: str) -> AnyRow:
    row, table = locked_plan(rt.session, plan), table_of(OptionGroup)
    found = rt.session.execute(
        sa.select(table).where(table.c.plan_id == row.id, table.c.code == question)
    ).one_or_none()
    if found is None:
        raise UnknownOption(question=question)
    return found


def _option(rt: Runtime, plan: str, question: str, option: str) -> AnyRow:
    group, table = _question(rt, plan, question), table_of(Option)
    found = rt.session.execute(
        sa.select(table).where(table.c.group_id == group.id, table.c.code == option)
    ).one_or_none()
    if found is None:
        raise UnknownOption(option=option)
    return found


def _done(rt: Runtime, who: Who, plan: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    raise_version(rt.session)
    audit.write(rt.session, who.id, ACTION, plan, before, after, rt.moment(), who.ip)
    rt.session.commit()


def _changing(rt: Runtime, write: Callable[[], T]) -> T:
    done = retrying(rt.session, write)
    rt.forget_shop()
    return done
