"""EasyPost as it is set up: off without a key, nothing secret in what is shown."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import PluginContext, PluginOff, PluginUnused, ShippingProvider
from storefront_easypost.plugin import EasyPostPlugin, EasyPostSettings


def set_up(tmp_path: Path, **over: str) -> list[ShippingProvider]:
    offered: list[ShippingProvider] = []
    context = PluginContext(
        name="easypost",
        settings=EasyPostSettings(**over),
        log=logging.getLogger("storefront.plugin.easypost"),
        now=lambda: datetime(2027, 3, 2, tzinfo=UTC),
        folder=tmp_path,
        environment="test",
        pages_url="https://shop.test/x/easypost",
        add_gateway=[].append,
        http=ServiceHttp,
        add_shipping_provider=offered.append,
    )
    EasyPostPlugin().setup(context)
    return offered


def test_without_a_key_it_is_off_and_says_which_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PluginUnused):
        set_up(tmp_path)
    with pytest.raises(PluginOff, match="STOREFRONT_EASYPOST_API_KEY is not set"):
        set_up(tmp_path, webhook_secret="x")


def test_what_it_can_follows_from_its_settings(tmp_path: Path) -> None:
    (bare,) = set_up(tmp_path, api_key="k")
    (full,) = set_up(tmp_path, api_key="k", webhook_secret="s", from_address="adr_1")

    assert not bare.capabilities.takes_boxes
    assert not bare.capabilities.sends_messages
    assert full.capabilities.takes_boxes
    assert full.capabilities.sends_messages
    shown = repr(EasyPostSettings(api_key="hidden", webhook_secret="hidden"))
    assert "hidden" not in shown
