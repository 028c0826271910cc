"""How dev.py speaks: short lines, no colour where nobody sees it."""

import os
import sys
from typing import NoReturn

_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def say(text: str) -> None:
    """Print one line about what is being done."""
    print(f"{_paint('·', '36')} {text}", flush=True)


def good(text: str) -> None:
    """Print one line about what went well."""
    print(f"{_paint('✓', '32')} {text}", flush=True)


def bad(text: str) -> None:
    """Print one line about what went wrong."""
    print(f"{_paint('✗', '31')} {text}", flush=True)


def progress(text: str, done: int, whole: int) -> None:
    """Show on one line how far a long work has come; nothing where nobody sees it."""
    if not sys.stdout.isatty():
        return
    line = ""
    if done < whole:
        width = 30 * done // whole
        line = f"{text} {'█' * width}{'░' * (30 - width)} {done}/{whole}"
    # The line is cleared and the cursor left at its start: what comes next writes over it.
    print(f"\r\033[K{line}\r", end="", flush=True)


def fail(text: str) -> NoReturn:
    """Print why it cannot go on, and end."""
    bad(text)
    raise SystemExit(1)


def _paint(text: str, code: str) -> str:
    return f"\033[{code}m{text}\033[0m" if _COLOUR else text
