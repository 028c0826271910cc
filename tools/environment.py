"""The virtual environment: made once, filled from a hashed lock, checked by a stamp."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.console import fail, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = ROOT / "requirements"
_BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = str(_BIN / ("python.exe" if os.name == "nt" else "python"))

#: Each lock and the groups and extras of pyproject.toml it pins. Later ones keep the pins of
#: ``run``, so that one environment can hold them all.
_PRODUCT = ("--extra", "postgres", "--extra", "prod")
_TEST = (*_PRODUCT, "--group", "test", "--group", "lint")
LOCK_SOURCES: dict[str, tuple[str, ...]] = {
    "installer": ("--group", "installer"),
    "assets": ("--group", "assets", "--no-deps"),
    "run": ("pyproject.toml", *_PRODUCT),
    "test": ("pyproject.toml", *_TEST),
    "e2e": ("pyproject.toml", *_TEST, "--group", "build", "--group", "e2e"),
    "embedded": ("--group", "embedded"),
    "mutate": ("--group", "mutate"),
}
#: Which lock's pins another one keeps.
_CONSTRAINED_BY = {"test": "run", "e2e": "run", "mutate": "e2e"}


def tool(name: str) -> str:
    """Return the path of a command installed in the environment."""
    return str(_BIN / (f"{name}.exe" if os.name == "nt" else name))


def child_environ(**more: str) -> dict[str, str]:
    """Return the environment of a child process: ours, with the project importable.

    Compiled modules are kept in the environment's folder even where the machine is told to
    write none beside the sources: every process would spend seconds on compiling them again.
    """
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(VENV / "compiled")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    return {**environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


def ensure(*locks: str) -> None:
    """Make the environment, and have it hold what ``locks`` say. Instant when it already does."""
    if not _works():
        _make()
    for lock in locks:
        stamp = VENV / "stamps" / lock
        wanted = _fingerprint(LOCKS / f"{lock}.lock")
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            _install(lock)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(wanted, encoding="utf-8")


def compile_locks(*, upgrade: bool) -> None:
    """Write every lock anew from pyproject.toml, keeping today's pins unless ``upgrade``."""
    if not _works():
        _make()
    _ensure_uv()
    for lock, sources in LOCK_SOURCES.items():
        target = f"requirements/{lock}.lock"
        # A lock may not name a package registry, so no header and no address goes into it.
        command = [tool("uv"), "pip", "compile", *sources, "--output-file", target]
        command += ["--universal", "--generate-hashes", "--no-header", "--no-annotate"]
        command += ["--python-version", "3.11", "--quiet"]
        if lock in _CONSTRAINED_BY:
            command += ["--constraints", f"requirements/{_CONSTRAINED_BY[lock]}.lock"]
        if upgrade:
            command.append("--upgrade")
        subprocess.run(command, cwd=ROOT, check=True)
        say(f"wrote {target}")


def _works() -> bool:
    """Return whether the environment's own Python starts."""
    if not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0


def _make() -> None:
    try:
        # Debian ships the standard library without it.
        import ensurepip  # noqa: F401, PLC0415
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        fail(
            "This Python cannot make virtual environments. On Debian and Ubuntu:\n\n"
            f"    sudo apt-get install python{version}-venv\n"
        )
    say("making the environment in .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    # The base interpreter: an environment made from another environment would break with it.
    base = getattr(sys, "_base_executable", None) or sys.executable
    subprocess.run([base, "-m", "venv", VENV], check=True)


def _ensure_uv() -> bool:
    """Return whether uv is there, after trying to install it."""
    if Path(tool("uv")).exists():
        return True
    return _pip_install("installer") == 0


def _install(lock: str) -> None:
    say(f"installing the packages of requirements/{lock}.lock")
    if _ensure_uv():
        command = [tool("uv"), "pip", "install", "--python", PYTHON, "--quiet", "--require-hashes"]
        command += ["-r", str(LOCKS / f"{lock}.lock")]
        if subprocess.run(command, cwd=ROOT, check=False).returncode == 0:
            return
        say("uv could not do it; trying pip")
    if _pip_install(lock) != 0:
        fail(f"The packages of requirements/{lock}.lock could not be installed (see above).")


def _pip_install(lock: str) -> int:
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "-r", str(LOCKS / f"{lock}.lock")]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _fingerprint(lock: Path) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    return hashlib.sha256(f"{version}\n{lock.read_text(encoding='utf-8')}".encode()).hexdigest()
