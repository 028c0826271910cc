"""Shippo as it is set up: off without a token, nothing secret in what is shown."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import PluginContext, PluginOff, PluginUnused, ShippingProvider
from storefront_shippo.plugin import ShippoPlugin, ShippoSettings


def set_up(tmp_path: Path, **over: str) -> list[ShippingProvider]:
    offered: list[ShippingProvider] = []
    context = PluginContext(
        name="shippo",
        settings=ShippoSettings(**over),
        log=logging.getLogger("storefront.plugin.shippo"),
        now=lambda: datetime(2027, 3, 2, tzinfo=UTC),
        folder=tmp_path,
        environment="test",
        pages_url="https://shop.test/x/shippo",
        add_gateway=[].append,
        http=ServiceHttp,
        add_shipping_provider=offered.append,
    )
    ShippoPlugin().setup(context)
    return offered


def test_without_a_token_it_is_off_and_says_which_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PluginUnused):
        set_up(tmp_path)
    with pytest.raises(PluginOff, match="STOREFRONT_SHIPPO_API_TOKEN is not set"):
        set_up(tmp_path, webhook_token="x")


def test_it_takes_messages_only_with_something_to_know_them_by(tmp_path: Path) -> None:
    (bare,) = set_up(tmp_path, api_token="t")
    (full,) = set_up(tmp_path, api_token="t", webhook_token="w")

    assert not bare.capabilities.sends_messages
    assert full.capabilities.sends_messages
    hidden = ShippoSettings(api_token="hidden", webhook_token="hidden", webhook_secret="hidden")
    assert "hidden" not in repr(hidden)
