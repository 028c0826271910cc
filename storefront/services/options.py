"""What is asked about the box of a plan, and what each answer costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

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
from storefront.runtime import Runtime

T = TypeVar("T")
ACTION = "plan.option_changed"


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
        if rt.session.execute(sa.select(table.c.id).where(mine, table.c.code == code)).first():
            raise OptionExists(name=name)
        last = rt.session.execute(sa.select(sa.func.max(table.c.position)).where(mine))
        rt.session.execute(
            sa.insert(table).values(
                id=reserve(rt.session, OptionGroup, 1)[0],
                plan_id=row.id,
                code=code,
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
        if rt.session.execute(sa.select(table.c.id).where(mine, table.c.code == code)).first():
            raise OptionExists(name=name)
        last = rt.session.execute(sa.select(sa.func.max(table.c.position)).where(mine))
        rt.session.execute(
            sa.insert(table).values(
                id=reserve(rt.session, Option, 1)[0],
                group_id=group.id,
                code=code,
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
