"""The public plugin contract, API 1.

A plugin imports this module, ``storefront.domain`` and, for its tests, ``storefront.testing``;
nothing else of ours. Everything that crosses the border is a plain frozen value: never a
database row, never a web request. ``docs/plugins.md`` tells the same as a story.

Four kinds of hook, four failure rules:

========  ==========================================  =======================================
resolver  the first answer that is not None wins      the next plugin is asked, logged
filter    every plugin in turn                        that plugin is skipped, logged
observer  after the commit, from the outbox, at       isolated per plugin, retried
          least once
provider  picked by name from a registry              answers are values; an exception is
                                                      read as *unknown*, never as *no*
========  ==========================================  =======================================
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pluggy

from storefront.domain.charging import AnswerStatus, DeclineKind, decline_kind
from storefront.domain.gateways import (
    CancelAnswer,
    Capabilities,
    ChargeAnswer,
    ChargeOrder,
    ChargeRecord,
    DisputeRecord,
    DisputeState,
    EventAbout,
    Gateway,
    GatewayEvent,
    RefundAnswer,
    RefundOrder,
    SetupAnswer,
    SetupOrder,
    SetupStart,
    VaultedMethod,
    WebhookError,
    charge_many,
)
from storefront.domain.money import Money
from storefront.domain.parcels import (
    ParcelCapabilities,
    ParcelLine,
    ParcelMessage,
    ParcelNews,
    ParcelOrder,
    ParcelState,
    ShippingProvider,
    TakeAnswer,
    Taking,
)
from storefront.domain.tax_treatment import Place, TaxAnswer, TaxQuestion

if TYPE_CHECKING:
    from flask import Blueprint

__all__ = [
    "API",
    "AnswerStatus",
    "CancelAnswer",
    "Capabilities",
    "ChargeAnswer",
    "ChargeOrder",
    "ChargeRecord",
    "DeclineKind",
    "DisputeRecord",
    "DisputeState",
    "Event",
    "EventAbout",
    "Gateway",
    "GatewayEvent",
    "Http",
    "HttpAnswer",
    "HttpError",
    "Identity",
    "Layout",
    "Money",
    "ParcelCapabilities",
    "ParcelLine",
    "ParcelMessage",
    "ParcelNews",
    "ParcelOrder",
    "ParcelState",
    "Place",
    "PluginContext",
    "RefundAnswer",
    "RefundOrder",
    "RequestInfo",
    "SetupAnswer",
    "SetupOrder",
    "SetupStart",
    "ShippingProvider",
    "StorefrontPlugin",
    "TakeAnswer",
    "Taking",
    "TaxAnswer",
    "TaxQuestion",
    "VaultedMethod",
    "WebhookError",
    "charge_many",
    "decline_kind",
    "hookimpl",
    "hookspec",
]

#: Raised when a hook or an argument is removed. Adding one does not raise it: pluggy hands a
#: plugin only the arguments it names.
API = 1
PROJECT = "storefront"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# ------------------------------------------------------------------- talking to other services


class HttpError(Exception):
    """No whole answer came. ``args[0]`` says why in plain words."""

    def __init__(self, text: str, *, is_sent: bool = True, is_certificate: bool = False) -> None:
        """``is_sent`` is False only when surely nothing of the request reached the other side."""
        super().__init__(text)
        self.is_sent, self.is_certificate = is_sent, is_certificate


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, whatever its status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body read as JSON; raises ``HttpError`` if it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise HttpError(f"status {self.status}, and no JSON") from error


class Http(Protocol):
    """Calls to one service: with time-outs, from any thread, following no redirect.

    Get one from ``PluginContext.http``. The address of the service is a setting of the plugin.
    """

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        seconds: float | None = None,
    ) -> HttpAnswer:
        """Return the answer, whatever its status; ``path`` begins with a slash.

        Raises ``HttpError`` if none came, if it is longer than a megabyte, or is cut off.
        """
        ...


# --------------------------------------------------------------------------- the plugin itself


class PluginOff(Exception):
    """Raised in ``setup`` by a plugin that does not run here, with the reason in plain words."""


class PluginUnused(PluginOff):
    """The same for one of which nothing is set: nobody asked for it, so the log stays quiet."""


class StorefrontPlugin:
    """Base of every plugin class; the package says ``PLUGIN = <class>``.

    ``name`` is lower case with hyphens and unique; pages live under ``/x/<name>/``.
    ``settings`` is a frozen dataclass whose every field has a default; a field ``port`` of the
    plugin ``gift-note`` is read from ``STOREFRONT_GIFT_NOTE_PORT``.
    """

    name: ClassVar[str] = ""
    api: ClassVar[int] = 0
    settings: ClassVar[type[Any] | None] = None

    def setup(self, ctx: PluginContext) -> None:
        """Register providers and open what the plugin needs, once per application.

        An exception disables this plugin, is shown on the health page, and leaves the shop up;
        ``PluginOff`` does so without being a failure.
        """


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin is given at set-up."""

    name: str
    #: An instance of the plugin's settings dataclass, or None if it declares none.
    settings: Any
    log: logging.Logger
    #: Aware UTC; the only clock a plugin may read.
    now: Callable[[], datetime]
    #: A folder of the plugin's own. It exists.
    folder: Path
    #: ``demo``, ``development``, ``test`` or ``production``.
    environment: str
    #: Where the plugin's own pages are, for links made outside a request; no slash at the end.
    pages_url: str
    #: Offer a gateway. The same name a second time replaces the first: registering is idempotent.
    add_gateway: Callable[[Gateway], None]
    #: Return the client for a service at an address such as ``https://api.example.org``.
    http: Callable[[str], Http]
    #: Offer a shipping provider, as with gateways.
    add_shipping_provider: Callable[[ShippingProvider], None] = lambda _provider: None


