"""Notes: a line on a plan's card, before paying, and on the first page of the account.

    STOREFRONT_NOTES_PLANS="tea: Now with a tasting card; coffee: Roasted on Mondays"
    STOREFRONT_NOTES_CHECKOUT="We plant a tree for each first box."
    STOREFRONT_NOTES_ACCOUNT="Tasting evening on the first Friday of the month."

A whole plugin that shows how places in pages are filled with a template of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from storefront.hooks import Piece, PluginContext, StorefrontPlugin, hookimpl


@dataclass(frozen=True, slots=True)
class NotesSettings:
    """Without a text a place stays as it is."""

    #: Code of a plan, a colon, its text; several with semicolons between them.
    plans: str = ""
    checkout: str = ""
    account: str = ""


class NotesPlugin(StorefrontPlugin):
    """Fills ``plan.card``, ``checkout.extra`` and ``account.panel``."""

    name = "notes"
    api = 1
    settings = NotesSettings

    def setup(self, ctx: PluginContext) -> None:
        """Raises ``ValueError`` for a text without a plan."""
        own: NotesSettings = ctx.settings
        self._plans = dict(_pair(part) for part in own.plans.split(";") if part.strip())
        self._texts = {"checkout.extra": own.checkout, "account.panel": own.account}

    @hookimpl
    def storefront_blueprint(self) -> Blueprint:
        # Without a page of its own: it brings the folder of templates.
        return Blueprint("notes", __name__, template_folder="templates")

    @hookimpl
    def slot(self, name: str, ctx: Mapping[str, Any]) -> Piece | None:
        is_card = name == "plan.card"
        text = self._plans.get(ctx["plan"], "") if is_card else self._texts.get(name, "")
        return Piece("notes/note.html", {"text": text, "is_card": is_card}) if text else None


def _pair(part: str) -> tuple[str, str]:
    code, colon, text = part.partition(":")
    if not colon or not code.strip() or not text.strip():
        raise ValueError(f"plans: write a plan's code, a colon and the text, not {part.strip()!r}")
    return code.strip(), text.strip()


PLUGIN = NotesPlugin
