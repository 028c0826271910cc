"""Do the same set-up once per test process, and bring its rows back for the tests that follow.

Two thirds of all tests begin like others: a plan, a customer, a subscription that is ordered and
paid. The first two runs of a builder after the same builders do the work, through the services;
of the second the rows it wrote are kept, and from then on they are put back (5 ms, not 130).

Whoever writes in between, in whatever way, ends this for the rest of the test: from there on every
builder does its work. So does a builder that is called inside a transaction, with a value of which
nobody can say whether it is the same, or in an application that is not the tests' usual one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPIConnection

from storefront.adapters import failpoints
from storefront.models.base import Base
from storefront.runtime import _KEPT as _SHOP
from storefront.runtime import Runtime
from storefront.testing.repeating import kept_by
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.rows import Rows, SqliteRows

T = TypeVar("T")

#: Most results that are kept, of some 30 kB each; the ones made first go first.
MOST = 3_000
#: A text of an earlier builder is recognised where it is too long to be so by chance.
_LONG = 8


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a builder left behind."""

    number: int
    #: The number of what was there before it; its rows fit on nothing else.
    base: int
    rows: Any
    bank: Any
    shop: Any
    result: bytes


class _NotTheSame(Exception):
    """Nobody can say whether this is what another test had."""


_numbers = count(1)
#: The builders that have run so far, each after those before it.
_seen: dict[Hashable, int] = {}
_kept: dict[int, _Kept] = {}
_commits = 0
_commit = DefaultDialect.do_commit
#: The number of a database with nothing but the shop's settings.
_EMPTY = 0


def _commit_and_note(dialect: DefaultDialect, connection: DBAPIConnection) -> None:
    """Count the commits of all engines; a listener would slow each of their statements down."""
    global _commits  # noqa: PLW0603 - one count for the engines of all tests
    _commits += 1
    _commit(dialect, connection)