# --------------------------------------------------------------------- identity, look, events


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The visit a resolver is asked about, seen from the shop around us."""

    method: str
    #: Path below our mount point, with a leading slash.
    path: str
    #: Names in lower case.
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    #: A copy of the WSGI environment as the host received it (host's SCRIPT_NAME and PATH_INFO).
    environ: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: The host application when mounted into one, else None. For a Flask host, its ``Flask``.
    host_app: Any = field(default=None, repr=False)

    def in_host(self) -> AbstractContextManager[Any]:
        """Enter the host's own request context, so that its ``session``, ``current_user`` and
        ``render_template`` work; nothing the block changes in that session is saved.

        Without a Flask host the context does nothing.
        """
        if self.host_app is None or not hasattr(self.host_app, "request_context"):
            return nullcontext()
        context: AbstractContextManager[Any] = self.host_app.request_context(dict(self.environ))
        return context


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the host says is signed in. ``ref`` is the host's stable id, never the e-mail."""

    ref: str
    email: str
    #: True only if the host has proven the address; an unproven one never links to an account.
    email_verified: bool = False
    name: str = ""
    locale: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The host's page with holes: our pages are poured into these marks."""

    #: A whole HTML document that contains ``HEAD`` inside its head and ``CONTENT`` in its body.
    html: str

    HEAD: ClassVar[str] = "<!--storefront:head-->"
    CONTENT: ClassVar[str] = "<!--storefront:content-->"


@dataclass(frozen=True, slots=True)
class Piece:
    """What a plugin puts into a place of a page: a template of its own, and the values it shows.

    Values are escaped by the template; the page's own (``shop``, ``customer``) are there too.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and is committed, such as ``subscription.activated``."""

    id: str
    type: str
    version: int
    occurred_at: datetime
    #: Public id of what it happened to.
    subject: str
    data: Mapping[str, Any]


class HookSpecs:
    """Every hook a plugin may implement."""

    @hookspec(firstresult=True)
    def identify_customer(self, info: RequestInfo) -> Identity | None:
        """Resolver. Say who is signed in at the shop around us, or None for "not me".

        Asked at most once per request, and only if our own session knows nobody. It must be
        quick and must not write. An exception means anonymous (after the other plugins were
        asked): a failure never signs anybody in.
        """

    @hookspec(firstresult=True)
    def layout(self, info: RequestInfo) -> Layout | None:
        """Resolver. Return the page to pour ours into, or None to keep our own frame.

        Asked for whole HTML pages only, never for partials, files or errors of the host. A
        layout without both marks counts as none. Scripts and styles in it meet our content
        security policy: files of the same host work, inline ones do not.
        """

    @hookspec
    def on_event(self, event: Event) -> None:
        """Observer. Called from the outbox after the commit, at least once, in no promised order.

        Use ``event.id`` to ignore repeats. An exception asks for another try, for this plugin
        only. Unknown types must be ignored: new ones are added without a new API number.
        """

    @hookspec
    def storefront_blueprint(self) -> Blueprint:
        """Return the plugin's blueprint; it is mounted under ``/x/<plugin name>``.

        Called once at boot. Its pages are public unless they ask otherwise, every POST form
        carries the CSRF field, and no GET writes.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def check_tax_id(self, number: str) -> str | None:
        """Resolver. Say whether a VAT number, with prefix and well formed, is in the register.

        Answer "valid" or "invalid", or "unreachable" when the register does not answer: the
        number then stays pending, its owner is charged with tax, and you are asked again a
        day later. Asked outside any transaction, in a thread of its own, for three seconds;
        an exception counts as unreachable.
        """

    @hookspec(firstresult=True)
    def quote_tax(self, question: TaxQuestion) -> TaxAnswer | None:
        """Resolver. Return the rate in percent of a place, a product class and a tax point.

        Asked for sales that bear tax only: exports, exempt customers and reverse charge are
        decided before. Asked outside any transaction, many at once in threads, for three
        seconds together; without an answer, or with a rate outside 0 to 100, the shop's own
        table holds and the invoice says so. None means "not mine".
        """

    @hookspec
    def slot(self, name: str, ctx: Mapping[str, Any]) -> Piece | str | None:
        """Filter. Return what to put into the named place of a page, or None for nothing.

        ``ctx["opted_out"]`` is true where the visitor's browser asks not to be followed.

        A ``Piece`` is rendered and escaped for you; text is HTML and yours to escape
        (``markupsafe``). The pieces of all plugins are joined in the order
        of their names; one that raises is left out and logged. The names are listed in
        ``docs/plugins.md``.
        """
