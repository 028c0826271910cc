"""HTML that somebody else wrote, made safe to show."""

from __future__ import annotations

from html import escape

import nh3

#: What a product description may be made of; everything else goes, its text stays.
_TAGS = {
    "p", "br", "strong", "b", "em", "i", "u", "s", "small", "sub", "sup",
    "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "h3", "h4", "hr", "a",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_SCHEMES = {"http", "https", "mailto"}


def safe_html(text: str) -> str:
    """Return ``text`` with the tags and links of our list only; scripts and styles go whole.

    No image, frame, style, class, id or event survives, so that nothing in it can ask another
    host for anything, cover the page, or run. Links lose their referrer and their rank.
    Source: docs/decisions/0030-foreign-html.md.
    """
    return nh3.clean(
        text,
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "th": {"scope"}},
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener noreferrer",
    ).strip()


def plain_html(text: str) -> str:
    """Return plain ``text`` as HTML paragraphs."""
    paragraphs = (part.strip() for part in text.replace("\r\n", "\n").split("\n\n"))
    return "".join(f"<p>{escape(part).replace(chr(10), '<br>')}</p>" for part in paragraphs if part)
