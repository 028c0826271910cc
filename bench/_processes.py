"""CPU seconds and memory of processes."""

from __future__ import annotations

import os
import resource
from pathlib import Path

#: Fields of /proc/<pid>/stat after the name: the parent; own user and system time, and those of
#: children that ended, in ticks.
_PARENT, _TIMES = 1, slice(11, 15)


def peak_mib() -> float:
    """Return the most memory this process has used so far.

    Where the system tells of its own (Linux): what is counted for a process that was started by a
    large one begins with the size of that one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of ``pid``, of its children, and of those that have ended.

    0 where the system does not tell (there is no /proc).
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        own = int(stat.parent.name) == pid
        if own or int(fields[_PARENT]) == pid:
            times = [int(field) for field in fields[_TIMES]]
            ticks += sum(times if own else times[:2])
    return ticks / os.sysconf("SC_CLK_TCK")
