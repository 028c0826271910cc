"""Plugins are found, checked and switched on; what is wrong with one stays its own trouble."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Blueprint

from storefront.hooks import (
    API,
    Event,
    Identity,
    Layout,
    PluginContext,
    PluginOff,
    PluginUnused,
    RequestInfo,
    StorefrontPlugin,
    hookimpl,
)
from storefront.plugins import (
    Hooks,
    load_plugins,
    request_info,
    resolve_identity,
    resolve_layout,
)
from storefront.settings import Settings
from storefront.testing.clock import FrozenClock
from storefront.testing.demo_gateway import demo_gateway

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
VISIT = request_info({"REQUEST_METHOD": "GET", "PATH_INFO": "/account", "HTTP_COOKIE": "sid=7"})
ADA = Identity(ref="7", email="ada@example.org", email_verified=True)


class _Host:
    """Stands in for the runtime: all a resolver needs of it."""

    def __init__(self, *plugins: object) -> None:
        self.hooks = Hooks()
        for number, plugin in enumerate(reversed(plugins)):
            self.hooks.register(plugin, name=f"p{number}")


class Knows:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def identify_customer(self, info: RequestInfo) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def layout(self) -> Any:
        return self.answer


class Breaks:
    @hookimpl
    def slot(self, name: str) -> str:
        raise RuntimeError("no markup today")

    @hookimpl
    def on_event(self, event: Event) -> None:
        raise RuntimeError("no mail today")


# ------------------------------------------------------------------------------------ resolvers


def test_the_first_plugin_that_knows_the_visitor_wins() -> None:
    other = replace(ADA, ref="8")
    assert resolve_identity(_Host(Knows(None), Knows(ADA), Knows(other)), VISIT) == ADA


def test_a_failing_identity_plugin_is_passed_over() -> None:
    assert resolve_identity(_Host(Knows(RuntimeError("down")), Knows(ADA)), VISIT) == ADA


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("down"), {"ref": "7"}, "ada@example.org", replace(ADA, ref=" "), None],
)
def test_identity_fails_closed_to_anonymous(answer: Any) -> None:
    assert resolve_identity(_Host(Knows(answer)), VISIT) is None


def test_a_layout_without_both_marks_is_none() -> None:
    half = Layout(f"<html><head>{Layout.HEAD}</head><body></body></html>")
    whole = Layout(half.html.replace("<body>", f"<body>{Layout.CONTENT}"))
    assert resolve_layout(_Host(Knows(half)), VISIT) is None
    assert resolve_layout(_Host(Knows(whole)), VISIT) == whole


def test_a_visit_is_described_by_plain_values() -> None:
    assert (VISIT.path, VISIT.cookies, VISIT.headers["cookie"]) == (
        "/account",
        {"sid": "7"},
        "sid=7",
    )
    with VISIT.in_host() as nothing:
        assert nothing is None


# ------------------------------------------------------------------------ filters and observers


def test_slots_of_all_plugins_are_joined_without_the_broken_one() -> None:
    class Speaks:
        @hookimpl
        def slot(self, name: str, ctx: Mapping[str, Any]) -> str | None:
            return f"<p>{ctx['plan']}</p>" if name == "plan.card" else None

    hooks = _Host(Speaks(), Breaks()).hooks
    assert hooks.slot("plan.card", {"plan": "kukicha"}) == "<p>kukicha</p>"
    assert hooks.slot("elsewhere") == ""


def test_an_observer_that_fails_does_not_keep_the_others_from_hearing() -> None:
    heard: list[str] = []

    class Listens:
        @hookimpl
        def on_event(self, event: Event) -> None:
            heard.append(event.id)

    hooks = _Host(Listens(), Breaks()).hooks
    event = Event("evt_1", "subscription.activated", 1, NOW, "sub_1", {})
    assert hooks.observers() == ["p1", "p0"]
    hooks.notify("p1", event)
    with pytest.raises(RuntimeError, match="no mail today"):
        hooks.notify("p0", event)
    hooks.notify("long-gone", event)
    assert heard == ["evt_1"]


# ---------------------------------------------------------------------------------- registering


def test_registering_twice_is_once() -> None:
    class Greets:
        @hookimpl
        def slot(self) -> str:
            return "<p>Hello</p>"

    hooks, plugin = Hooks(), Greets()
    assert hooks.register(plugin, name="greets")
    assert hooks.register(plugin, name="greets")
    assert hooks.register(Greets(), name="greets")
    assert hooks.slot("page.top") == "<p>Hello</p>"


class Misspelt(StorefrontPlugin):
    name, api = "misspelt", API

    @hookimpl
    def identify_custommer(self, info: RequestInfo) -> None: ...


class WrongArgument(StorefrontPlugin):
    name, api = "wrong-argument", API

    @hookimpl
    def on_event(self, evnet: Event) -> None: ...


class Wrapper(StorefrontPlugin):
    name, api = "wrapper", API

    @hookimpl(wrapper=True)
    def on_event(self, event: Event) -> Iterator[None]:
        yield


class FromTheFuture(StorefrontPlugin):
    name, api = "future", API + 1


@pytest.mark.parametrize("plugin", [Misspelt, WrongArgument, Wrapper, FromTheFuture])
def test_a_plugin_that_breaks_the_contract_is_switched_off_and_named(
    plugin: type[StorefrontPlugin],
) -> None:
    hooks = Hooks()
    assert not hooks.register(plugin())
    assert plugin.name in hooks.failed[plugin.name]
    assert hooks.names == []
    assert hooks.observers() == []


def test_a_plugin_whose_set_up_fails_leaves_no_gateway_behind() -> None:
    hooks = Hooks()

    class HalfWay(StorefrontPlugin):
        name, api = "half-way", API

        def setup(self, ctx: PluginContext) -> None:
            hooks.add_gateway(self.name, demo_gateway())
            raise ConnectionError("vault closed")

    assert not hooks.register(HalfWay(), context=str)  # type: ignore[arg-type]
    assert hooks.failed == {"half-way": "ConnectionError: vault closed"}
    assert hooks.gateways == {}


def test_a_gateway_name_belongs_to_one_plugin() -> None:
    hooks = Hooks()
    hooks.add_gateway("mine", demo_gateway())
    with pytest.raises(Exception, match="gateway demo belongs to mine"):
        hooks.add_gateway("yours", demo_gateway())
    with pytest.raises(Exception, match="not a complete gateway"):
        hooks.add_gateway("yours", object())  # type: ignore[arg-type]


def test_a_plugin_without_a_usable_blueprint_is_switched_off() -> None:
    class Pages:
        @hookimpl
        def storefront_blueprint(self) -> Blueprint:
            return Blueprint("pages", __name__)

    class NoPages:
        @hookimpl
        def storefront_blueprint(self) -> Blueprint:
            raise OSError("template gone")

    hooks = _Host(Pages(), NoPages()).hooks
    assert [name for name, _ in hooks.blueprints()] == ["p1"]
    assert hooks.failed == {"p0": "OSError: template gone"}


# -------------------------------------------------------------------------------------- loading

_PLUGIN = """
from dataclasses import dataclass
from storefront.hooks import StorefrontPlugin

