"""Start several servers, watch them, and end them together."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.console import bad
from tools.environment import ROOT, child_environ
from tools.machine import answers

_START_SECONDS = 60
_END_SECONDS = 10
_LOG_LINES_SHOWN = 25


@dataclass(frozen=True)
class Service:
    """One process to keep running; ``port`` is None for one that does not listen."""

    name: str
    command: Sequence[str]
    port: int | None = None
    environ: dict[str, str] = field(default_factory=dict)


class Supervisor:
    """Runs services with a log file each; one that ends by itself ends them all."""

    def __init__(self, log_folder: Path) -> None:
        self._logs = log_folder
        self._running: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def start(self, service: Service) -> None:
        """Start ``service``; it may take a while until it listens."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log(service).open("wb") as log:
            process = subprocess.Popen(
                service.command,
                cwd=ROOT,
                env=child_environ(**service.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us: we end them in order.
                start_new_session=True,
            )
        self._running.append((service, process))

    def wait_until_ready(self) -> bool:
        """Wait until every service listens; False, and said why, if one does not."""
        deadline = time.monotonic() + _START_SECONDS
        for service, process in self._running:
            while service.port and not answers(service.port):
                if process.poll() is not None or time.monotonic() > deadline:
                    self._tell(service, process)
                    return False
                time.sleep(0.1)
        return True

    def wait(self) -> int:
        """Wait until a service ends by itself (returns 1) or we are told to stop (returns 0)."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                for service, process in self._running:
                    if process.poll() is not None:
                        self._tell(service, process)
                        return 1
                time.sleep(0.5)
        return 0

    def stop(self) -> None:
        """End every service, the last one started first; kill what does not end in time."""
        # A second Ctrl-C while we wait would leave servers behind.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for _, process in reversed(self._running):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _END_SECONDS
        for _, process in reversed(self._running):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        signal.signal(signal.SIGINT, previous)

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.name}.log"

    def _tell(self, service: Service, process: subprocess.Popen[bytes]) -> None:
        lines = self._log(service).read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-_LOG_LINES_SHOWN:]), flush=True)
        ended = "did not answer" if process.poll() is None else f"ended ({process.returncode})"
        bad(f"{service.name} {ended}; its log is {self._log(service).relative_to(ROOT)}")
