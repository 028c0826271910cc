"""Run a rig as a command of its own, as ``dev.py rig`` does, and read what it found."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.environment import ROOT, child_environ

#: Seconds after which a run that should take about one minute is ended.
_LONGEST = 600


def run_rig(name: str, report: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Run ``name`` in a process group of its own; returns its outcome and what it printed."""
    command = [sys.executable, "-W", "error", "-m", f"tests.rigs.{name}", "--report", str(report)]
    process = subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env=child_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=_LONGEST)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert report.exists(), printed
    return json.loads(report.read_text(encoding="utf-8")), printed
