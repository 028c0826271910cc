"""Put the application together: settings, extensions, runtime, plugins, blueprints."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, has_request_context, request
from flask_babel import get_babel
from sqlalchemy.orm import Session, scoped_session
from werkzeug.middleware.proxy_fix import ProxyFix

from storefront import (
    failures,
    headers,
    kept,
    languages,
    overrides,
    rendering,
    security,
    seen,
    templating,
)
from storefront.adapters import failpoints
from storefront.adapters.clock import Clock, DemoClock, SystemClock
from storefront.adapters.files import FileStore
from storefront.adapters.mail import Mailer, mailer_for
from storefront.adapters.passwords import Passwords
from storefront.assets import brand_url
from storefront.blueprints import BLUEPRINTS
from storefront.blueprints.context import menu_links, runtime
from storefront.blueprints.preferences import LANGUAGE_COOKIE
from storefront.database import engine_options, prepare_engine, start_reading, stop_reading
from storefront.extensions import babel, db, login_manager, migrate
from storefront.htmx import compose_request_class
from storefront.logins import current_customer, current_staff
from storefront.migrate import require_current_schema
from storefront.plugins import Hooks, load_plugins
from storefront.runtime import Runtime, ShopNotSetUp
from storefront.security import PUBLIC, check_policy, register_policy
from storefront.settings import Settings, SettingsError, load_settings, problems

log = logging.getLogger(__name__)

_MEGABYTE = 1 << 20
#: Most that a request may carry; product exports are the biggest thing anybody uploads.
_MAX_BODY = 32 * _MEGABYTE
_SESSION_DAYS = 90
_READS = {"GET", "HEAD", "OPTIONS"}

register_policy({"assets.file": PUBLIC, "assets.brand": PUBLIC})


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    mailer: Mailer | None = None,
    hooks: Hooks | None = None,
) -> Flask:
    """Return the application for ``settings``, which default to the environment's.

    Clock, mailer and plugins may be given instead of those that ``settings`` ask for. Raises
    :class:`SettingsError` naming everything wrong with the settings.
    """
    settings = settings or load_settings(os.environ)
    wrong = problems(settings)
    if wrong:
        raise SettingsError(wrong)
    _arm_failpoints(settings)
    app = Flask("storefront", static_folder=None, instance_path=str(settings.data_dir.resolve()))
    app.config.update(_flask_config(settings))
    compose_request_class(app)
    app.wsgi_app = cast("Any", _behind(settings, app.wsgi_app))  # type: ignore[method-assign]
    _bind_extensions(app)
    clock = clock or _clock(settings)
    rt = Runtime(
        session=cast("scoped_session[Session]", db.session),
        settings=settings,
        clock=clock,
        mailer=mailer or mailer_for(settings.mail_url, settings.data_dir / "mail"),
        files=FileStore(settings.files_folder),
        passwords=Passwords(low_cost=settings.environment in {"demo", "test"}),
        hooks=load_plugins(settings, clock) if hooks is None else hooks,
    )
    app.extensions["storefront"] = rt
    failures.init_app(app)
    security.init_app(app)
    kept.init_app(app)
    headers.init_app(app)
    templating.init_app(app)
    rendering.init_app(app)
    languages.init_app(app)
    overrides.init_app(app, settings.templates_dir)
    app.context_processor(_page_values)
    _register_blueprints(app, rt.hooks)
    check_policy(app)
    return app


def serving_app(settings: Settings | None = None) -> Flask:
    """Return an application that may serve: raises ``SchemaError`` on another schema than ours."""
    app = create_app(settings)
    with app.app_context():
        require_current_schema(db.engine)
    return app


def _flask_config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": list(settings.old_secret_keys),
        "DEBUG": settings.debug,
        "TESTING": settings.environment == "test",
        "MAX_CONTENT_LENGTH": _MAX_BODY,
        "TRUSTED_HOSTS": list(settings.trusted_hosts) or None,
        # For addresses written outside a request, such as in mails.
        "SERVER_NAME": urlsplit(settings.base_url).netloc,
        "APPLICATION_ROOT": settings.url_prefix or "/",
        "PREFERRED_URL_SCHEME": "https" if settings.is_https else "http",
        "SESSION_COOKIE_NAME": settings.cookie_name,
        "SESSION_COOKIE_PATH": settings.cookie_path,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.is_https,
        # The login row decides how long a sign-in lasts; the cookie only has to outlive it.
        "PERMANENT_SESSION_LIFETIME": _SESSION_DAYS * 24 * 3600,
        "SESSION_REFRESH_EACH_REQUEST": False,
        "SQLALCHEMY_DATABASE_URI": settings.database_address,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.database_address),
        # An hour is shorter than a shopper's tab stays open; the token dies with the session.
        "WTF_CSRF_TIME_LIMIT": None,
        # Ours is stricter and does not need a Referer.
        "WTF_CSRF_SSL_STRICT": False,
        "BABEL_DEFAULT_LOCALE": "en",
    }


def _behind(settings: Settings, wsgi_app: WSGIApplication) -> WSGIApplication:
    """Let the application know what stands in front of it: a path, and reverse proxies."""
    if settings.url_prefix:
        wsgi_app = _below(settings.url_prefix, wsgi_app)
    hops = settings.proxy_hops
    if not hops:
        return wsgi_app
    return ProxyFix(wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)


def _below(prefix: str, wsgi_app: WSGIApplication) -> WSGIApplication:
    """Serve under ``prefix`` also where neither a mount nor a proxy has taken it off the path."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("SCRIPT_NAME"):
            path = environ.get("PATH_INFO", "")
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
            environ["SCRIPT_NAME"] = prefix
        return wsgi_app(environ, start_response)

    return serve


