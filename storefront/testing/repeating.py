"""Builders whose work a test run may keep and bring back, instead of doing it again.

Without a keeper, which is how everybody but our own test suite uses them, they just build.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from storefront.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")


class Keeper(Protocol):
    """Knows whether it has seen the same builder run on the same database before."""

    def make(
        self, build: Callable[..., T], rt: Runtime, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        """Return what ``build(rt, *args, **kwargs)`` returns, and leave behind what it leaves."""
        ...


_keeper: Keeper | None = None


def repeatable(build: Callable[Concatenate[Runtime, P], T]) -> Callable[Concatenate[Runtime, P], T]:
    """Let the keeper, where there is one, decide whether ``build`` has to run.

    For builders that commit, hold no transaction open, and answer with detached rows.
    """

    @functools.wraps(build)
    def made(rt: Runtime, *args: P.args, **kwargs: P.kwargs) -> T:
        if _keeper is None:
            return build(rt, *args, **kwargs)
        return _keeper.make(build, rt, args, kwargs)

    return made


@contextmanager
def kept_by(keeper: Keeper) -> Iterator[None]:
    """Ask ``keeper`` about every repeatable builder inside the block."""
    global _keeper  # noqa: PLW0603 - builders are plain functions that are given a runtime only
    before, _keeper = _keeper, keeper
    try:
        yield
    finally:
        _keeper = before
