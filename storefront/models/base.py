"""The declarative base, our own column types, and public ids.

Traps met once and kept here: Flask-SQLAlchemy refuses a ``type_annotation_map`` on the base
class, so the base gets a registry; an enum stores its values, not its member names; SQLite
hands back naive datetimes, so instants go through ``UtcDateTime``.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, registry

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: Lower-case letters and digits without the ones people mix up (0/o, 1/l/i).
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


_FAIR = 256 - 256 % len(_ALPHABET)
_LETTERS = bytes(ord(_ALPHABET[byte % len(_ALPHABET)]) for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant. Refuses naive values and always hands back aware UTC datetimes."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: instants carry their zone")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        # SQLite keeps text: store without offset so that text order is time order.
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class WrittenOut(sa.BindParameter[Any]):
    """A member of an enumeration, or several, that stand in the statement instead of beside it.

    SQLite makes its plan anew at each execution where a value from outside decides whether a
    partial index serves; PostgreSQL leaves such an index out of a plan that it keeps. Source:
    docs/decisions/0263-states-written-into-statements.md.
    """

    inherit_cache = True

    def _gen_cache_key(self, anon_map: Any, bindparams: Any) -> Any:
        key = super()._gen_cache_key(anon_map, bindparams)
        return key and (*key, repr(self.value))


def written_out(words: str | Sequence[str]) -> WrittenOut:
    """Return one or several words of the program's own for a comparison, written out."""
    several = not isinstance(words, str)
    return WrittenOut(None, words, type_=sa.String(), unique=True, expanding=several)


@compiles(WrittenOut)
def _write_out(element: WrittenOut, compiler: Any, **how: Any) -> str:
    return str(compiler.visit_bindparam(element, **{**how, "literal_binds": True}))


class ValuesEnum(sa.Enum):
    """A text column of an enumeration's values; comparisons with its members are written out."""

    class Comparator(sa.Enum.Comparator):
        def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
            compared: Any = super().operate(op, *other, **kwargs)
            right = getattr(compared, "right", None)
            if type(right) is sa.BindParameter and _are_members(right.value):
                compared.right = WrittenOut(
                    None,
                    right.value,
                    type_=right.type,
                    unique=True,
                    expanding=right.expanding,
                )
            return compared

    comparator_factory = Comparator


def _are_members(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset)):
        return bool(value) and all(isinstance(one, Enum) for one in value)
    return isinstance(value, Enum)


def values_enum(kind: type[Enum], length: int = 24) -> ValuesEnum:
    """Return a column type that stores the *values* of ``kind`` as text with a CHECK."""
    return ValuesEnum(
        kind,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        length=length,
        name=_snake(kind.__name__),
    )


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class Base(DeclarativeBase):
    """Base of all mapped classes. Every relationship is ``lazy="raise"``."""

    registry = registry(
        metadata=sa.MetaData(naming_convention=NAMING),
        type_annotation_map={
            datetime: UtcDateTime(),
            date: sa.Date(),
            int: sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            str: sa.String(255),
            dict[str, Any]: sa.JSON(),
            list[Any]: sa.JSON(),
        },
    )


def table_of(model: type[Base]) -> sa.Table:
    """Return the table of ``model``, for statements on many rows."""
    table = model.__table__
    if not isinstance(table, sa.Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    return table


def public_id(prefix: str) -> str:
    """Return an unguessable id such as ``sub_7f3k…``: 26 letters, about 128 bits."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(26))}"


def public_ids(prefix: str, count: int) -> list[str]:
    """Return ``count`` public ids from one draw of randomness; for bulk inserts."""
    letters: list[str] = []
    while len(letters) < 26 * count:
        # Bytes past the last whole multiple of the alphabet would favour its first letters.
        letters += secrets.token_bytes(32 * count).translate(_LETTERS, _UNFAIR).decode()
    text = "".join(letters)
    return [f"{prefix}_{text[start : start + 26]}" for start in range(0, 26 * count, 26)]
