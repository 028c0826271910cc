"""Every code that the staff log can hold, read from the source of what writes it.

The code is the third argument of ``audit.write``. Where it is no plain text it is followed: to the
values of a name, the arguments of every call of the function around it, the parts of a text that is
put together. What cannot be followed is an error, so that no code goes unseen.
"""

from __future__ import annotations

import ast
import importlib
import itertools
from collections.abc import Iterator
from enum import Enum
from functools import cached_property
from pathlib import Path

import storefront

_ROOT = Path(storefront.__file__).parent
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unexplained(Exception):
    """A code in the log that this cannot follow to its texts; the place is named."""


class Source:
    """One module, with the functions around each of its nodes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text("utf-8"))
        self.around: dict[ast.AST, tuple[_Function, ...]] = {}
        self._note(self.tree, ())

    def _note(self, node: ast.AST, functions: tuple[_Function, ...]) -> None:
        self.around[node] = functions
        inner = (*functions, node) if isinstance(node, _Function) else functions
        for child in ast.iter_child_nodes(node):
            self._note(child, inner)

    @cached_property
    def calls(self) -> list[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    def codes(self) -> set[str]:
        """Return the codes that this module writes into the log."""
        found: set[str] = set()
        for call in self.calls:
            if ast.unparse(call.func) == "audit.write":
                found |= self.values(_argument(call, 2, "action"), call)
        return found

    def values(self, node: ast.expr | None, at: ast.AST) -> set[str]:
        """Return every text that ``node``, which stands near ``at``, can be."""
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.IfExp() | ast.BoolOp() | ast.JoinedStr() | ast.Dict():
                return self._combined(node, at)
            case (
                ast.FormattedValue(value=inner)
                | ast.Attribute(value=inner, attr="value")
                # One of a table of codes: each of them may be meant.
                | ast.Subscript(value=inner)
            ):
                return self.values(inner, at)
            case ast.Attribute(value=ast.Name(id=name), attr=member):
                return self._member(name, member, at)
            case ast.Name(id=name):
                return self._named(name, at)
        raise self._unexplained(node, at)

    def _combined(
        self, node: ast.IfExp | ast.BoolOp | ast.JoinedStr | ast.Dict, at: ast.AST
    ) -> set[str]:
        """Return the texts of what is chosen between others, or put together of them."""
        if isinstance(node, ast.JoinedStr):
            texts = [sorted(self.values(part, at)) for part in node.values]
            return {"".join(each) for each in itertools.product(*texts)}
        parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
        return set().union(*(self.values(part, at) for part in parts))

    def _member(self, name: str, member: str, at: ast.AST) -> set[str]:
        kind = getattr(importlib.import_module(self._module), name, None)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {str(kind[member].value)}
        raise self._unexplained(name, at)

    def _named(self, name: str, at: ast.AST) -> set[str]:
        for function in reversed(self.around[at]):
            given = self._assigned(name, function)
            if given:
                return set().union(*(self.values(each, function.body[0]) for each in given))
            found = self._passed(name, function)
            if found is not None:
                return found
        given = self._assigned(name, self.tree)
        if not given:
            raise self._unexplained(name, at)
        return set().union(*(self.values(each, self.tree) for each in given))

    def _assigned(self, name: str, scope: ast.AST) -> list[ast.expr]:
        """Return what is assigned to ``name`` in ``scope`` itself."""
        own = (scope,) if isinstance(scope, _Function) else ()
        inside = (*self.around[scope], *own)
        found = []
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign | ast.AnnAssign) and self.around[node] == inside:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                pairs = (pair for target in targets for pair in _pairs(target, node.value))
                found += [value for target, value in pairs if target == name]
        return found

    def _passed(self, name: str, function: _Function) -> set[str] | None:
        """Return what the calls of ``function`` pass as ``name``; None when it takes no such."""
        plain = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if name not in (*plain, *(each.arg for each in function.args.kwonlyargs)):
            return None
        place = plain.index(name) if name in plain else None
        found: set[str] = set()
        for call in self.calls:
            if isinstance(call.func, ast.Name) and call.func.id == function.name:
                found |= self.values(_argument(call, place, name), call)
            elif ast.unparse(call.func) == "partial" and _is(call.args[0], function.name):
                found |= self.values(_argument(call, _after(place), name), call)
        if not found:
            raise self._unexplained(name, function)
        return found

    @property
    def _module(self) -> str:
        parts = self.path.relative_to(_ROOT.parent).with_suffix("").parts
        return ".".join(parts)

    def _unexplained(self, what: object, at: ast.AST) -> Unexplained:
        text = ast.unparse(what) if isinstance(what, ast.AST) else str(what)
        return Unexplained(f"{self._module}:{getattr(at, 'lineno', 0)}: {text}")


def _pairs(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr]]:
    """Yield which name gets which value; both sides of ``a, b = 1, 2`` are taken apart."""
    if value is None:
        return
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, other)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _after(place: int | None) -> int | None:
    return None if place is None else place + 1


def _argument(call: ast.Call, place: int | None, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if place is not None and place < len(call.args) else None


def log_codes() -> set[str]:
    """Return every code that can stand in the log. Raises ``Unexplained``."""
    found: set[str] = set()
    for path in sorted(_ROOT.rglob("*.py")):
        if "audit.write" in path.read_text("utf-8"):
            found |= Source(path).codes()
    return found
