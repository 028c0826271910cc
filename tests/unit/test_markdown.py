"""Markdown of the merchant becomes HTML that can harm nobody who reads it."""

import re

import pytest

from storefront.adapters.markdown import first_words, markdown_html, plain_text
from storefront.blueprints.typed import markdown_lines

SHOP = "https://tea.example/shop"


def html(text: str) -> str:
    return markdown_html(text, SHOP)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines, **bold** and *soft*", "<p>two\nlines, <strong>bold</strong>"),
        ("# One", "<h2>One</h2>"),
        ("## Two", "<h2>Two</h2>"),
        ("# One\n\n## Two", "<h3>Two</h3>"),
        ("- a\n  - b", "<ul>\n<li>a\n<ul>\n<li>b</li>"),
        ("3. c", '<ol start="3">'),
        ("| a |\n|---|\n| 1 |", "<th>a</th>"),
        ("[us](/plans/pot)", '<a href="/plans/pot">us</a>'),
        ("[us](https://tea.example/x)", '<a href="https://tea.example/x">us</a>'),
        ("[mail](mailto:a@b.example)", '<a href="mailto:a@b.example">'),
        ("[call](tel:+49301)", '<a href="tel:+49301">'),
        ("![Tin](/static/tin.png)", '<img src="/static/tin.png" alt="Tin" loading="lazy">'),
        ("![Tin](https://tea.example/a.png)", '<img src="https://tea.example/a.png"'),
    ],
)
def test_what_is_written_is_shown(text: str, shown: str) -> None:
    assert shown in html(text)


@pytest.mark.parametrize(
    ("typed", "levels"),
    [
        ("##", "2"),
        ("######", "2"),
        ("# ## ### ####", "2344"),
        ("## #### ## ####", "2323"),
        ("### # ## ###", "2234"),
        ("## ### # ##", "2323"),
    ],
)
def test_headings_go_down_by_one_step_below_the_title_of_the_page(typed: str, levels: str) -> None:
    text = "\n\n".join(f"{marks} Words" for marks in typed.split())
    opened = re.findall(r"<h(\d)>", html(text))
    assert opened == re.findall(r"</h(\d)>", html(text))
    assert "".join(opened) == levels


@pytest.mark.parametrize(
    "address",
    ["https://x.example/a", "//x.example", "http://tea.example", "https://tea.example:81/"],
)
def test_other_sites_are_told_nothing_of_the_page_that_links_to_them(address: str) -> None:
    assert f'<a href="{address}" rel="noopener">' in html(f"[there]({address})")


@pytest.mark.parametrize(
    "address",
    ["https://x.example/a.png", "//x.example/a.png", "http://tea.example/a.png"],
)
def test_a_picture_of_another_host_leaves_its_description_alone(address: str) -> None:
    assert html(f"see ![a *blue* tin]({address})") == "<p>see a blue tin</p>"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "**<b onclick=x>b</b>**",
        "<iframe src='https://x.example'></iframe>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "<javascript:alert(1)>",
        '[x](https://x.example "a\\" onmouseover=\\"alert(1)")',
        "[x]: javascript:alert(1)\n\n[x]",
        "`<script>`",
        "```html\n<script>\n```",
        "<style>*{display:none}</style>",
        "<!-- --><svg/onload=q>",
    ],
)
def test_html_and_addresses_that_run_are_only_ever_text(text: str) -> None:
    found = re.findall(r"<[^>]*>", html(text))
    for tag in found:
        assert re.match(r"</?(p|a|strong|pre|code|em)\b", tag), tag
        assert not re.search(r"[\s\"']on\w+\s*=", re.sub(r'"[^"]*"', "", tag)), tag
        assert "javascript" not in tag.lower()
        assert "data:" not in tag


def test_ten_thousand_brackets_take_no_time_to_speak_of() -> None:
    assert "[[[" in html("[" * 10_000)
    assert html("> " * 5_000 + "x")


def test_the_words_of_a_page_are_told_without_its_tags() -> None:
    told = plain_text(html("# Us\n\nWe **brew**.\n\n- one & two\n- `<three>`"))
    assert told == "Us We brew. one & two <three>"
    assert first_words(html("# Us\n\nWe **brew**.\n\nMore.")) == "We brew."
    assert first_words(html("- one\n- two")) == "one two"


def test_indentation_of_a_text_stays_and_odd_characters_go() -> None:
    typed = "\r\n1. a\r\n   - b\u202e\x00\r\n\r\n    code  x  \r\n\r\n"
    assert markdown_lines(typed) == "1. a\n   - b\n\n    code x"
