"""Markdown that a merchant writes, as HTML that is safe to show to everybody.

Source: docs/decisions/0230-pages-and-questions-of-the-merchant.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

_TAGS = {
    "p", "br", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "a", "img",
    "h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title", "rel"},
    "img": {"src", "alt", "title", "loading"},
    "ol": {"start"},
}
_SCHEMES = {"http", "https", "mailto", "tel"}
#: Headings of a text; the first level is the page's title.
_HIGHEST, _LOWEST = 2, 4
#: Between two of these stands a blank where the tags are taken away.
_BLOCK = re.compile(r"<(?=/?(?:p|br|li|ul|ol|h\d|hr|tr|t[dh]|pre|blockquote)\b)")
_PARAGRAPH = re.compile(r"<p>.*?</p>", re.DOTALL)
_RULES = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_RENDERER = RendererHTML()


def markdown_html(text: str, base_url: str) -> str:
    """Return ``text`` as HTML of our list of tags; what is HTML in it is shown as it was typed.

    Pictures are the shop's own, by path or below ``base_url``; of others the description stays.
    Links to other sites tell them nothing about the page they were opened from.
    """
    tokens = _RULES.parse(text)
    _adapt(tokens, base_url)
    _level_headings(tokens)
    html = _RENDERER.render(tokens, _RULES.options, {})
    return nh3.clean(
        html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel=None
    ).strip()


def first_words(html: str) -> str:
    """Return the words of the first paragraph of ``html``, without its headings."""
    found = _PARAGRAPH.search(html)
    return plain_text(found[0] if found else html)


def plain_text(html: str) -> str:
    """Return the words of ``html`` alone."""
    spaced = _BLOCK.sub(" <", html)
    return " ".join(unescape(nh3.clean(spaced, tags=set())).split())


def _adapt(tokens: Sequence[Token], base_url: str) -> None:
    for token in tokens:
        if token.type == "link_open" and not _is_own(str(token.attrGet("href") or ""), base_url):
            token.attrSet("rel", "noopener")
        elif token.type == "image":
            _adapt_picture(token, base_url)
        if token.children:
            _adapt(token.children, base_url)


def _level_headings(tokens: Sequence[Token]) -> None:
    """Begin below the page's title and go down one step at a time, whatever was typed."""
    above: list[int] = []
    for token in tokens:
        if token.type == "heading_open":
            typed = int(token.tag[1])
            while above and above[-1] >= typed:
                above.pop()
            above.append(typed)
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(_HIGHEST + len(above) - 1, _LOWEST)}"


def _adapt_picture(token: Token, base_url: str) -> None:
    if _is_own(str(token.attrGet("src") or ""), base_url, is_picture=True):
        token.attrSet("loading", "lazy")
        return
    # Another host would see everybody who reads the page.
    inside = token.children or []
    token.content = _RENDERER.renderInlineAsText(inside, _RULES.options, {})
    token.type, token.tag, token.attrs, token.children = "text", "", {}, None


def _is_own(address: str, base_url: str, *, is_picture: bool = False) -> bool:
    """Whether an address is one of this shop; ``mailto:`` and ``tel:`` lead to no other site."""
    if any(char in address for char in "\\\t\n\r") or address.startswith("//"):
        return False
    try:
        parts, ours = urlsplit(address), urlsplit(base_url)
    except ValueError:
        return False
    if parts.scheme in {"mailto", "tel"}:
        return not is_picture
    if not parts.scheme and not parts.netloc:
        return True
    return (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc)