def _bind_extensions(app: Flask) -> None:
    # A second extension-made engine would miss our events, so they are attached right here.
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    migrate.init_app(app, db)
    babel.init_app(app, locale_selector=_locale, timezone_selector=lambda: runtime().shop.zone)
    # Not ``init_app``: it reads the session after every request, for a "remember me" cookie that
    # we do not use, and so marks every file and public page as different per cookie.
    app.login_manager = login_manager  # type: ignore[attr-defined]
    app.before_request(_choose_transactions)
    app.teardown_request(lambda _error: stop_reading())
    seen.init_app(app)


def _choose_transactions() -> None:
    """A GET only reads: a write in it fails loudly, on both databases."""
    if request.method in _READS:
        start_reading()
    else:
        stop_reading()


def _locale() -> str:
    """Choose the language: address, own choice, account, browser, shop."""
    if has_request_context():
        customer = current_customer() if request.endpoint else None
        wishes = (
            languages.of_address(),
            request.cookies.get(LANGUAGE_COOKIE),
            customer.locale if customer else None,
            # Not ``best_match``: it takes "de" before "fr-CH", because that is no whole match.
            *request.accept_languages.values(),
        )
        for wish in wishes:
            if language := languages.known(wish):
                return language
    try:
        return languages.known(runtime().shop.locale) or languages.CODES[0]
    except ShopNotSetUp:
        return languages.CODES[0]


def _page_values() -> dict[str, Any]:
    """Give every page what its frame shows."""
    rt = runtime()
    return {
        "shop": rt.shop,
        "brand_url": brand_url(rt.shop.look),
        "csp_nonce": headers.Nonce(),
        "customer": current_customer(),
        "staff": current_staff(),
        "nav": menu_links(),
        "demo": rt.settings.is_demo,
        "now": rt.now(),
        "today": rt.today(),
    }


def _register_blueprints(app: Flask, hooks: Hooks) -> None:
    for path in BLUEPRINTS:
        module, _, name = path.partition(":")
        app.register_blueprint(getattr(import_module(module), name))
    for plugin, blueprint in hooks.blueprints():
        before = set(app.view_functions)
        # Before ours, so that where both translate a text ours is taken.
        texts = Path(blueprint.root_path) / "translations"
        get_babel(app).translation_directories.insert(0, str(texts))
        try:
            app.register_blueprint(blueprint, url_prefix=f"/x/{plugin}")
        except ValueError as error:
            log.exception("plugin %s: its blueprint cannot be registered", plugin)
            hooks.fail(plugin, error)
        register_policy(dict.fromkeys(set(app.view_functions) - before, PUBLIC))


def _clock(settings: Settings) -> Clock:
    return DemoClock(settings.data_dir / "clock") if settings.is_demo else SystemClock()


def _arm_failpoints(settings: Settings) -> None:
    spec = os.environ.get("STOREFRONT_FAILPOINTS", "")
    if spec and settings.is_production:
        log.warning("STOREFRONT_FAILPOINTS is ignored in production")
        spec = ""
    failpoints.arm(spec)
