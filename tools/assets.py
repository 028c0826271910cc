"""Files that are made at set-up and not committed: the htmx script and compiled texts."""

import hashlib
import subprocess
import tempfile
import zipfile
from pathlib import Path

from tools.console import fail, say
from tools.environment import LOCKS, PYTHON, ROOT

HTMX = ROOT / "storefront" / "static" / "vendor" / "htmx.min.js"
#: htmx 4.0.0-beta6, minified, as the wheel pinned in requirements/assets.lock carries it.
HTMX_SHA256 = "28fae7bbe8e8142b702debb9d5234a9a436d9435a4b5165b195aa1a7ed840d25"
_HTMX_IN_WHEEL = "django_htmx/static/django_htmx/htmx-4.min.js"


def ensure() -> None:
    """Make every file that the pages need and git does not hold."""
    ensure_htmx(HTMX)
    compile_translations()


def ensure_htmx(target: Path) -> None:
    """Unpack the pinned htmx script to ``target``, unless it is there and unaltered."""
    if target.is_file() and _sha256(target.read_bytes()) == HTMX_SHA256:
        return
    say("fetching the htmx script")
    script = _script_from_wheel()
    if _sha256(script) != HTMX_SHA256:
        fail("The htmx script in the pinned package is not the one that was reviewed.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_bytes(script)
    partial.replace(target)


def compile_translations() -> None:
    """Compile the message catalogues that changed since they were compiled."""
    folders = [ROOT / "storefront" / "translations", *ROOT.glob("plugins/*/translations")]
    for source in sorted(po for folder in folders for po in folder.glob("*/LC_MESSAGES/*.po")):
        compiled = source.with_suffix(".mo")
        if compiled.is_file() and compiled.stat().st_mtime >= source.stat().st_mtime:
            continue
        command = [PYTHON, "-m", "babel.messages.frontend", "--quiet", "compile"]
        command += ["--input-file", str(source), "--output-file", str(compiled)]
        command += ["--locale", source.parent.parent.name]
        subprocess.run(command, cwd=ROOT, check=True)


def _script_from_wheel() -> bytes:
    """Download the pinned wheel without installing it, and return its htmx script."""
    with tempfile.TemporaryDirectory() as folder:
        command = [PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
        command += ["-r", str(LOCKS / "assets.lock"), "--dest", folder]
        subprocess.run(command, cwd=ROOT, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_HTMX_IN_WHEEL)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
