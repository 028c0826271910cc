"""Who a temporary folder belongs to, so that the next run can clean up after one that was killed.

A note in the folder names its run: the process and when that began, since a number alone
may be given to another process. A folder without a readable note is nobody's business.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOTE = "owner"
#: Field of /proc/<pid>/stat after the name: when the process began, in ticks since the start.
_BEGAN = 19


def note_owner(folder: Path, pid: int) -> None:
    """Write down that ``folder`` is of no use once ``pid`` has ended."""
    (folder / _NOTE).write_text(f"{pid} {_began(pid)}", encoding="ascii")


@contextmanager
def left_behind(folder: Path) -> Iterator[bool]:
    """Say whether the owner of ``folder`` has ended; True for one caller at a time only."""
    try:
        note = (folder / _NOTE).open("rb")
    except OSError:
        yield False
        return
    with note:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        words = note.read(64).decode("ascii", errors="replace").split()
        known = len(words) == 2 and words[0].isdecimal()
        yield known and _began(int(words[0])) != words[1]


def own_folder(prefix: str) -> Path:
    """Make a temporary folder of this process, and remove those that killed ones have left."""
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with left_behind(old) as is_over:
            if is_over:
                shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    note_owner(folder, os.getpid())
    return folder


def _began(pid: int) -> str:
    """Return when ``pid`` began, "-" where the system does not tell, "" when there is none."""
    try:
        # The name, in brackets, may hold spaces and brackets.
        after = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _alive(pid)
    return after.split()[_BEGAN]


def _alive(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        # Somebody else's process: it is there.
        return "-"
    return "-"
