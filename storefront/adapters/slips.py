"""Draw packing slips, address labels and pick lists as PDF, with the fonts of documents.

Knows paper and no shop: every text comes ready. The same texts give the same bytes. A thousand
slips are drawn in a few seconds, so text goes straight to its place (``FPDF.text``) and what
repeats is measured once. Measures are millimetres, sizes of type points.
Source: docs/decisions/0144-papers-of-a-batch.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from storefront.adapters import glyphs
from storefront.adapters.pdf import FAMILY, Style, wrap

if TYPE_CHECKING:
    from fpdf import FPDF

#: Millimetres of a point, and of a line per point of its size.
_POINT, _LEADING = 25.4 / 72, 0.46
_BLACK, _GREY, _PALE = 0, 90, 190


@dataclass(frozen=True, slots=True)
class Row:
    """Something to tick: how many, what, and its SKU.

    Or only to read: the name of a box above its rows, or a note below them.
    """

    pieces: str
    name: str
    sku: str
    is_heading: bool = False
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Slip:
    """One box on paper, in its subscriber's language."""

    shop: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    #: Such as "Box 2 of 3"; the first is set large.
    facts: tuple[str, ...]
    heading: str
    rows: tuple[Row, ...]
    #: Set in a frame above the contents, line by line; empty: none.
    note: str
    footer: str