@dataclass(frozen=True)
class OwnSettings:
    port: int = 80
    secret: str = ""

class Own(StorefrontPlugin):
    name, api, settings = {name!r}, 1, OwnSettings
    def setup(self, ctx):
        (ctx.folder / "seen.txt").write_text(f"{{ctx.settings.port}} {{ctx.settings.secret}}")

PLUGIN = Own
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A plugin folder; what was imported from it is forgotten afterwards."""
    path, before = tmp_path / "plugs", set(sys.modules)
    path.mkdir()
    yield path
    sys.path[:] = [each for each in sys.path if each != str(path)]
    for name in set(sys.modules) - before:
        if name.startswith("tp_"):
            del sys.modules[name]


def write(folder: Path, package: str, text: str) -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(text, "utf-8")


def settings_for(folder: Path, **over: Any) -> Settings:
    return Settings(
        environment="test", data_dir=folder.parent / "instance", plugin_dirs=(folder,), **over
    )


def test_a_folder_plugin_gets_its_own_settings_and_folder(folder: Path, tmp_path: Path) -> None:
    write(folder, "tp_one", _PLUGIN.format(name="one-two"))
    (tmp_path / "secret").write_text("hush\n", "utf-8")
    environ = {
        "STOREFRONT_ONE_TWO_PORT": "8080",
        "STOREFRONT_ONE_TWO_SECRET_FILE": str(tmp_path / "secret"),
    }
    hooks = load_plugins(settings_for(folder), FrozenClock(NOW), environ)
    assert hooks.failed == {}
    seen = tmp_path / "instance" / "plugins" / "one-two" / "seen.txt"
    assert seen.read_text("utf-8") == "8080 hush"


def test_a_plugin_that_cannot_be_imported_does_not_stop_the_others(folder: Path) -> None:
    write(folder, "tp_bad", "raise RuntimeError('no licence')")
    write(folder, "tp_empty", "")
    write(folder, "tp_good", _PLUGIN.format(name="good"))
    hooks = load_plugins(settings_for(folder), FrozenClock(NOW), {})
    assert "good" in hooks.names
    assert set(hooks.failed) == {"tp_bad", "tp_empty"}


def test_two_plugins_cannot_share_a_name(folder: Path) -> None:
    write(folder, "tp_a", _PLUGIN.format(name="twin"))
    write(folder, "tp_b", _PLUGIN.format(name="twin"))
    hooks = load_plugins(settings_for(folder), FrozenClock(NOW), {})
    assert hooks.names.count("twin") == 1
    assert "taken by tp_a.Own" in hooks.failed["tp_b"]


def test_a_setting_that_cannot_be_read_names_the_variable_and_not_the_value(folder: Path) -> None:
    write(folder, "tp_port", _PLUGIN.format(name="port"))
    environ = {"STOREFRONT_PORT_PORT": "eighty-secret"}
    hooks = load_plugins(settings_for(folder), FrozenClock(NOW), environ)
    assert "STOREFRONT_PORT_PORT" in hooks.failed["port"]
    assert "eighty-secret" not in hooks.failed["port"]


def test_a_plugin_is_switched_off_by_its_name(folder: Path) -> None:
    write(folder, "tp_off", _PLUGIN.format(name="unwanted"))
    hooks = load_plugins(settings_for(folder, plugins_off=("unwanted",)), FrozenClock(NOW), {})
    assert "unwanted" not in hooks.names
    assert hooks.failed == {}


@pytest.mark.parametrize(("why", "level"), [(PluginUnused, "INFO"), (PluginOff, "WARNING")])
def test_a_plugin_that_nobody_has_set_up_is_off_without_a_warning(
    why: type[PluginOff], level: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Waiting(StorefrontPlugin):
        name, api = "waiting", API

        def setup(self, ctx: PluginContext) -> None:
            raise why("it has no account")

    caplog.set_level("INFO")
    hooks = Hooks()
    assert not hooks.register(Waiting(), context=lambda _name: cast(PluginContext, None))
    assert hooks.off == {"waiting": "it has no account"}
    assert [line.levelname for line in caplog.records if "waiting" in line.getMessage()] == [level]


def test_no_bundled_plugin_warns_in_a_shop_that_has_set_none_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(settings_for(Path("plugins"), secret_key="x" * 40), data_dir=tmp_path)
    load_plugins(settings, FrozenClock(NOW), {})
    assert [line.getMessage() for line in caplog.records if line.levelname == "WARNING"] == []


def test_the_bundled_demo_gateway_is_found_and_is_off_in_production(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(Path("plugins"), secret_key="x" * 40)
    settings = replace(settings, data_dir=tmp_path)
    assert load_plugins(settings, FrozenClock(NOW), {}).gateways["demo"].account == "demo"
    live = replace(settings, environment="production")
    hooks = load_plugins(live, FrozenClock(NOW), {})
    assert "demo" not in hooks.gateways
    assert hooks.failed == {}
    assert "moves no money" in hooks.off["demo-gateway"]
    (said,) = (each for each in caplog.records if "demo-gateway" in each.getMessage())
    assert (said.levelname, said.exc_info) == ("WARNING", None)
    assert "plugin demo-gateway is off: it moves no money" in said.getMessage()
