"""Documents on paper: pages, fonts, and the same bytes every time."""

import io
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from storefront.adapters import glyphs, pdf
from storefront.adapters.glyphs import FONT_FILES, FONTS, MARK, illegible, legible
from storefront.adapters.pdf import Sheet, SheetLine, render, wrap
from storefront.domain.colours import rgb_of

SHEET = Sheet(
    title="Invoice 2027-000123",
    language="en",
    created=datetime(2027, 3, 2, 12, tzinfo=UTC),
    brand=(60, 96, 170),
    shop="Nine Kettles",
    seller=("Nine Kettles GmbH", "Teeweg 9", "10115 Berlin"),
    sender="Nine Kettles GmbH · Teeweg 9 · 10115 Berlin",
    recipient=("Ada Łukasiewicz", "Lindenweg 4", "07743 Jena", "Germany"),
    facts=(("Date", "2 Mar 2027"),),
    headings=("What", "Quantity", "Unit price", "VAT", "Net", "Amount"),
    lines=(SheetLine("Pot", (), ("1", "€26.00", "19%", "€21.85", "€26.00")),),
    sums=(("Net", "€21.85", False), ("Total", "€26.00", True)),
    notes=(("Paid with Visa ending 4242 on 2 Mar 2027.",),),
    footer=("HRB 12345",),
)


def lines(count: int, text: str = "Tea number {}") -> tuple[SheetLine, ...]:
    cells = ("1", "€1.00", "19%", "€0.84", "€1.00")
    return tuple(SheetLine(text.format(i), (), cells) for i in range(count))


