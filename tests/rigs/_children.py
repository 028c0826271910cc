"""Processes that a rig forks from itself, so that a start costs milliseconds.

Each is ended by its own number and reaped; one whose parent has died ends by itself.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import NoReturn

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 10.0


class Children:
    """The children of this process that still run."""

    def __init__(self) -> None:
        self.pids: set[int] = set()

    def fork(self, work: Callable[[], None]) -> int:
        """Run ``work`` in a child; its return is exit code 0. Returns the child's number.

        The caller holds no database connection: a child must not share one.
        """
        pid = os.fork()
        if pid == 0:
            _be_a_child(work)
        self.pids.add(pid)
        return pid

    def reap(self) -> list[tuple[int, int]]:
        """Return (number, signal that ended it or minus its exit code) of those that ended."""
        ended = []
        for pid in list(self.pids):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.pids.discard(pid)
                killed = os.WIFSIGNALED(status)
                ended.append((pid, os.WTERMSIG(status) if killed else -os.WEXITSTATUS(status)))
        return ended

    def kill(self, pid: int) -> None:
        """Send SIGKILL to one of ours; it is still to be reaped."""
        if pid in self.pids:
            os.kill(pid, signal.SIGKILL)

    def stop(self, pids: set[int]) -> list[int]:
        """Ask ``pids`` to end, wait, and return their exits as ``reap`` tells them.

        What does not end in time is killed, and tells so by its exit.
        """
        for pid in pids & self.pids:
            os.kill(pid, signal.SIGTERM)
        exits: list[int] = []
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while pids & self.pids:
            exits += [code for pid, code in self.reap() if pid in pids]
            if time.monotonic() > deadline:
                for pid in pids & self.pids:
                    self.kill(pid)
            time.sleep(0.005)
        return exits

    def kill_all(self) -> None:
        """End and reap whatever still runs."""
        for pid in list(self.pids):
            self.kill(pid)
        while self.pids:
            self.reap()
            time.sleep(0.005)


def orphaned(parent: int) -> bool:
    """Return whether the process ``parent``, which forked this one, has died."""
    return os.getppid() != parent


def _be_a_child(work: Callable[[], None]) -> NoReturn:
    """Run ``work`` and leave without running anything that belongs to the parent."""
    code = 1
    try:
        work()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception:
        log.exception("a child failed")
    finally:
        os._exit(code)
