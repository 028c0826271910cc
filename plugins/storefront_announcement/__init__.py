"""Announcement: one line at the top of the shop's pages, until a day.

    STOREFRONT_ANNOUNCEMENT_TEXT="We pack two days late this week."
    STOREFRONT_ANNOUNCEMENT_UNTIL=2027-04-01
    STOREFRONT_ANNOUNCEMENT_LINK=https://shop.example/news
    STOREFRONT_ANNOUNCEMENT_FRAMES=shop,checkout

A whole plugin in one file, made with what the contract offers: own settings, the clock, a slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from storefront.hooks import PluginContext, StorefrontPlugin, hookimpl


@dataclass(frozen=True, slots=True)
class AnnouncementSettings:
    """Without a text nothing is shown."""

    text: str = ""
    #: Last day (UTC) it is shown; None shows it until the text is taken out.
    until: date | None = None
    #: Where "Read more" leads: http, https or a path of this site. Empty: no link.
    link: str = ""
    #: Which pages show it: shop, checkout, account.
    frames: tuple[str, ...] = ("shop", "checkout")


_FRAME = '<div class="wrap"><div class="banner info" role="note"><p>{}</p></div></div>'
_PLAIN = Markup(_FRAME.format("{0}"))  # noqa: S704 - our own markup, the text is filled in later
_LINKED = Markup(_FRAME.format('<a href="{1}">{0}</a>'))  # noqa: S704


class AnnouncementPlugin(StorefrontPlugin):
    """Fills the slot ``page.top``."""

    name = "announcement"
    api = 1
    settings = AnnouncementSettings

    def setup(self, ctx: PluginContext) -> None:
        """Raises ``ValueError`` for a link that is no web address."""
        self._own: AnnouncementSettings = ctx.settings
        self._now = ctx.now
        if self._own.link and not self._own.link.startswith(("https://", "http://", "/")):
            raise ValueError("link must start with https://, http:// or /")

    @hookimpl
    def slot(self, name: str, ctx: Mapping[str, Any]) -> str | None:
        own = self._own
        if name != "page.top" or not own.text or ctx.get("frame") not in own.frames:
            return None
        if own.until is not None and self._now().date() > own.until:
            return None
        return (_LINKED if own.link else _PLAIN).format(own.text, own.link)


PLUGIN = AnnouncementPlugin
