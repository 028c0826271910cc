"""``dev.py run``: the demo shop with its worker, and an existing shop it is mounted in."""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NoReturn

from tools.console import fail, good, say
from tools.environment import PYTHON, ROOT, child_environ
from tools.machine import HOST, pick_port
from tools.processes import Service, Supervisor

INSTANCE = ROOT / "instance"
#: Says with which migrations the demo was made; deleted with everything else of it.
_MADE = INSTANCE / "made-with"
_EXAMPLE = ROOT / "examples" / "flask_shop"


def run(*, port: int, fresh: bool) -> int:
    """Prepare the demo shop, start its processes, and wait until they are ended."""
    if fresh:
        shutil.rmtree(INSTANCE, ignore_errors=True)
    INSTANCE.mkdir(exist_ok=True)
    shop_port = pick_port(port)
    if shop_port != port:
        say(f"port {port} is taken; using {shop_port}")
    settings = _settings(shop_port)
    signal.signal(signal.SIGTERM, _interrupt)
    supervisor = Supervisor(INSTANCE / "logs")
    preparing = _prepare(settings)
    try:
        # Where the last start left everything as it is wanted there is nothing to wait for; the
        # servers look at the schema themselves.
        logins = ""
        if not _was_made():
            say("making the demo shop: the engine lives through its history, day by day")
            logins = _logins(preparing)
        services = _services(settings, shop_port)
        for service in services:
            supervisor.start(service)
        if not supervisor.wait_until_ready():
            return 1
        _greet(settings, services, logins or _logins(preparing))
        return supervisor.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(preparing, supervisor)


def _end(preparing: subprocess.Popen[str], supervisor: Supervisor) -> None:
    """End every process; who is told to end twice would leave servers behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if preparing.poll() is None:
        preparing.terminate()
        preparing.wait()
    supervisor.stop()
    say("stopped")


def _prepare(settings: dict[str, str]) -> subprocess.Popen[str]:
    """Begin to migrate the database and to make the demo; what it has to say is read later."""
    command = [PYTHON, "-m", "storefront", "demo", "open"]
    return subprocess.Popen(
        command, cwd=ROOT, env=child_environ(**settings), stdout=subprocess.PIPE, text=True
    )


def _logins(preparing: subprocess.Popen[str]) -> str:
    """Wait until the demo is there and return who may sign in to it."""
    said, _ = preparing.communicate()
    if preparing.returncode != 0:
        fail(f"{said}storefront demo open ended with {preparing.returncode}")
    _MADE.write_text(_schema(), encoding="utf-8")
    return said


def _was_made() -> bool:
    """Whether the last start saw the demo whole, with the migrations that are here now.

    Only of the database in our own folder: what became of another one nobody here knows.
    """
    if "STOREFRONT_DATABASE_URL" in os.environ or not (INSTANCE / "storefront.db").is_file():
        return False
    return _MADE.is_file() and _MADE.read_text(encoding="utf-8") == _schema()


def _schema() -> str:
    """Return what stands for the migrations that are here."""
    files = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _settings(port: int) -> dict[str, str]:
    return {
        "STOREFRONT_ENVIRONMENT": "demo",
        "STOREFRONT_DATA_DIR": str(INSTANCE),
        "STOREFRONT_BASE_URL": f"http://{HOST}:{port}",
        "STOREFRONT_PLUGIN_DIRS": str(ROOT / "plugins"),
        "STOREFRONT_SECRET_KEY": _secret(INSTANCE / "secret_key"),
    }


def _secret(path: Path) -> str:
    """Return the secret in ``path``, made at the first start so that sessions survive a second."""
    if not path.is_file():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _services(settings: dict[str, str], port: int) -> list[Service]:
    serve = [PYTHON, "-m", "storefront", "serve", "--port", str(port)]
    services = [
        Service("shop", serve, port, settings),
        Service("worker", [PYTHON, "-m", "storefront", "worker"], None, settings),
    ]
    if _EXAMPLE.is_dir():
        host_port = pick_port(port + 1)
        example = [PYTHON, "-m", "examples.flask_shop", "--port", str(host_port)]
        services.append(Service("example", example, host_port, settings))
    return services


def _greet(settings: dict[str, str], services: list[Service], logins: str) -> None:
    shop = settings["STOREFRONT_BASE_URL"]
    print()
    good(f"shop      {shop}/")
    good(f"account   {shop}/account")
    good(f"admin     {shop}/admin")
    for service in services:
        if service.name == "example":
            good(f"mounted   http://{HOST}:{service.port}/boxes/, in an existing shop")
    print()
    print(logins)
    say("Ctrl-C ends it. `dev.py run --fresh` starts the story again.")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