@dataclass(frozen=True, slots=True)
class Label:
    """An address, and a short reference to tell two parcels apart."""

    sender: str
    recipient: tuple[str, ...]
    reference: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with rows to tick under it."""

    title: str
    note: str
    rows: tuple[Row, ...]


class _Paper:
    """Pages of one size, and text on them."""

    def __init__(self, title: str, size: tuple[float, float], created: datetime) -> None:
        # A second and a half to import, and most processes never draw a paper.
        from fpdf import FPDF  # noqa: PLC0415

        pdf: FPDF = FPDF(orientation="portrait", unit="mm", format=size)
        for style, name in glyphs.FONT_FILES.items():
            pdf.add_font(FAMILY, style, glyphs.FONTS / name)
        pdf.set_auto_page_break(False)
        # What somebody typed is never a placeholder.
        pdf.alias_nb_pages("")
        pdf.set_title(title)
        pdf.set_creator("Storefront")
        pdf.set_producer("Storefront")
        pdf.set_creation_date(created)
        self.pdf = pdf
        self.width, self.height = size
        #: Thousandths of a point by style and code point.
        self._advances = {"": _advances(pdf, ""), "B": _advances(pdf, "B")}
        #: Style, size and grey that text is set in now; a new page keeps them.
        self._pen: tuple[Style, float, int] | None = None
        self._lines: dict[tuple[str, float, float, Style], list[str]] = {}

    def bytes(self) -> bytes:
        return bytes(self.pdf.output())

    def text(
        self,
        text: str,
        size: float,
        x: float,
        y: float,
        style: Style = "",
        *,
        grey: int = _BLACK,
        right: bool = False,
    ) -> None:
        """Set one line with its top at ``y``; ``right``: so that it ends at ``x``."""
        if not text:
            return
        pdf = self.pdf
        if self._pen != (style, size, grey):
            pdf.set_font(FAMILY, style, size)
            pdf.set_text_color(grey)
            self._pen = (style, size, grey)
        left = x - self._width(text, size, style) if right else x
        pdf.text(left, y + size * _POINT * 0.95, glyphs.legible(text))

    def block(
        self,
        lines: Iterable[str],
        size: float,
        x: float,
        y: float,
        style: Style = "",
        *,
        grey: int = _BLACK,
        right: bool = False,
    ) -> float:
        """Set lines under one another; returns where the next would begin."""
        for line in lines:
            self.text(line, size, x, y, style, grey=grey, right=right)
            y += size * _LEADING
        return y

    def wrapped(
        self, texts: Iterable[str], size: float, width: float, style: Style = ""
    ) -> list[str]:
        out: list[str] = []
        for text in texts:
            key = (text, size, width, style)
            found = self._lines.get(key)
            if found is None:
                shown = glyphs.legible(text)
                found = (
                    [shown]
                    if self._width(shown, size, style) <= width
                    else wrap(shown, width, lambda part: self._width(part, size, style))
                )
                if len(self._lines) < 5000:
                    self._lines[key] = found
            out += found
        return out

    def _width(self, text: str, size: float, style: Style) -> float:
        # What ``get_string_width`` gives for text that is not shaped, at a tenth of its cost.
        widths = self._advances[style]
        return sum(map(widths.__getitem__, map(ord, glyphs.legible(text)))) * size * _POINT / 1000

    def rule(self, y: float, left: float, right: float, grey: int = _PALE) -> None:
        self.pdf.set_draw_color(grey)
        self.pdf.set_line_width(0.2)
        self.pdf.line(left, y, right, y)

    def square(self, x: float, y: float, size: float) -> None:
        """A box to tick."""
        self.pdf.set_draw_color(_BLACK)
        self.pdf.set_line_width(0.25)
        self.pdf.rect(x, y, size, size)


def _advances(pdf: FPDF, style: str) -> Mapping[int, float]:
    widths: Any = pdf.fonts[f"{FAMILY}{style}"].cw
    return cast("Mapping[int, float]", widths)


def slips(found: Iterable[Slip], title: str, size: tuple[float, float], created: datetime) -> bytes:
    """Return the slips as PDF, each on a page of its own; more contents take more pages.

    Raises ``FileNotFoundError`` when set-up did not unpack the fonts.
    """
    paper = _Paper(title, size, created)
    # A sheet of writing paper is read from further away than a card in a box.
    scale, margin = (1.25, 18.0) if size[0] > 150 else (1.0, 7.0)
    for slip in found:
        _SlipPage(paper, slip, scale, margin).draw()
    return paper.bytes()


class _SlipPage:
    """One slip, measured by the size of its paper."""

    def __init__(self, paper: _Paper, slip: Slip, scale: float, margin: float) -> None:
        self.paper, self.slip, self.scale = paper, slip, scale
        self.left, self.right = margin, paper.width - margin
        self.top, self.bottom = margin, paper.height - margin

    def draw(self) -> None:
        paper, slip = self.paper, self.slip
        paper.pdf.add_page()
        y = self._head()
        y = max(self._address(y), self._facts(y)) + 3 * self.scale
        if slip.note:
            y = self._note(y)
        y = self._heading(y)
        # The foot is measured first: contents never run into it.
        foot = paper.wrapped([slip.footer], 6.5 * self.scale, self.right - self.left)
        end = self.bottom - len(foot) * 6.5 * self.scale * _LEADING - 2
        for row in slip.rows:
            y = self._row(row, y, end)
        paper.block(foot, 6.5 * self.scale, self.left, end + 2, grey=_GREY)

    def _head(self) -> float:
        paper, scale = self.paper, self.scale
        half = (self.right - self.left) / 2
        y = self.top
        for line in paper.wrapped([self.slip.shop], 12 * scale, half, "B"):
            paper.text(line, 12 * scale, self.left, y, "B")
            y += 12 * scale * _LEADING
        sender = paper.wrapped(self.slip.sender, 6.5 * scale, half)
        below = paper.block(sender, 6.5 * scale, self.right, self.top, grey=_GREY, right=True)
        y = max(y, below) + 1.5 * scale
        paper.rule(y, self.left, self.right, _BLACK)
        return y + 3 * scale

    def _address(self, y: float) -> float:
        wide = (self.right - self.left) * 0.6
        lines = self.paper.wrapped(self.slip.recipient, 9.5 * self.scale, wide)
        return self.paper.block(lines, 9.5 * self.scale, self.left, y)

    def _facts(self, y: float) -> float:
        paper, wide = self.paper, (self.right - self.left) * 0.38
        for number, fact in enumerate(self.slip.facts):
            style: Style = "" if number else "B"
            size = (7 if number else 10) * self.scale
            lines = paper.wrapped([fact], size, wide, style)
            y = paper.block(lines, size, self.right, y, style, right=True)
        return y

    def _note(self, y: float) -> float:
        size = 8 * self.scale
        texts = self.slip.note.splitlines()
        lines = self.paper.wrapped(texts, size, self.right - self.left - 4, "B")
        height = len(lines) * size * _LEADING + 3
        self.paper.pdf.set_draw_color(_BLACK)
        self.paper.pdf.set_line_width(0.3)
        self.paper.pdf.rect(self.left, y, self.right - self.left, height)
        self.paper.block(lines, size, self.left + 2, y + 1.5, "B")
        return y + height + 3 * self.scale

    def _heading(self, y: float) -> float:
        size = 8.5 * self.scale
        self.paper.text(self.slip.heading, size, self.left, y, "B")
        y += size * _LEADING + 1.2 * self.scale
        self.paper.rule(y, self.left, self.right, _BLACK)
        return y + 1.2 * self.scale

    def _row(self, row: Row, y: float, end: float) -> float:
        size = 8.5 * self.scale
        return _tick_row(self.paper, row, y, end, (self.left, self.right), size, self._more)

    def _more(self) -> float:
        self.paper.pdf.add_page()
        slip = self.slip
        self.paper.text(slip.shop, 7 * self.scale, self.left, self.top, grey=_GREY)
        facts = " · ".join(slip.facts)
        self.paper.text(facts, 7 * self.scale, self.right, self.top, grey=_GREY, right=True)
        return self._heading(self.top + 6 * self.scale)


def _tick_row(
    paper: _Paper,
    row: Row,
    y: float,
    end: float,
    edges: tuple[float, float],
    size: float,
    more: Callable[[], float],
) -> float:
    left, right = edges
    square, number = size * 0.36, size
    name = left + square + 1.5 + number + 2
    sku = size * 0.78
    part = 1.0 if row.is_note else 0.64
    lines = paper.wrapped([row.name], size, (right - name) * part)
    codes = paper.wrapped([row.sku], sku, (right - name) * 0.34)
    height = max(len(lines) * size, len(codes) * sku) * _LEADING + 1.6
    if y + height > end:
        y = more()
    if row.is_heading:
        name = left
    elif not row.is_note:
        paper.square(left, y + size * _POINT * 0.08, square)
        paper.text(row.pieces, size, left + square + 1.5 + number, y, "B", right=True)
    grey = _GREY if row.is_note else _BLACK
    paper.block(lines, size, name, y, "B" if row.is_heading else "", grey=grey)
    paper.block(codes, sku, right, y + (size - sku) * _POINT, grey=_GREY, right=True)
    paper.rule(y + height - 0.8, left, right)
    return y + height


def labels(
    found: Sequence[Label],
    title: str,
    size: tuple[float, float],
    cell: tuple[float, float],
    places: Sequence[tuple[float, float]],
    created: datetime,
) -> bytes:
    """Return the labels as PDF: one after the other at the ``places`` of each page.

    An address that is too long for its label is set smaller, never cut.
    """
    paper = _Paper(title, size, created)
    for number, label in enumerate(found):
        if number % len(places) == 0:
            paper.pdf.add_page()
        _label(paper, label, places[number % len(places)], cell)
    return paper.bytes()


def _label(paper: _Paper, label: Label, at: tuple[float, float], cell: tuple[float, float]) -> None:
    padding = 4.0 if cell[1] < 60 else 8.0
    x, y, wide, high = at[0] + padding, at[1] + 3.0, cell[0] - 2 * padding, cell[1] - 6.0
    is_large = cell[1] > 60
    small = 5.0 if not is_large else 8.0
    foot = small * _LEADING
    if is_large:
        sender = paper.wrapped([label.sender], small, wide)
        top = paper.block(sender, small, x, y + 3, grey=_GREY) + 2
        paper.rule(top, x, x + wide, _BLACK)
        high -= top + 6 - y
        y = top + 6
    size = 16.0 if is_large else 10.0
    lines = paper.wrapped(label.recipient, size, wide)
    while size > 4.5 and len(lines) * size * _LEADING > high - foot:
        size -= 0.5
        lines = paper.wrapped(label.recipient, size, wide)
    if not is_large:
        # In the middle of a small label: sheets shift a little in every printer.
        y += max(0.0, (high - foot - len(lines) * size * _LEADING) / 2)
    paper.block(lines, size, x, y)
    edge = at[1] + cell[1] - 3.0 - foot
    paper.text(label.reference, small, at[0] + cell[0] - padding, edge, grey=_GREY, right=True)


def pick_list(sections: Sequence[Section], title: str, lead: str, created: datetime) -> bytes:
    """Return a pick list as PDF on A4: sections of rows to tick, each row on one page."""
    paper = _Paper(title, (210.0, 297.0), created)
    left, right, end = 18.0, 192.0, 280.0
    pages = 0

    def more() -> float:
        nonlocal pages
        pages += 1
        paper.pdf.add_page()
        paper.text(title, 8, left, 10, grey=_GREY)
        paper.text(str(pages), 8, right, 10, grey=_GREY, right=True)
        return 20.0

    y = more()
    y = paper.block(paper.wrapped([title], 16, right - left, "B"), 16, left, y, "B")
    y = paper.block(paper.wrapped([lead], 9, right - left), 9, left, y + 1, grey=_GREY) + 5
    for section in sections:
        head = paper.wrapped([section.title], 11, right - left - 40, "B")
        # A heading stays with its first row.
        if y + len(head) * 11 * _LEADING + 12 > end:
            y = more()
        paper.text(section.note, 9, right, y + 0.5, grey=_GREY, right=True)
        y = paper.block(head, 11, left, y, "B") + 1
        paper.rule(y, left, right, _BLACK)
        y += 1.5
        for row in section.rows:
            y = _tick_row(paper, row, y, end, (left, right), 9.5, more)
        y += 5
    return paper.bytes()
