"""What this machine has: a browser, free ports, a way to install more."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

from tools.console import bad, fail, good, say

HOST = "127.0.0.1"
#: Debian's shell is Chromium without the window around the page: each visitor of a test takes a
#: third of the time, since the browser draws no tabs and buttons that nobody sees.
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
_PORTS_TRIED = 20
#: Where Linux offers files in memory, and how many bytes must be free there for the tests.
_MEMORY, _ENOUGH = Path("/dev/shm"), 2 << 30  # noqa: S108 - taken by programs that draw names


def find_browser() -> str | None:
    """Return the path of a Chromium-like browser, or None.

    ``TEST_BROWSER`` names one that is not on the path.
    """
    named = os.environ.get("TEST_BROWSER")
    candidates = (named, *BROWSERS) if named else BROWSERS
    return next((path for name in candidates if (path := shutil.which(name))), None)


def explain_browser() -> str:
    """Return how to get a browser."""
    return (
        "No Chromium was found. On Debian and Ubuntu:\n\n"
        "    sudo apt-get install chromium    (Debian: chromium-headless-shell is faster)\n\n"
        "Elsewhere install Chromium or Google Chrome, or set TEST_BROWSER to its path."
    )


def browser(*, install: bool) -> int:
    """Say which browser the tests would use; get one if ``install``. Returns an exit code."""
    path = find_browser()
    if path is None and install:
        _apt_install("chromium")
        path = find_browser()
    if path is None:
        bad(explain_browser())
        return 1
    good(f"browser: {path}")
    return 0


def quick_folder() -> Path | None:
    """Return a folder in memory for the files of tests, or None where there is none that will do.

    A commit waits for the disk: 8 ms were measured, and a test commits dozens of times.
    """
    if not os.access(_MEMORY, os.W_OK):
        return None
    about = os.statvfs(_MEMORY)
    # Some tests install what they then start.
    if about.f_flag & os.ST_NOEXEC or about.f_bavail * about.f_frsize < _ENOUGH:
        return None
    return _MEMORY


def pick_port(wanted: int) -> int:
    """Return ``wanted`` if nothing listens there, else the next free port above it."""
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    return int(port)


def answers(port: int) -> bool:
    """Return whether something accepts connections on ``port``."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it, or a port that was in use a moment ago would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _apt_install(*packages: str) -> None:
    if shutil.which("apt-get") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        fail("Only root on Debian or Ubuntu can install it from here.\n" + explain_browser())
    say(f"apt-get install {' '.join(packages)}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "-qq", *command], env=environ, check=True)
