"""Find plugins, check them, switch them on, and call their hooks by the four failure rules.

One failing plugin never takes the shop down: whatever is wrong with it is written to ``failed``
under its name, logged, and shown on the health page; the others go on.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pluggy
from markupsafe import Markup

from storefront.adapters.http import ServiceHttp
from storefront.hooks import (
    API,
    PROJECT,
    Event,
    Gateway,
    HookSpecs,
    Identity,
    Layout,
    Piece,
    PluginContext,
    PluginOff,
    PluginUnused,
    RequestInfo,
    ShippingProvider,
    StorefrontPlugin,
)
from storefront.plugin_settings import read_plugin_settings

if TYPE_CHECKING:
    from flask import Blueprint

    from storefront.settings import Settings

log = logging.getLogger(__name__)
ENTRY_POINTS = "storefront.plugins"
#: What a mount puts into our WSGI environment, so that resolvers can see the shop around us.
HOST_ENVIRON, HOST_APP = "storefront.host_environ", "storefront.host_app"
T = TypeVar("T")
#: Of a shipping provider's name.
LONGEST_NAME = 24


class PluginError(Exception):
    """A plugin cannot be used; the text names it and says why."""


class _Clock(Protocol):
    def now(self) -> datetime: ...


class Hooks:
    """The plugins of one application, in the order of their names."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(HookSpecs)
        self._gateways: dict[str, tuple[str, Gateway]] = {}
        self._providers: dict[str, tuple[str, ShippingProvider]] = {}
        #: Plugin name -> why it is not running.
        self.failed: dict[str, str] = {}
        #: Plugin name -> why it chose not to run here.
        self.off: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """Names of the running plugins, in the order they are asked."""
        return [name for name, _ in reversed(self._manager.list_name_plugin())]

    @property
    def gateways(self) -> dict[str, Gateway]:
        """Every gateway on offer, by its name."""
        return {name: gateway for name, (_, gateway) in self._gateways.items()}

    @property
    def shipping_providers(self) -> dict[str, ShippingProvider]:
        """Every shipping provider on offer, by its name."""
        return {name: each for name, (_, each) in sorted(self._providers.items())}

    def register(
        self,
        plugin: object,
        *,
        name: str = "",
        context: Callable[[str], PluginContext] | None = None,
    ) -> bool:
        """Check ``plugin``, run its ``setup``, and switch it on; False if it failed.

        Registering the same name again changes nothing, so hooks never run twice. ``plugin``
        may also be any object with hook implementations (then give it a ``name``).
        """
        name = name or getattr(plugin, "name", "")
        if self._manager.has_plugin(name):
            return True
        try:
            self._check_and_add(plugin, name)
            if context is not None and isinstance(plugin, StorefrontPlugin):
                plugin.setup(context(name))
        except PluginOff as reason:
            level = logging.INFO if isinstance(reason, PluginUnused) else logging.WARNING
            log.log(level, "plugin %s is off: %s", name, reason)
            self._take_back(name)
            self.off[name] = str(reason)
            return False
        except Exception as error:
            log.exception("plugin %s is switched off", name)
            self.fail(name or type(plugin).__name__, error)
            return False
        self.failed.pop(name, None)
        return True

    def fail(self, name: str, error: Exception) -> None:
        """Write down why ``name`` is not running and take back what it had registered."""
        self.failed[name] = f"{type(error).__name__}: {error}"
        self._take_back(name)

    def _take_back(self, name: str) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        self._gateways = {k: v for k, v in self._gateways.items() if v[0] != name}
        self._providers = {k: v for k, v in self._providers.items() if v[0] != name}

    def _check_and_add(self, plugin: object, name: str) -> None:
        if not name:
            raise PluginError(f"plugin {type(plugin).__name__} has no name")
        if isinstance(plugin, StorefrontPlugin) and plugin.api != API:
            raise PluginError(f"plugin {name} speaks API {plugin.api}, this storefront {API}")
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {name}: {error}") from error
        if any(each.wrapper or each.hookwrapper for _, each in self._all_of(name)):
            raise PluginError(f"plugin {name}: hook wrappers are not part of API {API}")

    def add_gateway(self, owner: str, gateway: Gateway) -> None:
        """Offer ``gateway``; the plugin ``owner`` answers for it."""
        if not isinstance(gateway, Gateway):
            raise PluginError(f"plugin {owner}: {gateway!r} is not a complete gateway")
        taken = self._gateways.get(gateway.name)
        if taken and taken[0] != owner:
            raise PluginError(f"plugin {owner}: gateway {gateway.name} belongs to {taken[0]}")
        self._gateways[gateway.name] = (owner, gateway)

    def add_shipping_provider(self, owner: str, provider: ShippingProvider) -> None:
        """Offer ``provider``; the plugin ``owner`` answers for it."""
        if not isinstance(provider, ShippingProvider) or not 0 < len(provider.name) <= LONGEST_NAME:
            raise PluginError(f"plugin {owner}: {provider!r} is not a complete shipping provider")
        taken = self._providers.get(provider.name)
        if taken and taken[0] != owner:
            raise PluginError(f"plugin {owner}: {provider.name} belongs to {taken[0]}")
        self._providers[provider.name] = (owner, provider)

    # ------------------------------------------------------------------------------- calling

    def resolve(self, hook: str, expected: type[T], **arguments: Any) -> T | None:
        """Return the first answer that is an ``expected``; a failing plugin is passed over."""
        for name, call in self._calls(hook):
            try:
                answer = call(arguments)
                if answer is None:
                    continue
                if isinstance(answer, expected):
                    return answer
                raise TypeError(f"{hook} answered {type(answer).__name__}")
            except Exception:
                log.exception("plugin %s failed in %s, asking the next", name, hook)
        return None

    def has(self, hook: str) -> bool:
        """True if any plugin implements ``hook``."""
        return next(self._calls(hook), None) is not None

    def slot(
        self,
        slot: str,
        ctx: Mapping[str, Any] | None = None,
        render: Callable[[Piece], str] | None = None,
    ) -> Markup:
        """Join what the plugins have for a place in a page; one that fails is left out."""
        pieces = []
        for name, call in self._calls("slot"):
            try:
                answer = call({"name": slot, "ctx": ctx or {}}) or ""
                if isinstance(answer, Piece) and render is not None:
                    answer = render(answer)
                if not isinstance(answer, str):
                    raise TypeError(f"slot answered {type(answer).__name__}")
                pieces.append(Markup(answer))  # noqa: S704
            except Exception:
                log.exception("plugin %s failed in slot %s, left out", name, slot)
        return Markup("").join(pieces)

    def observers(self) -> list[str]:
        """Names of the plugins that want events; the outbox keeps one delivery for each."""
        return [name for name, _ in self._calls("on_event")]

    def notify(self, observer: str, event: Event) -> None:
        """Hand ``event`` to one plugin; its exception is the caller's, who tries again later.

        A plugin that is gone or switched off wants nothing any more.
        """
        for name, call in self._calls("on_event"):
            if name == observer:
                call({"event": event})

    def blueprints(self) -> list[tuple[str, Blueprint]]:
        """Return (plugin name, blueprint) pairs; a plugin that fails here is switched off."""
        found = []
        for name, call in list(self._calls("storefront_blueprint")):
            try:
                found.append((name, call({})))
            except Exception as error:
                log.exception("plugin %s has no usable blueprint and is switched off", name)
                self.fail(name, error)
        return found

    def _calls(self, hook: str) -> Iterator[tuple[str, Callable[[Mapping[str, Any]], Any]]]:
        """Yield each plugin's implementation as (name, call with the arguments it names)."""
        for each in reversed(getattr(self._manager.hook, hook).get_hookimpls()):

            def call(arguments: Mapping[str, Any], each: pluggy.HookImpl = each) -> Any:
                return each.function(*(arguments[name] for name in each.argnames))

            yield each.plugin_name, call

    def _all_of(self, name: str) -> Iterator[tuple[str, pluggy.HookImpl]]:
        for caller in self._manager.get_hookcallers(self._manager.get_plugin(name)) or ():
            for each in caller.get_hookimpls():
                if each.plugin_name == name:
                    yield caller.name, each


