"""What the merchant wrote: the shop's own pages, and questions with their answers.

Source: docs/decisions/0230-pages-and-questions-of-the-merchant.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from markupsafe import Markup

from storefront.adapters.markdown import first_words, markdown_html, plain_text
from storefront.blueprints.catalogue import of_catalogue
from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.pricing.memo import answer
from storefront.domain import permissions
from storefront.domain.content import in_language, is_slug, summary
from storefront.domain.structured import faq_page
from storefront.logins import current_staff
from storefront.queries import content as query
from storefront.security import PUBLIC, register_policy
from storefront.templating import locale_code

register_policy({"pricing.content": PUBLIC})


def add_content(bp: Blueprint) -> None:
    """Add the merchant's own pages to the blueprint of the shop window."""
    bp.add_url_rule("/pages/<slug>", "content", content)


def content(slug: str) -> Response:
    """Show a page that the merchant wrote."""
    if not is_slug(slug):
        abort(404)
    return answer(f"content/{slug}", lambda: _values(slug))


def faq_values(plan: str = "") -> dict[str, Any]:
    """Return the shop's questions, with ``plan`` that plan's own first, and what machines read."""
    rt = runtime()
    if not rt.shop.content.get("has_faq"):
        return {"faq": [], "faq_structured": None}
    found = []
    for texts in of_catalogue(rt, ("faq", plan), lambda: query.faq(rt.session, plan)):
        code, words = in_language(texts, locale_code(), rt.shop.locale)
        found.append((code, words.get("question", ""), _html(words.get("answer", ""))))
    told = faq_page([(asked, plain_text(said)) for _code, asked, said in found]) if found else None
    return {"faq": found, "faq_structured": told}


def _values(slug: str) -> Mapping[str, Any]:
    rt = runtime()
    page = query.page_at(rt.session, slug)
    if page is None:
        _lead_on(slug)
    if page is None or not (page.is_public or _is_writer()):
        abort(404)
    code, words = in_language(page.texts, locale_code(), rt.shop.locale)
    body = _html(words.get("text", ""))
    plan = query.shown_first(rt.session)
    return {
        "title": words.get("title", ""),
        "body": body,
        "language": code,
        "words": summary(first_words(body)),
        "canonical": external_url("pricing.content", slug=slug),
        "structured": None,
        "share_picture": external_url("pricing.plan_picture", code=plan) if plan else "",
        "is_unlisted": not page.is_public,
        "is_draft": not page.is_public,
    }


def _lead_on(slug: str) -> None:
    """Answer with where a page is now that was at this address before, if there is one."""
    found = query.renamed(runtime().session, slug)
    if found is None:
        return
    asked: dict[str, Any] = {"lang": request.args["lang"]} if "lang" in request.args else {}
    moved = redirect(url_for("pricing.content", slug=found, **asked), 301)
    # The address may be another page's tomorrow.
    moved.headers["Cache-Control"] = "public, max-age=300"
    abort(moved)


def _is_writer() -> bool:
    who = current_staff()
    return who is not None and who.may(permissions.SETTINGS_MANAGE)


def _html(text: str) -> Markup:
    return Markup(markdown_html(text, runtime().settings.base_url))  # noqa: S704 - cleaned there
