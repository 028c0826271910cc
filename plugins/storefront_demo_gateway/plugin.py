"""The plugin class: settings, set-up, pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, has_request_context, url_for

from storefront.hooks import PluginContext, PluginOff, StorefrontPlugin, hookimpl
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.gateway import DemoGateway
from storefront_demo_gateway.pages import make_blueprint
from storefront_demo_gateway.quick import QuickBank
from storefront_demo_gateway.records import AnyBank
from storefront_demo_gateway.remote import RemoteBank


@dataclass(frozen=True, slots=True)
class DemoGatewaySettings:
    """Each is read from ``STOREFRONT_DEMO_GATEWAY_<NAME>``."""

    #: Address of a bank in a process of its own (``server.py``); empty: the bank is in here.
    url: str = ""
    #: ``file`` (in the plugin's folder), ``memory``, or ``quick`` (measuring only); empty is
    #: ``memory`` in tests and ``file`` elsewhere.
    books: str = ""
    #: Milliseconds until ``quick`` answers.
    answer_ms: int = 0
    #: Off: books in a file wait for no disk. Only for a demo that is made again after a crash.
    durable: bool = True
    account: str = "demo"
    webhook_secret: str = "demo"  # noqa: S105 - it guards play money


class DemoGatewayPlugin(StorefrontPlugin):
    """Offers the gateway ``demo``. It is off in production."""

    name = "demo-gateway"
    api = 1
    settings = DemoGatewaySettings

    def setup(self, ctx: PluginContext) -> None:
        if ctx.environment == "production":
            raise PluginOff("it moves no money, so it does not run in production")
        own: DemoGatewaySettings = ctx.settings

        def page(kind: str, key: str) -> str:
            if has_request_context():
                return url_for(f"demo_gateway.{kind}", key=key)
            return f"{ctx.pages_url}/{kind}/{key}"

        self.gateway = DemoGateway(
            _bank(own, ctx),
            now=ctx.now,
            page=page,
            account=own.account,
            webhook_secret=own.webhook_secret,
        )
        ctx.add_gateway(self.gateway)

    @hookimpl
    def storefront_blueprint(self) -> Blueprint:
        return make_blueprint(self.gateway)


def _bank(own: DemoGatewaySettings, ctx: PluginContext) -> AnyBank:
    if own.url:
        return cast(AnyBank, RemoteBank(own.url))
    banks: dict[str, Any] = {
        "file": lambda: Bank(str(ctx.folder / "bank.db"), now=ctx.now, is_durable=own.durable),
        "memory": lambda: Bank(now=ctx.now),
        "quick": lambda: QuickBank(own.answer_ms),
    }
    books = own.books or ("memory" if ctx.environment == "test" else "file")
    if books not in banks:
        raise ValueError(f"books: {books!r} is none of {', '.join(banks)}")
    return cast(AnyBank, banks[books]())


PLUGIN = DemoGatewayPlugin
