"""Files that others pick up: written whole or not at all, with their hash and row count."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storefront.adapters.clock import SystemClock

log = logging.getLogger(__name__)

#: A spreadsheet takes a cell that starts like this for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: What a file is called until it is whole.
_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{8}")
#: What a folder is called in which files are gathered. No other folder is ours to remove.
_ASIDE = "made"
_FOLDER_ASIDE = re.compile(rf"\.{_ASIDE}\.[0-9a-f]{{8}}")
#: A file that nobody has added to for so long has lost its writer.
_LOST_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Published:
    """A file that is there, complete and on disk."""

    path: Path
    sha256: str
    size: int
    #: Data rows without the heading; 0 for files that have none.
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """How much of what was left behind is gone, and how much could not be removed."""

    removed: int
    failed: int = 0


class FileStore:
    """Publishes files below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, name: str, chunks: Iterable[bytes]) -> Published:
        """Write ``chunks`` to ``name``; a reader sees the old file or the whole new one.

        ``name`` is a relative path below the folder; another raises ``ValueError``. An error,
        also one of ``chunks`` itself, leaves no trace. The same name again replaces the file.
        """
        target = self.path_of(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        digest, size = hashlib.sha256(), 0
        try:
            with partial.open("xb") as out:
                for chunk in chunks:
                    digest.update(chunk)
                    size += out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return Published(target, digest.hexdigest(), size)

    def publish_csv(
        self, name: str, heading: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> Published:
        """Publish ``rows`` as CSV (UTF-8, comma, CRLF), in memory that stays flat."""
        counter = _Counter(rows)
        done = self.publish(name, _csv_chunks(heading, counter))
        return Published(done.path, done.sha256, done.size, counter.count)

    def aside(self, name: str) -> str:
        """Return a name beside ``name`` that no reader looks at, for a file soon removed."""
        folder, slash, last = name.rpartition("/")
        return f"{folder}{slash}.{last}.{secrets.token_hex(4)}"

    @contextmanager
    def folder_aside(self) -> Iterator[Path]:
        """Give a folder that no reader looks at and that goes, with all in it, in the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / self.aside(_ASIDE)
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            shutil.rmtree(made)

    def remove_half_written(self) -> Swept:
        """Delete files and folders that writers which were killed left behind.

        By the machine's clock, which the files are dated by, and not by the shop's. What cannot
        be removed is logged and counted, and keeps nothing else from going.
        """
        before = (SystemClock().now() - _LOST_AFTER).timestamp()
        removed = failed = 0
        for here, folders, files in os.walk(self.folder):
            lost = [name for name in folders if _FOLDER_ASIDE.fullmatch(name)]
            # What is in one is its own matter: it goes as a whole or not at all.
            folders[:] = [name for name in folders if name not in lost]
            for name in (*lost, *filter(_HALF_WRITTEN.fullmatch, files)):
                # Its writer, or another worker that removes it, may be faster.
                try:
                    with suppress(FileNotFoundError):
                        removed += _remove_older(Path(here, name), before)
                except OSError as error:
                    log.warning("%s was left behind and cannot be removed: %s", name, error)
                    failed += 1
        return Swept(removed, failed)

    def listed(self, folder: str, suffix: str) -> list[tuple[str, datetime, int]]:
        """Return (name, made at, size) of the files below ``folder``, newest first."""
        found = []
        for path in self.path_of(folder).glob(f"*{suffix}"):
            if not path.name.startswith("."):
                about = path.stat()
                made_at = datetime.fromtimestamp(about.st_mtime, UTC)
                found.append((f"{folder}/{path.name}", made_at, about.st_size))
        return sorted(found, key=lambda each: each[1], reverse=True)

    def path_of(self, name: str) -> Path:
        """Return where ``name`` is or would be. Raises ``ValueError`` if it leads outside."""
        root = self.folder.resolve()
        path = (root / name).resolve()
        if path == root or not path.is_relative_to(root):
            raise ValueError(f"{name!r} leads out of the folder")
        return path


@contextmanager
def publish_folder(target: Path) -> Iterator[FileStore]:
    """Give a hidden folder to write files into; they appear as ``target`` together, or never.

    An error inside leaves no trace. Raises ``FileExistsError`` when ``target`` is there and
    not an empty folder, before anything is written and again before it is published.
    """
    target = target.resolve()
    _require_free(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        yield FileStore(partial)
        _require_free(target)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _sync_folder(target.parent)


def _require_free(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists already")


def zipped(folder: Path) -> Iterator[bytes]:
    """Yield the files of ``folder`` as one ZIP file, the same bytes for the same files."""
    packed = folder / f".{secrets.token_hex(4)}.zip"
    try:
        with zipfile.ZipFile(packed, "x", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(each for each in folder.iterdir() if not each.name.startswith(".")):
                entry = zipfile.ZipInfo(path.name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with path.open("rb") as source, out.open(entry, "w", force_zip64=True) as cell:
                    shutil.copyfileobj(source, cell, 1 << 20)
        with packed.open("rb") as file:
            while chunk := file.read(1 << 20):
                yield chunk
    finally:
        packed.unlink(missing_ok=True)


def _remove_older(path: Path, before: float) -> int:
    if path.stat().st_mtime >= before:
        return 0
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return 1


class _Counter:
    """Counts the rows that pass."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[object]]:
        for row in self._rows:
            self.count += 1
            yield row


def _csv_chunks(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(heading)
    for row in rows:
        writer.writerow([_safe_cell(cell) for cell in row])
        if buffer.tell() > 1 << 16:
            yield _take(buffer)
    yield _take(buffer)


def _safe_cell(cell: object) -> object:
    """Keep a customer's name from being run as a formula in the merchant's spreadsheet."""
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell


def _take(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system knows how."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
