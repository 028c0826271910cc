"""``dev.py run``: the demo shop with its worker, and an existing shop it is mounted in."""

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
    _command(settings, "migrate")
    _command(settings, "demo", "seed")
    services = _services(settings, shop_port)
    supervisor = Supervisor(INSTANCE / "logs")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for service in services:
            supervisor.start(service)
        if not supervisor.wait_until_ready():
            return 1
        _greet(settings, services)
        return supervisor.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        supervisor.stop()
        say("stopped")


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


def _command(settings: dict[str, str], *arguments: str) -> None:
    command = [PYTHON, "-m", "storefront", *arguments]
    environ = child_environ(**settings)
    code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
    if code != 0:
        fail(f"storefront {' '.join(arguments)} ended with {code}")


def _greet(settings: dict[str, str], services: list[Service]) -> None:
    shop = settings["STOREFRONT_BASE_URL"]
    print()
    good(f"shop      {shop}/")
    good(f"account   {shop}/account")
    good(f"admin     {shop}/admin")
    for service in services:
        if service.name == "example":
            good(f"mounted   http://{HOST}:{service.port}/boxes/, in an existing shop")
    print()
    _command(settings, "demo", "logins")
    print()
    say("Ctrl-C ends it. `dev.py run --fresh` starts the story again.")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
