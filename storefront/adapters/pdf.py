"""Draw a worded document as PDF: A4, window address, table over pages, embedded fonts.

Knows paper and no shop: every text comes ready in a ``Sheet``. The same sheet gives the same
bytes, whenever it is drawn. Measures are millimetres, those of the address window and the
information beside it are DIN 5008 form B.
Source: docs/decisions/0076-one-sheet-for-paper-and-page.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from storefront.adapters import glyphs

if TYPE_CHECKING:
    from fpdf import FPDF

FAMILY = "document"

_WIDTH, _LEFT, _RIGHT = 170.0, 20.0, 190.0
#: First line of the body on page one and on those after it, and where the body ends.
_FIRST, _NEXT, _BOTTOM = 100.0, 28.0, 266.0
_FOOT = 270.0
#: Height of a line of text per point of its size.
_LEADING = 0.46
#: A row higher than this may be split over pages.
_SPLITS = 60.0
_BLACK, _GREY, _PALE = (0, 0, 0), (90, 90, 90), (190, 190, 190)


Style = Literal["", "B"]


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A row of the table, with the small print under its text."""

    text: str
    notes: tuple[str, ...]
    #: One per heading after the first; numbers, set to the right.
    cells: tuple[str, ...]
    #: True for a row that stands above others and says what they come to.
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document in words, for paper and page alike."""

    title: str
    #: Language tag of all its texts, and the day it says.
    language: str
    created: datetime
    #: Red, green and blue of the one rule in the brand's colour.
    brand: tuple[int, int, int]
    shop: str
    seller: tuple[str, ...]
    #: The sender in one line above the recipient, for the window.
    sender: str
    recipient: tuple[str, ...]
    #: Label and value, beside the address.
    facts: tuple[tuple[str, str], ...]
    headings: tuple[str, ...]
    lines: tuple[SheetLine, ...]
    #: Label, amount, and whether it stands out.
    sums: tuple[tuple[str, str, bool], ...]
    #: Paragraphs under the sums; each is one or several lines.
    notes: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...]


def illegible(sheet: Sheet) -> str:
    """Return the characters of ``sheet`` that paper shows as a mark, each once."""
    return glyphs.illegible(_texts(astuple(sheet)))


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from _texts(value)


@dataclass(frozen=True, slots=True)
class _Block:
    """Something that stays on one page; ``in_table`` repeats the headings on a new one."""

    height: float
    draw: Callable[[float], None]
    in_table: bool = False


def render(sheet: Sheet) -> bytes:
    """Return ``sheet`` as a PDF with its fonts in it. The same sheet, the same bytes.

    Raises ``FileNotFoundError`` when set-up did not unpack the fonts.
    """
    # A second and a half to import, and most processes never draw a document.
    from fpdf import FPDF  # noqa: PLC0415

    pdf = FPDF(orientation="portrait", unit="mm", format="A4")
    for style, name in glyphs.FONT_FILES.items():
        pdf.add_font(FAMILY, style, glyphs.FONTS / name)
    pdf.set_auto_page_break(False)
    # What somebody typed is never a placeholder.
    pdf.alias_nb_pages("")
    pdf.set_title(sheet.title)
    pdf.set_author(sheet.seller[0] if sheet.seller else sheet.shop)
    pdf.set_lang(sheet.language)
    pdf.set_creator("Storefront")
    pdf.set_producer("Storefront")
    pdf.set_creation_date(sheet.created)
    pdf.set_font(FAMILY, size=9)
    drawing = _Drawing(pdf, sheet)
    drawing.draw()
    return bytes(pdf.output())


class _Drawing:
    """One run over a sheet: measure the blocks, share them out to pages, draw."""

    def __init__(self, pdf: FPDF, sheet: Sheet) -> None:
        self.pdf = pdf
        self.sheet = sheet
        self.columns = _columns(len(sheet.headings))
        self.footer = self._wrapped(sheet.footer, 7, _WIDTH - 20)
        self.bottom = min(_BOTTOM, 290 - len(self.footer) * 7 * _LEADING - 6)

    def draw(self) -> None:
        heading = self._heading()
        blocks = [*self._table(heading), *self._below()]
        pages = _share_out(blocks, heading, self._first(), self.bottom)
        for number, page in enumerate(pages, start=1):
            self.pdf.add_page()
            if number == 1:
                self._letterhead()
            else:
                self._text(self.sheet.title, 9, _LEFT, 14)
                self._text(self.sheet.shop, 9, _LEFT, 14, "R")
            for at, block in page:
                block.draw(at)
            self._foot(number, len(pages))

    def _letterhead(self) -> None:
        sheet, pdf = self.sheet, self.pdf
        pdf.set_fill_color(*sheet.brand)
        pdf.rect(_LEFT, 12, _WIDTH, 2, style="F")
        self._text(sheet.shop, 17, _LEFT, 18, style="B")
        self._lines(self._wrapped(sheet.seller, 8, 80), 8, _RIGHT - 80, 18, "R", width=80)
        self._text(self._cut(sheet.sender, 6.5, 85), 6.5, _LEFT, 56, colour=_GREY)
        self._lines(self._wrapped(sheet.recipient, 10, 85)[:7], 10, _LEFT, 62.7)
        for y, labels, values in self._facts():
            self._lines(labels, 9, 117, y, colour=_GREY, width=34)
            self._lines(values, 9, 152, y, "R", width=38)

    def _first(self) -> float:
        """Return where the body begins: under the window, or under more facts than usual."""
        *_, (last, labels, values) = [(57.0, [""], [""]), *self._facts()]
        return max(_FIRST, last + _fact_height(labels, values) + 6)

    def _facts(self) -> Iterable[tuple[float, list[str], list[str]]]:
        """Return (top, lines of the label, lines of the value) of each fact."""
        y = 57.0
        for label, value in self.sheet.facts:
            labels, values = self._wrapped([label], 9, 34), self._wrapped([value], 9, 38)
            yield y, labels, values
            y += _fact_height(labels, values)

    def _heading(self) -> _Block:
        rows = [
            self._wrapped([text], 8, width - 2, "B")
            for text, (_, width) in zip(self.sheet.headings, self.columns, strict=True)
        ]
        tallest = max(len(row) for row in rows)

        def draw(y: float) -> None:
            for i, (row, (x, width)) in enumerate(zip(rows, self.columns, strict=True)):
                top = y + (tallest - len(row)) * 8 * _LEADING
                self._lines(row, 8, x, top, "R" if i else "L", width=width, style="B")
            self._rule(y + tallest * 8 * _LEADING + 1, 0.3, _BLACK)

        return _Block(tallest * 8 * _LEADING + 2.5, draw)

    def _table(self, heading: _Block) -> Iterable[_Block]:
        title = self._wrapped([self.sheet.title], 15, _WIDTH, "B")
        height = len(title) * 15 * _LEADING
        yield _Block(
            height + 5, lambda y: self._lines(title, 15, _LEFT, y, width=_WIDTH, style="B")
        )
        yield heading
        for line in self.sheet.lines:
            yield from self._row(line)

    def _row(self, line: SheetLine) -> Iterable[_Block]:
        width = self.columns[0][1] - 3
        style = _weight(line.is_head)
        texts = [(text, 9.0) for text in self._wrapped([line.text], 9, width, style)]
        texts += [(text, 7.5) for text in self._wrapped(line.notes, 7.5, width)]
        is_high = sum(size * _LEADING for _, size in texts) > _SPLITS
        parts = [[one] for one in texts] if is_high else [texts]
        for i, part in enumerate(parts, start=1):
            cells = line.cells if i == 1 else ()
            yield self._part(part, cells, style, is_last=i == len(parts))

    def _part(
        self,
        texts: Sequence[tuple[str, float]],
        cells: Sequence[str],
        style: Style,
        *,
        is_last: bool,
    ) -> _Block:
        """Return a row or a piece of a high one; the numbers stand beside its first line."""
        x, width = self.columns[0]

        def draw(y: float) -> None:
            for text, (left, wide) in zip(cells, self.columns[1:], strict=False):
                self._text(text, 9, left, y, "R", style, width=wide)
            for text, size in texts:
                small = size < 9
                colour = _GREY if small else _BLACK
                self._text(
                    text, size, x, y, style="" if small else style, width=width, colour=colour
                )
                y += size * _LEADING
            if is_last:
                self._rule(y + 1, 0.15, _PALE)

        height = sum(size * _LEADING for _, size in texts)
        return _Block(height + (2.5 if is_last else 0), draw, in_table=True)

    def _below(self) -> Iterable[_Block]:
        """Return the sums, kept together, then the paragraphs."""
        yield self._sums()
        for note in self.sheet.notes:
            lines = self._wrapped(note, 9, _WIDTH)

            def paragraph(y: float, lines: list[str] = lines) -> None:
                self._lines(lines, 9, _LEFT, y, width=_WIDTH)

            yield _Block(len(lines) * 9 * _LEADING + 2.5, paragraph)

    def _sums(self) -> _Block:
        left, amount = 90.0, 32.0
        wide = _RIGHT - left - amount
        rows = [
            (self._wrapped([label], 9, wide, _weight(strong)), value, strong)
            for label, value, strong in self.sheet.sums
        ]
        heights = [len(label) * 9 * _LEADING + 1.4 for label, _, _ in rows]

        def draw(y: float) -> None:
            y += 2
            for (label, value, strong), height in zip(rows, heights, strict=True):
                if strong:
                    self._rule(y - 0.4, 0.3, _BLACK, left)
                style = _weight(strong)
                self._lines(label, 9, left, y + 0.4, width=wide, style=style)
                self._text(value, 9, _RIGHT - amount, y + 0.4, "R", style, width=amount)
                y += height

        return _Block(sum(heights) + 6, draw)

    def _foot(self, number: int, count: int) -> None:
        top = self.bottom + (_FOOT - _BOTTOM)
        self._rule(top, 0.15, _PALE)
        self._lines(self.footer, 7, _LEFT, top + 1.5, width=_WIDTH - 20, colour=_GREY)
        self._text(f"{number}/{count}", 7, _RIGHT - 20, top + 1.5, "R", width=20, colour=_GREY)

    def _lines(
        self,
        lines: Iterable[str],
        size: float,
        x: float,
        y: float,
        align: Literal["L", "R"] = "L",
        style: Style = "",
        *,
        width: float = 85,
        colour: tuple[int, int, int] = _BLACK,
    ) -> None:
        for line in lines:
            self._text(line, size, x, y, align, style, width=width, colour=colour)
            y += size * _LEADING

    def _text(
        self,
        text: str,
        size: float,
        x: float,
        y: float,
        align: Literal["L", "R"] = "L",
        style: Style = "",
        *,
        width: float = _WIDTH,
        colour: tuple[int, int, int] = _BLACK,
    ) -> None:
        pdf = self.pdf
        pdf.set_font(FAMILY, style, size)
        pdf.set_text_color(*colour)
        pdf.set_xy(x, y)
        pdf.c_margin = 0
        pdf.cell(width, size * _LEADING, glyphs.legible(text), align=align)

    def _rule(
        self, y: float, weight: float, colour: tuple[int, int, int], left: float = _LEFT
    ) -> None:
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(weight)
        self.pdf.line(left, y, _RIGHT, y)

    def _wrapped(
        self, texts: Iterable[str], size: float, width: float, style: Style = ""
    ) -> list[str]:
        self.pdf.set_font(FAMILY, style, size)
        measure = self.pdf.get_string_width
        return [
            line
            for text in texts
            for given in text.splitlines() or [""]
            for line in wrap(glyphs.legible(given), width, measure)
        ]

    def _cut(self, text: str, size: float, width: float) -> str:
        """Return ``text`` shortened to one line."""
        lines = self._wrapped([text], size, width)
        if len(lines) < 2:
            return text
        return self._wrapped([text], size, width - 3)[0] + "…"


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Return ``text`` in lines no wider than ``width``, broken at spaces.

    A word that is wider than a line is broken where it must be. ``measure`` says how wide a
    text is; a line holds one character at least.

    >>> wrap("one and another", 7, len)
    ['one and', 'another']
    >>> wrap("Donaudampfschiff", 6, len)
    ['Donaud', 'ampfsc', 'hiff']
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if measure(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        pieces = _broken(word, width, measure)
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line]


def _broken(word: str, width: float, measure: Callable[[str], float]) -> list[str]:
    pieces, piece = [], ""
    for letter in word:
        if piece and measure(piece + letter) > width:
            pieces.append(piece)
            piece = letter
        else:
            piece += letter
    return [*pieces, piece]


def _fact_height(labels: Sequence[str], values: Sequence[str]) -> float:
    return max(len(labels), len(values)) * 9 * _LEADING + 0.8


def _weight(strong: bool) -> Style:
    return "B" if strong else ""


def _columns(count: int) -> list[tuple[float, float]]:
    """Return left edge and width of each column: the first takes what the numbers leave."""
    rest = [16.0, 24.0, 14.0, 23.0, 24.0] if count == 6 else [24.0] * (count - 1)
    widths = [_WIDTH - sum(rest), *rest]
    return [(_LEFT + sum(widths[:i]), width) for i, width in enumerate(widths)]


def _share_out(
    blocks: Sequence[_Block], heading: _Block, first: float, bottom: float
) -> list[list[tuple[float, _Block]]]:
    """Return pages of (top, block). A table that goes on begins with its headings again."""
    pages: list[list[tuple[float, _Block]]] = [[]]
    y = first
    for block in blocks:
        if y + block.height > bottom and pages[-1]:
            pages.append([])
            y = _NEXT
            if block.in_table:
                pages[-1].append((y, heading))
                y += heading.height
        pages[-1].append((y, block))
        y += block.height
    return pages