# --------------------------------------------------------------------------------- resolvers


class _HasHooks(Protocol):
    @property
    def hooks(self) -> Hooks: ...


def request_info(environ: Mapping[str, Any]) -> RequestInfo:
    """Describe a visit from its WSGI environment (ours, below the mount)."""
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    return RequestInfo(
        method=environ.get("REQUEST_METHOD", "GET"),
        path=environ.get("PATH_INFO", "/") or "/",
        headers=headers,
        cookies=_cookies(headers.get("cookie", "")),
        environ=environ.get(HOST_ENVIRON, environ),
        host_app=environ.get(HOST_APP),
    )


def _cookies(header: str) -> dict[str, str]:
    """Read a Cookie header as browsers write it; of two with one name the first counts.

    Not the standard library's parser: that gives up on all cookies when one is odd.
    """
    pairs = (part.partition("=") for part in reversed(header.split(";")))
    return {name.strip(): value.strip().strip('"') for name, equals, value in pairs if equals}


def resolve_identity(rt: _HasHooks, info: RequestInfo) -> Identity | None:
    """Ask the plugins who is signed in at the shop around us; None is anonymous.

    Fails closed: an exception, another type or an empty reference signs nobody in. What the
    caller may do with an unverified e-mail is the caller's: it never links to an account.
    """
    identity = rt.hooks.resolve("identify_customer", Identity, info=info)
    if identity is None or not identity.ref.strip():
        return None
    return identity


