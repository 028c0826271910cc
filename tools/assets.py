"""Files that are made at set-up and not committed: browser file, fonts and compiled texts."""

import hashlib
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tools.console import fail, say
from tools.environment import LOCKS, PYTHON, ROOT, child_environ

HTMX = ROOT / "storefront" / "static" / "vendor" / "htmx.min.js"
FONTS = ROOT / "storefront" / "fonts"
_FONTS_IN_WHEEL = "rinoh_typeface_dejavusans"

#: Each file: (its path in one of the wheels that requirements/assets.lock pins, its SHA-256).
#: htmx is 4.0.0-beta6, minified; the fonts are DejaVu 2.37, free to embed and pass on with the
#: licence that stands beside them.
UNPACKED: Mapping[Path, tuple[str, str]] = {
    HTMX: (
        "django_htmx/static/django_htmx/htmx-4.min.js",
        "28fae7bbe8e8142b702debb9d5234a9a436d9435a4b5165b195aa1a7ed840d25",
    ),
    FONTS / "DejaVuSansCondensed.ttf": (
        f"{_FONTS_IN_WHEEL}/DejaVuSansCondensed.ttf",
        "8550cd5ca1acb65a8fc7877c46939cd0b4d909f8e7bc1e24716873d918c5e549",
    ),
    FONTS / "DejaVuSansCondensed-Bold.ttf": (
        f"{_FONTS_IN_WHEEL}/DejaVuSansCondensed-Bold.ttf",
        "38098d0b8edd8430a0f53fb2831b5d36037563a998a620d3c87a4d7591766d20",
    ),
    FONTS / "LICENSE": (
        f"{_FONTS_IN_WHEEL}/LICENSE",
        "7a083b136e64d064794c3419751e5c7dd10d2f64c108fe5ba161eae5e5958a93",
    ),
}


def ensure() -> None:
    """Make every file that pages and documents need and git does not hold."""
    ensure_unpacked(UNPACKED)
    compile_translations()


def ensure_unpacked(files: Mapping[Path, tuple[str, str]]) -> None:
    """Unpack each of ``files`` from its wheel, unless all are there and unaltered."""
    if all(
        path.is_file() and _sha256(path.read_bytes()) == sha for path, (_, sha) in files.items()
    ):
        return
    say("fetching the htmx script and the fonts of documents")
    found = _read_from_wheels({name for name, _ in files.values()})
    for target, (name, sha) in files.items():
        if _sha256(found[name]) != sha:
            fail(f"{name} in the pinned package is not the file that was reviewed.")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        partial.write_bytes(found[name])
        partial.replace(target)


def compile_translations() -> None:
    """Compile the message catalogues that changed since they were compiled."""
    folders = [ROOT / "storefront" / "translations", *ROOT.glob("plugins/*/translations")]
    sources = sorted(po for folder in folders for po in folder.glob("*/LC_MESSAGES/*.po"))
    changed = [str(source) for source in sources if _is_newer(source, source.with_suffix(".mo"))]
    if changed:
        # One process for all: starting one takes longer than compiling a catalogue.
        command = [PYTHON, "-m", "tools.catalogues", *changed]
        subprocess.run(command, cwd=ROOT, env=child_environ(), check=True)


def _is_newer(source: Path, made: Path) -> bool:
    return not made.is_file() or made.stat().st_mtime < source.stat().st_mtime


def _read_from_wheels(names: set[str]) -> dict[str, bytes]:
    """Download the pinned wheels without installing them, and return the files ``names``.

    Raises ``KeyError`` for a name that none of them holds.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
        command += ["-r", str(LOCKS / "assets.lock"), "--dest", folder]
        subprocess.run(command, cwd=ROOT, check=True)
        found: dict[str, bytes] = {}
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                found |= {name: archive.read(name) for name in names & set(archive.namelist())}
    return {name: found[name] for name in names}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
