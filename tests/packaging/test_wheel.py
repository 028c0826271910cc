"""The wheel: built from this checkout, installed where nothing else is, migrated and served."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tools.environment import LOCKS, ROOT, tool
from tools.machine import HOST, answers, pick_port

_START_SECONDS = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment that holds the wheel and what the lock pins."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    _run(tool("uv"), "venv", "--quiet", "--python", sys.executable, str(venv))
    install = [tool("uv"), "pip", "install", "--quiet", "--python", str(venv / "bin" / "python")]
    _run(*install, "--require-hashes", "-r", str(LOCKS / "run.lock"))
    _run(*install, "--no-deps", str(wheel))
    return venv / "bin"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of an operator who has never seen the checkout."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "STOREFRONT_ENVIRONMENT": "demo",
        "STOREFRONT_DATA_DIR": str(tmp_path / "data"),
        "STOREFRONT_PLUGIN_DIRS": str(tmp_path / "no-plugins"),
    }


def test_the_wheel_has_code_migrations_templates_scripts_and_plugins(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        *_paths(ROOT, "storefront/**/*.py"),
        *_paths(ROOT, "storefront/templates/**/*.html"),
        *_paths(ROOT, "storefront/static/**/*.*"),
        *_paths(ROOT / "plugins", "storefront_*/**/*.py"),
        *_paths(ROOT / "plugins", "storefront_*/**/*.html"),
    }
    revisions = {f"storefront/_{name}" for name in _paths(ROOT, "migrations/versions/*.py")}
    assert revisions
    assert expected | revisions <= names
    assert "storefront/static/vendor/htmx.min.js" in names
    assert set(_paths(ROOT, "storefront/fonts/*")) <= names
    assert "storefront/fonts/DejaVuSansCondensed.ttf" in names


def test_the_wheel_has_nothing_that_belongs_to_the_checkout(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert all(top.startswith("storefront") for top in tops), tops


def test_an_installed_wheel_finds_its_plugins(installed: Path, environ: dict[str, str]):
    code = "from importlib.metadata import entry_points as e; print(e(group='storefront.plugins'))"
    said = _run(str(installed / "python"), "-c", code, env=environ)
    assert "storefront_demo_gateway:PLUGIN" in said


@pytest.mark.slow
def test_an_installed_wheel_opens_the_demo_shop(
    installed: Path, environ: dict[str, str], tmp_path: Path
):
    storefront = str(installed / "storefront")
    _run(storefront, "migrate", cwd=tmp_path, env=environ)
    smallest = ("--months", "2", "--shoppers", "1")
    _run(storefront, "demo", "seed", *smallest, cwd=tmp_path, env=environ)
    with _served(installed, environ, tmp_path) as address:
        status, page = _get(f"{address}/")
        assert status == 200
        assert "Nine Kettles" in page
        # The first page that uses htmx.
        status, page = _get(f"{address}/sign-in")
        assert status == 200
        (script,) = re.findall(r'src="([^"]*htmx[^"]*)"', page)
        assert _get(urljoin(address, script))[0] == 200
        assert _get(f"{address}/no-such-page")[0] == 404


@contextmanager
def _served(installed: Path, environ: dict[str, str], folder: Path) -> Iterator[str]:
    """Serve the installed shop from ``folder``, where no checkout can be imported."""
    port = pick_port(8700 + os.getpid() % 1000)
    command = [str(installed / "storefront"), "serve", "--port", str(port)]
    with (folder / "serve.log").open("w+", encoding="utf-8") as log:
        server = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not answers(port):
                log.seek(0)
                assert server.poll() is None, log.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"http://{HOST}:{port}"
        finally:
            server.terminate()
            server.wait(10)


def _get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - ours
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _paths(base: Path, pattern: str) -> set[str]:
    found = {path.relative_to(base).as_posix() for path in base.glob(pattern)}
    return {name for name in found if "__pycache__" not in name}


def _run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    run = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