class Snapshots:
    """The keeper of one test: knows what has been built in its database so far."""

    def __init__(self, rt: Runtime, rows: Rows[Any, Any]) -> None:
        self._rt, self._rows = rt, rows
        self._gateway: Any = rt.gateways.get("demo")
        self._bank_rows = SqliteRows(self._lend_bank)
        self._way: Hashable = (type(rows), _world(rt))
        #: The number of what the databases hold; None where it is not kept.
        self._base: int | None = _EMPTY
        self._state: tuple[Any, Any] | None = None
        self._results: list[Any] = []
        self._is_building = False
        self._is_open = self._is_usual()
        self._stamp = self._written() if self._is_open else ()

    def make(
        self, build: Callable[..., T], rt: Runtime, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        """Bring back what ``build`` did in another test, or let it work."""
        if self._is_building:
            return build(rt, *args, **kwargs)
        key = self._key(build, rt, args, kwargs)
        if key is None:
            self._is_open = False
            return build(rt, *args, **kwargs)
        is_known = key in _seen
        self._way = way = _seen.setdefault(key, len(_seen) + 1)
        kept = _kept.get(way)
        if kept and kept.base == self._base:
            result = self._bring(kept)
        else:
            result = self._work(way, lambda: build(rt, *args, **kwargs), is_known=is_known)
        self._stamp = self._written()
        self._results += [result, *(result if isinstance(result, list) else ())]
        return cast("T", result)

    def _key(
        self, build: Any, rt: Runtime, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Hashable:
        """Return what stands for this builder after those before it; None where nothing can."""
        if not (self._is_open and rt is self._rt and self._is_untouched()):
            return None
        try:
            given = self._same((args, kwargs))
        except _NotTheSame:
            return None
        return (self._way, build.__module__, build.__qualname__, rt.now(), given)

    def _work(self, way: int, build: Callable[[], T], *, is_known: bool) -> T:
        """Let ``build`` work; the second time, keep what it did."""
        base = self._base if is_known else None
        before = (self._state or self._read()) if base is not None else None
        self._base = self._state = None
        self._is_building = True
        try:
            result = build()
        except BaseException:
            self._is_open = False
            raise
        finally:
            self._is_building = False
        if base is not None and before is not None and not self._has_files():
            self._state = self._read()
            self._keep(way, base, before, result)
        return result

    def _keep(self, way: int, base: int, before: tuple[Any, Any], result: Any) -> None:
        assert self._state is not None
        while len(_kept) >= MOST:
            del _kept[next(iter(_kept))]
        self._base = next(_numbers)
        _kept[way] = _Kept(
            self._base,
            base,
            self._rows.change(before[0], self._state[0]),
            self._bank_rows.change(before[1], self._state[1]),
            self._rt.session.info.get(_SHOP),
            pickle.dumps(result),
        )

    def _bring(self, kept: _Kept) -> Any:
        self._rows.bring(kept.rows)
        self._bank_rows.bring(kept.bank)
        session = self._rt.session
        # As after the commit with which every builder ends.
        session.expire_all()
        session.info.pop(_SHOP, None)
        if kept.shop is not None:
            session.info[_SHOP] = kept.shop
        self._base, self._state = kept.number, None
        return pickle.loads(kept.result)  # noqa: S301 - written by this very process

    def _read(self) -> tuple[Any, Any]:
        return self._rows.read(), self._bank_rows.read()

    @contextmanager
    def _lend_bank(self) -> Iterator[Any]:
        yield self._gateway.bank._store._own()

    # -------------------------------------------------------------------- what may have changed

    def _is_usual(self) -> bool:
        """True where nothing but databases can hold what a builder does."""
        gateway = self._gateway
        return (
            type(gateway) is DemoGateway
            and set(self._rt.gateways) == {"demo"}
            and type(gateway.bank) is Bank
            and gateway.bank._store._path == ":memory:"
            and not self._has_files()
        )

    def _is_untouched(self) -> bool:
        """True where only the builders have written, and nobody is about to."""
        session = self._rt.session
        return (
            self._written() == self._stamp
            and not session().in_transaction()
            and not (session.new or session.dirty or session.deleted)
            and self._rt.gateways.get("demo") is self._gateway
            and len(self._rt.gateways) == 1
            and not self._rt.hooks.observers()
            and not failpoints._armed
        )

    def _written(self) -> tuple[Any, ...]:
        """Return what differs after anybody has written to a database or changed the gateway."""
        return (
            _commits,
            self._gateway.bank._store._own().total_changes,
            self._rt.hooks.names,
            {name: id(value) for name, value in vars(self._gateway).items()},
        )

    def _has_files(self) -> bool:
        folder = self._rt.settings.data_dir
        return folder.exists() and any(path.is_file() for path in folder.rglob("*"))

    # ------------------------------------------------------------------------------ the same

    def _same(self, value: Any) -> Hashable:
        """Return what is equal for the values that mean the same in two tests."""
        for number, made in enumerate(self._results):
            if made is value or (type(made) is str and made == value and len(made) >= _LONG):
                return ("made", number)
        if value is self._gateway:
            return "gateway"
        if isinstance(value, Base):
            return self._same_row(value)
        if isinstance(value, Mapping):
            return (dict, *((self._same(k), self._same(v)) for k, v in value.items()))
        if isinstance(value, list | tuple):
            return (type(value), *map(self._same, value))
        if value is None or isinstance(value, str | bytes | int | float | date | datetime | Enum):
            return (type(value), value)
        return _same_data(value)

    def _same_row(self, row: Base) -> Hashable:
        """Return what is equal for a row that two tests have read alike, each for itself.

        The builders before it determine what the database holds, so its key stands for the row;
        its values tell apart when it was read.
        """
        state = sa.inspect(row)
        if not state.has_identity or state.modified:
            raise _NotTheSame
        columns = {attribute.key for attribute in state.mapper.column_attrs}
        read = {name: value for name, value in state.dict.items() if name in columns}
        return (type(row), state.identity, self._same(dict(sorted(read.items()))))


def _same_data(value: Any) -> Hashable:
    parameters = getattr(type(value), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise _NotTheSame
    try:
        hash(value)
    except TypeError as error:
        raise _NotTheSame from error
    return (type(value), value)


def _world(rt: Runtime) -> Hashable:
    """Return what of the settings a builder might act by."""
    settings = replace(rt.settings, database_url="", data_dir=Path())
    return repr(settings), settings.secret_key


@contextmanager
def keeping(rt: Runtime, rows: Rows[Any, Any] | None) -> Iterator[None]:
    """Keep and bring back what builders do with ``rt``, unless its ``rows`` are not known."""
    if rows is None:
        yield
        return
    DefaultDialect.do_commit = _commit_and_note  # type: ignore[method-assign]
    with kept_by(Snapshots(rt, rows)):
        yield
