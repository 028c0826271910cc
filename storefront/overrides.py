"""Templates of the merchant and of plugins instead of ours; one that fails gives way to ours.

Looked for in this order: the merchant's folder, plugins, our own. ``ours/`` before a name always
means our own, so that an override extends it and changes one block. Pages for staff and mails
stay ours: a slip in a folder locks nobody out and keeps no mail from leaving.
Source: docs/decisions/0226-templates-of-others.md.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from typing import Any

from flask import Flask
from jinja2 import BaseLoader, Environment, FileSystemLoader, Template, TemplateSyntaxError
from jinja2.exceptions import TemplateNotFound

log = logging.getLogger(__name__)

OURS = "ours/"
OUR_FOLDER = Path(__file__).parent / "templates"
_FIRST = "storefront/"
_KEPT = ("storefront/admin/", "storefront/email/")
_MARK = re.compile(r"\{#-? storefront ([0-9a-f]{12}) -?#\}")


def may_be_replaced(name: str) -> bool:
    """True for templates that a folder or a plugin may have instead of ours.

    >>> may_be_replaced("storefront/pricing/index.html"), may_be_replaced("storefront/admin/x.html")
    (True, False)
    """
    return name.startswith(_FIRST) and not name.startswith(_KEPT)


def init_app(app: Flask, folder: str) -> None:
    """Look for templates in ``folder`` and in plugins before our own; an empty folder is none."""
    ours = app.jinja_env.loader
    if ours is None:
        raise RuntimeError("the application has no templates of its own")
    app.extensions["storefront_overrides"] = Overrides(app, folder, ours)
    app.jinja_env.loader = app.extensions["storefront_overrides"]


class Overrides(BaseLoader):
    """Loads what stands before ours, and remembers what of it failed."""

    def __init__(self, app: Flask, folder: str, ours: BaseLoader) -> None:
        self._app, self._ours = app, ours
        self._folder = FileSystemLoader(folder) if folder else None
        self._failed: set[str] = set()

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's name
    ) -> Template:
        if name.startswith(OURS):
            return self._ours.load(environment, name.removeprefix(OURS), globals)
        if may_be_replaced(name):
            for loader in self._before():
                found = self._load(loader, environment, name, globals)
                if found is not None:
                    return found
        return self._ours.load(environment, name, globals)

    def list_templates(self) -> list[str]:
        return self._ours.list_templates()

    def _before(self) -> Iterator[BaseLoader]:
        if self._folder is not None:
            yield self._folder
        for blueprint in self._app.iter_blueprints():
            if blueprint.jinja_loader is not None:
                yield blueprint.jinja_loader

    def _load(
        self,
        loader: BaseLoader,
        environment: Environment,
        name: str,
        values: MutableMapping[str, Any] | None,
    ) -> Template | None:
        try:
            _, path, _ = loader.get_source(environment, name)
            return None if path in self._failed else loader.load(environment, name, values)
        except TemplateNotFound:
            return None
        except TemplateSyntaxError as error:
            self._give_up(error.filename or name, error.lineno, error.message or "")
        except (OSError, UnicodeError) as error:
            self._give_up(name, 1, str(error))
        return None

    def blame(self, error: BaseException) -> bool:
        """Take the override out in which ``error`` was raised; False if it was raised in none."""
        mine = [str(Path(path).resolve()) for path in self._folders()]
        for frame, line in reversed(list(walk_tb(error.__traceback__))):
            path = frame.f_code.co_filename
            if path.endswith(".html") and str(Path(path).resolve()).startswith(tuple(mine)):
                if path in self._failed:
                    return False
                self._give_up(path, line, str(error))
                cache = self._app.jinja_env.cache
                if cache is not None:
                    cache.clear()
                return True
        return False

    def _folders(self) -> Iterator[str]:
        for loader in self._before():
            if isinstance(loader, FileSystemLoader):
                for path in loader.searchpath:
                    yield f"{Path(path).resolve()}/{_FIRST}"

    def _give_up(self, path: str, line: int, why: str) -> None:
        self._failed.add(path)
        log.error("template %s, line %d: %s; our own is shown until a restart", path, line, why)


@dataclass(frozen=True, slots=True)
class Replaceable:
    """One template of ours and what the merchant's folder has for it."""

    name: str
    #: ``ours``, ``replaced``, ``outdated`` (ours changed since the copy) or ``unmarked``.
    state: str


def digest_of(name: str) -> str:
    """Return the version of our template: it changes when its text does."""
    return hashlib.sha256((OUR_FOLDER / name).read_bytes()).hexdigest()[:12]


def replaceable(folder: str) -> list[Replaceable]:
    """Return every template that may be replaced, by name."""
    names = (path.relative_to(OUR_FOLDER).as_posix() for path in OUR_FOLDER.rglob("*.html"))
    return [
        Replaceable(name, _state(folder, name)) for name in sorted(names) if may_be_replaced(name)
    ]


def strangers(folder: str) -> list[str]:
    """Return files of the folder that replace nothing: misspelt, or of an earlier release."""
    if not folder:
        return []
    known = {one.name for one in replaceable("")}
    found = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.html"))
    return sorted(name for name in found if name not in known)


def copy(folder: str, name: str) -> Path:
    """Write our template into the folder, with its version in the first line.

    Raises ``KeyError`` for a name that cannot be replaced, ``FileExistsError`` for one that is.
    """
    if name not in {one.name for one in replaceable("")}:
        raise KeyError(name)
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (OUR_FOLDER / name).read_text("utf-8")
    with path.open("x", encoding="utf-8") as file:
        file.write(f"{{#- storefront {digest_of(name)} -#}}\n{text}")
    return path


def _state(folder: str, name: str) -> str:
    path = Path(folder) / name
    if not folder or not path.is_file():
        return "ours"
    marked = _MARK.match(path.read_text("utf-8", errors="replace"))
    if marked is None:
        return "unmarked"
    return "replaced" if marked[1] == digest_of(name) else "outdated"