def read(sheet: Sheet) -> list[str]:
    """Return the text of each page."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(render(sheet))).pages]


def flat(text: str) -> str:
    return "".join(text.split())


def letters(first: int, last: int) -> set[int]:
    """Return the assigned letters, digits and signs between two code points."""
    wanted = range(first, last + 1)
    return {code for code in wanted if unicodedata.category(chr(code))[0] in "LNPS"}


@pytest.mark.parametrize("style", sorted(FONT_FILES))
def test_every_letter_of_europe_has_a_glyph(style: str) -> None:
    glyphs = set(TTFont(FONTS / FONT_FILES[style]).getBestCmap())
    latin = letters(0x20, 0x24F)
    greek = letters(0x370, 0x3FF) | letters(0x1F00, 0x1FFF)
    cyrillic = letters(0x400, 0x4FF)
    # Vietnamese and Welsh; the last six are letters of medieval manuscripts.
    more = letters(0x1E00, 0x1EF9)
    signs = {ord(sign) for sign in "€£₽₴₺₹–—‘’“”„«»…·−\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}"}
    assert latin | greek | cyrillic | more | signs <= glyphs


def test_the_text_of_a_document_can_be_read_and_copied() -> None:
    page = read(replace(SHEET, shop="Čajovňa Ελλάδα Чайная €"))[0]
    for text in ("Čajovňa Ελλάδα Чайная €", "Ada Łukasiewicz", "Invoice 2027-000123", "€26.00"):
        assert text in page


def test_a_mark_stands_for_what_the_font_does_not_have() -> None:
    sheet = replace(SHEET, recipient=("山田 Taro", "Straße 1"), sums=(("合計", "€1.00", True),))
    page = read(sheet)[0]
    assert f"{MARK * 2} Taro" in page
    assert page.count(MARK) == 4
    assert pdf.illegible(sheet) == "山田合計"
    assert pdf.illegible(SHEET) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Łódź Ελλάδα €", "Łódź Ελλάδα €"),
        ("茶", MARK),
        ("a\U000e0001b\U000e0100c\x1b", "abc"),
        ("\U0001f375\U000e0100 tea", f"{MARK} tea"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        (MARK, MARK),
    ],
)
def test_what_has_no_form_of_its_own_gets_no_mark(text: str, shown: str) -> None:
    assert legible(text) == shown


THERE = set(TTFont(FONTS / FONT_FILES[""]).getBestCmap())


@given(st.text())
def test_no_character_that_has_a_form_is_dropped(text: str) -> None:
    shown = legible(text)
    assert all(ord(one) in THERE or one.isspace() for one in shown)
    visible = [one for one in text if unicodedata.category(one)[0] in "LNPS"]
    assert len(shown) >= len(visible)
    assert set(illegible([text])) <= set(text)


def test_only_the_glyphs_in_use_are_embedded() -> None:
    assert len(render(SHEET)) < 60_000


def test_the_same_sheet_gives_the_same_bytes() -> None:
    assert render(SHEET) == render(replace(SHEET))
    assert render(SHEET) != render(replace(SHEET, notes=()))


def test_the_file_says_title_author_language_and_day() -> None:
    reader = PdfReader(io.BytesIO(render(replace(SHEET, language="de"))))
    about = reader.metadata
    assert about is not None
    assert (about.title, about.author) == ("Invoice 2027-000123", "Nine Kettles GmbH")
    assert about.creation_date == SHEET.created
    assert reader.trailer["/Root"]["/Lang"] == "de"


def test_sixty_lines_span_pages_that_repeat_the_headings() -> None:
    pages = read(replace(SHEET, lines=lines(60)))
    assert len(pages) > 1
    for number, page in enumerate(pages, start=1):
        assert f"{number}/{len(pages)}" in page
        assert "HRB 12345" in page
        assert "Unit price" in page
    for page in pages[1:]:
        assert "Invoice 2027-000123" in page
    whole = "\n".join(pages)
    assert [whole.count(f"Tea number {i}\n") for i in range(60)] == [1] * 60


@pytest.mark.parametrize("count", range(18, 34))
def test_no_row_and_no_sum_falls_off_a_page(count: int) -> None:
    whole = "\n".join(read(replace(SHEET, lines=lines(count))))
    assert whole.count("€1.00") == 2 * count
    assert whole.count("Total") == 1
    assert whole.count("Paid with Visa") == 1


def test_a_row_higher_than_a_page_goes_on_on_the_next() -> None:
    text = " ".join(f"word{i}" for i in range(3000))
    pages = read(replace(SHEET, lines=lines(1, text)))
    assert len(pages) > 2
    assert all(f"word{i}" in flat("".join(pages)) for i in range(0, 3000, 97))


def test_a_long_word_is_broken_inside_its_column() -> None:
    word = "Donaudampfschifffahrtsgesellschaftskapitänsmützenmanufaktur"
    page = read(replace(SHEET, lines=lines(1, word)))[0]
    assert word not in page
    assert word in flat(page)


def test_what_somebody_typed_is_no_placeholder() -> None:
    assert "Tea {nb}" in read(replace(SHEET, lines=lines(1, "Tea {{nb}}")))[0]


def test_many_facts_push_the_table_down_instead_of_covering_it() -> None:
    facts = tuple((f"Fact {i}", "a value") for i in range(14))
    bare = PdfReader(io.BytesIO(render(SHEET))).pages[0]
    full = PdfReader(io.BytesIO(render(replace(SHEET, facts=facts)))).pages[0]
    assert top_of(full, "Unit price") < top_of(full, "Fact 13") < top_of(bare, "Unit price") + 60
    assert top_of(full, "Unit price") < top_of(bare, "Unit price")


def top_of(page: object, text: str) -> float:
    """Return how far above the foot of the page ``text`` stands, in points."""
    found: list[float] = []

    def visit(said: str, _cm: object, tm: list[float], *_font: object) -> None:
        if text in said:
            found.append(tm[5])

    page.extract_text(visitor_text=visit)  # type: ignore[attr-defined]
    return found[0]


def test_missing_fonts_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(glyphs, "FONTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="DejaVuSansCondensed"):
        render(SHEET)


@given(st.text("ab c", max_size=60), st.integers(1, 12))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    wrapped = wrap(text, width, len)
    assert all(len(line) <= width or not line.strip() for line in wrapped)
    assert flat("".join(wrapped)) == flat(text)


@pytest.mark.parametrize(
    ("oklch", "rgb"),
    [
        ((1, 0, 0), (255, 255, 255)),
        ((0, 0, 0), (0, 0, 0)),
        ((0.627955, 0.257683, 29.2339), (255, 0, 0)),
        ((0.866440, 0.294827, 142.4953), (0, 255, 0)),
        ((0.452014, 0.313214, 264.0520), (0, 0, 255)),
    ],
)
def test_a_brand_colour_keeps_its_look_on_paper(
    oklch: tuple[float, float, float], rgb: tuple[int, int, int]
) -> None:
    assert rgb_of(*oklch) == rgb


def test_a_colour_no_screen_has_is_cut_to_what_it_shows() -> None:
    red, green, blue = rgb_of(0.5, 0.4, 0)
    assert (green, 0 < blue < red <= 255) == (0, True)
