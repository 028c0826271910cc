"""Compile message catalogues; run inside the environment, which has Babel."""

import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


def compile_one(source: Path) -> None:
    """Write ``source`` (``<language>/LC_MESSAGES/<domain>.po``) as ``.mo`` beside it, or raise."""
    with source.open("rb") as file:
        catalogue = read_po(file, locale=source.parent.parent.name)
    made = source.with_suffix(".mo")
    partial = made.with_suffix(".part")
    with partial.open("wb") as file:
        write_mo(file, catalogue)
    partial.replace(made)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        compile_one(Path(name))
