"""A bundled plugin is a folder and four lines of pyproject.toml; none may be forgotten."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/__init__.py"))


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_there_are_plugins():
    assert "storefront_demo_gateway" in PLUGINS


def test_every_plugin_is_packed_into_the_wheel(pyproject: dict[str, Any]):
    packed = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    expected = {f"plugins/{name}": name for name in PLUGINS}
    assert {source: to for source, to in packed.items() if source != "migrations"} == expected


def test_every_plugin_has_an_entry_point(pyproject: dict[str, Any]):
    points = pyproject["project"]["entry-points"]["storefront.plugins"]
    assert sorted(points.values()) == [f"{name}:PLUGIN" for name in PLUGINS]


def test_every_plugin_is_held_to_the_import_contracts(pyproject: dict[str, Any]):
    linter = pyproject["tool"]["importlinter"]
    assert sorted(linter["root_packages"]) == ["storefront", *PLUGINS]
    (contract,) = (c for c in linter["contracts"] if c["name"].startswith("Plugins see"))
    assert sorted(contract["source_modules"]) == PLUGINS