def resolve_layout(rt: _HasHooks, info: RequestInfo) -> Layout | None:
    """Ask the plugins for the page to pour ours into; one without both marks counts as none."""
    layout = rt.hooks.resolve("layout", Layout, info=info)
    if layout is None:
        return None
    if Layout.HEAD not in layout.html or Layout.CONTENT not in layout.html:
        log.error("layout without both marks ignored")
        return None
    return layout


# ----------------------------------------------------------------------------------- loading


def load_plugins(
    settings: Settings, clock: _Clock, environ: Mapping[str, str] | None = None
) -> Hooks:
    """Find, check and start every plugin that is not switched off in ``settings``."""
    hooks = Hooks()
    environ = os.environ if environ is None else environ

    def context(name: str) -> PluginContext:
        plugin = found[name]
        folder = settings.data_dir / "plugins" / name
        folder.mkdir(parents=True, exist_ok=True)
        given = settings.plugins.get(name, {})
        return PluginContext(
            name=name,
            settings=read_plugin_settings(plugin.settings, name, environ, given),
            log=logging.getLogger(f"storefront.plugin.{name}"),
            now=clock.now,
            folder=folder,
            environment=settings.environment,
            pages_url=f"{settings.base_url.rstrip('/')}{settings.url_prefix}/x/{name}",
            add_gateway=lambda gateway: hooks.add_gateway(name, gateway),
            http=ServiceHttp,
            add_shipping_provider=lambda provider: hooks.add_shipping_provider(name, provider),
        )

    found = dict(_find(settings.plugin_dirs, hooks))
    # Registered last is asked first, so backwards gives the order of the names.
    for name in sorted(found, reverse=True):
        if name not in settings.plugins_off:
            hooks.register(found[name], name=name, context=context)
    return hooks


def plugin_names(settings: Settings) -> set[str]:
    """Return the names of all plugins there are, without starting any."""
    return {name for name, _ in _find(settings.plugin_dirs, Hooks())}


def _find(folders: Iterable[Path], hooks: Hooks) -> Iterator[tuple[str, StorefrontPlugin]]:
    """Yield each plugin once, whether it is in a folder, installed, or both."""
    seen: dict[str, type] = {}
    for label, load in (*_in_folders(folders), *_installed()):
        try:
            plugin = load()
            if not (isinstance(plugin, type) and issubclass(plugin, StorefrontPlugin)):
                raise PluginError(f"{label}: PLUGIN is not a StorefrontPlugin class")
            twin = seen.get(plugin.name)
            if twin and _origin(twin) != _origin(plugin):
                raise PluginError(f"{label}: the name {plugin.name} is taken by {_origin(twin)}")
        except Exception as error:
            log.exception("plugin %s cannot be loaded", label)
            hooks.fail(label, error)
            continue
        if twin is None:
            seen[plugin.name] = plugin
            yield plugin.name, plugin()


def _origin(plugin: type) -> str:
    return f"{plugin.__module__}.{plugin.__qualname__}"


def _in_folders(folders: Iterable[Path]) -> Iterator[tuple[str, Callable[[], Any]]]:
    for folder in folders:
        path = folder.resolve()
        packages = sorted(each.parent for each in path.glob("*/__init__.py"))
        # Appended, not put first: a folder of plugins must never shadow an installed package.
        if packages and str(path) not in sys.path:
            sys.path.append(str(path))
        for package in packages:
            yield package.name, partial(_plugin_of, package.name)


def _plugin_of(package: str) -> Any:
    return importlib.import_module(package).PLUGIN


def _installed() -> Iterator[tuple[str, Callable[[], Any]]]:
    for point in entry_points(group=ENTRY_POINTS):
        yield point.name, point.load
