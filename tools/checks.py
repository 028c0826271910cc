"""The checks that need no test: style, imports, types, templates."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tools.console import bad, good, say
from tools.environment import PYTHON, ROOT, child_environ, tool


@dataclass(frozen=True)
class Check:
    """A command that ends with 0 when all is well."""

    name: str
    command: tuple[str, ...]


LINT = (
    Check("ruff check", (tool("ruff"), "check", "--quiet", ".")),
    Check("ruff format", (tool("ruff"), "format", "--check", "--quiet", ".")),
    Check("import contracts", (tool("lint-imports"), "--no-cache", "--no-logo")),
    Check("templates", (tool("djlint"), "--lint", "--quiet", "storefront", "plugins")),
)
TYPES = (Check("types", (PYTHON, "-m", "mypy")),)
#: Also compiles every file of tests, beside the types and once: from a fresh checkout each of the
#: test processes would do that for itself, at the same moment.
COLLECTED = (Check("tests found", (PYTHON, "-m", "pytest", "--collect-only", "-qq", "-n0")),)


def run(*checks: Check) -> list[str]:
    """Run ``checks`` two at a time, print what the failing ones say, return their names."""
    say("checking: " + ", ".join(check.name for check in checks))
    # The slowest (types) first, so that the others run beside it.
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(_run, sorted(checks, key=lambda check: check not in TYPES)))
    failed = []
    for check, seconds, process in results:
        if process.returncode == 0:
            good(f"{check.name} ({seconds:.0f} s)")
            continue
        failed.append(check.name)
        print(process.stdout, flush=True)
        bad(f"{check.name} (exit code {process.returncode})")
    return failed


def fix() -> None:
    """Repair what the style checks can repair by themselves."""
    subprocess.run([tool("ruff"), "check", "--fix", "--quiet", "."], cwd=ROOT, check=False)
    subprocess.run([tool("ruff"), "format", "--quiet", "."], cwd=ROOT, check=False)


def _run(check: Check) -> tuple[Check, float, subprocess.CompletedProcess[str]]:
    started = time.monotonic()
    process = subprocess.run(
        check.command,
        cwd=ROOT,
        env=child_environ(),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return check, time.monotonic() - started, process
