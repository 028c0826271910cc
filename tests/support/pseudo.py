"""A language that nobody speaks: what a page shows in any other one has not been translated.

Greek, so that the names of days, months and countries are in letters of their own. All texts of the
catalogues are in wide letters. What is left in plain letters was written into the source, or comes
from the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import get_babel

import storefront
from storefront.models import Product, ShopSettings
from storefront.models.base import Base
from storefront.queries.translations import PARTS

CODE = "el"
_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: The same letters as the wide ones of East Asian typesetting.
_WIDE = str.maketrans({letter: chr(ord(letter) + 0xFEE0) for letter in _PLAIN})
#: What stays as it is in a translated text: values, marks of HTML, addresses.
_KEPT = re.compile(r"%\(\w+\)[sd]|%%|<[^>]*>|&\w+;|\{\w*\}|https?://\S+")
_GREEK, _WIDE_ONES = "\u0370-\u03ff\u1f00-\u1fff", "\uff21-\uff3a\uff41-\uff5a"
#: What separates a value from the words beside it.
_BETWEEN = re.compile(
    rf"[{_GREEK}{_WIDE_ONES}]+|[^\w\s'’.&@/+-]+|\s[-/+&.]\s|\d[\d.,]*|[\n\t]+|(?<=\w)\.(?=\s|$)"
)
_WORD = re.compile(r"[A-Za-zÀ-ÿ]{2,}")
#: Attributes that people read or hear.
_READ = ("title", "aria-label", "aria-description", "placeholder", "alt", "label")
_UNSEEN = {"script", "style", "template", "code", "svg", "head"}
#: Addresses, and what rows are called in them.
_ADDRESS = re.compile(r"https?://\S+|\b[a-z]{3,4}_[a-z0-9]{20,}\b")
#: How a code of ours looks, which the database holds and no page may show.
_CODE = re.compile(r"[a-z0-9_.:-]+")


def pseudo(text: str) -> str:
    """Return ``text`` in wide letters; values, marks and addresses stay."""
    parts, last = [], 0
    for kept in _KEPT.finditer(text):
        parts += [text[last : kept.start()].translate(_WIDE), kept[0]]
        last = kept.end()
    return "".join([*parts, text[last:].translate(_WIDE)])


def speak(app: Flask, folder: Path) -> None:
    """Let ``app`` speak nothing but this language; its catalogues are written to ``folder``."""
    with app.app_context():
        babel = get_babel(app)
        made = []
        for number, texts in enumerate(babel.translation_directories):
            source = Path(texts) / "de" / "LC_MESSAGES" / "messages.po"
            if source.is_file():
                made.append(_write(source, folder / str(number)))
        babel.translation_directories[:] = made
        babel.locale_selector = lambda: CODE
        babel.instance.domain_instance.cache.clear()


def translate(session: Any) -> None:
    """Let the merchant have said everything in this language that can be said in several."""
    for kind, parts in {Product: ("name",), ShopSettings: ("line",), **PARTS}.items():
        table = Base.metadata.tables[kind.__tablename__]
        place = table.c.lines if kind is ShopSettings else table.c.translations
        for row in session.execute(sa.select(table)).mappings().all():
            told = {part: _in_wide(row[part]) for part in parts if row[part]}
            if kind is Product and row["allergens"]:
                told["allergens"] = {word: pseudo(word) for word in row["allergens"]}
            if told:
                said = {**row[place.name], CODE: told}
                session.execute(
                    sa.update(table).where(table.c.id == row["id"]).values({place: said})
                )
    session.commit()


def _in_wide(text: Any) -> Any:
    return pseudo(text) if isinstance(text, str) else [pseudo(line) for line in text]


def _write(source: Path, folder: Path) -> str:
    with source.open("rb") as file:
        read = read_po(file)
    made = Catalog(locale=CODE)
    for message in read:
        if isinstance(message.id, tuple):
            made.add(message.id, tuple(map(pseudo, message.id)), context=message.context)
        elif message.id:
            made.add(message.id, pseudo(message.id), context=message.context)
    target = folder / CODE / "LC_MESSAGES"
    target.mkdir(parents=True)
    with (target / "messages.mo").open("wb") as file:
        write_mo(file, made)
    return str(folder)


class Texts(HTMLParser):
    """What people see or hear of a page, text by text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unseen: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        if tag in _UNSEEN:
            self._unseen.append(tag)
        self.found += [got[name] for name in _READ if name in got]
        if tag == "input" and got.get("type") in {"submit", "button", "reset"}:
            self.found.append(got.get("value", ""))
        if tag == "meta" and got.get("name") == "description":
            self.found.append(got.get("content", ""))

    def handle_endtag(self, tag: str) -> None:
        if self._unseen and tag == self._unseen[-1]:
            self._unseen.pop()

    def handle_data(self, data: str) -> None:
        if not self._unseen or self.get_starttag_text() == "<title>":
            self.found.append(data)


def pieces(text: str) -> Iterator[str]:
    """Yield what stands between signs, numbers and translated words, where it has a word."""
    for piece in _BETWEEN.split(_ADDRESS.sub("\n", text)):
        tidy = " ".join(piece.split()).strip(" .'’&/+-@")
        if _WORD.search(tidy):
            yield tidy


def foreign(texts: Iterable[str], known: set[str]) -> set[str]:
    """Return each piece of ``texts`` that is neither in this language nor ``known``."""
    return {piece for text in texts for piece in pieces(text) if piece not in known}


def stored(session: Any) -> set[str]:
    """Return the pieces of what people have written into the database, codes of ours left out."""
    source = _source()
    found: set[str] = set()
    for table in Base.metadata.sorted_tables:
        columns = [
            column
            for column in table.columns
            if isinstance(column.type, sa.String | sa.Text | sa.JSON)
            and not isinstance(column.type, sa.Enum)
        ]
        for row in session.execute(sa.select(*columns).distinct()) if columns else ():
            for text in (leaf for value in row for leaf in _leaves(value)):
                if not (_CODE.fullmatch(text) and f'"{text}"' in source):
                    found |= set(pieces(text))
    return found


def _source() -> str:
    """Return the product's source but for the demo's, whose words are a merchant's."""
    root = Path(storefront.__file__).parent
    files = (path for path in root.rglob("*.py") if path.parent.name != "demo")
    return "\n".join(path.read_text("utf-8") for path in files)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
