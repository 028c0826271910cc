"""What the source of the mails must keep to, in whatever branch a sentence stands.

The mails themselves are read in ``tests/web/test_pseudo_language.py``; here are the branches that
no example reaches, and the parts of what is queued that nobody has sorted yet.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import storefront
from storefront.merchant_texts import NAMES_IN_MAILS

ROOT = Path(storefront.__file__).parent
SOURCES = [*sorted(ROOT.glob("mails*.py")), ROOT / "mail_links.py"]
#: Functions that read of a payload what their caller's mail is about.
READERS = [ROOT / "queries" / "mails.py"]
#: Parts of payloads that hold no name of a plan or product: references, days, sums, counts, codes,
#: and what a person typed. A new part is put here, or into ``NAMES_IN_MAILS``.
NO_NAMES = {
    *("addition", "attempt", "batch", "box", "credit_note", "cycle", "declaration", "dispute"),
    *("first", "gift", "inquiry", "invoice", "method", "order", "place", "subscription"),
    *("subscriptions", "staff", "tracking_number", "sha256", "nonce", "next", "number"),
    *("ends_on", "on", "received_at", "ship_from", "ship_on", "ship_to", "until", "until_on"),
    *("was_on", "amount_minor", "credit_minor", "currency", "dropped_minor", "minor"),
    *("new_minor", "old_minor", "stays_due", "stays_minor", "total", "boxes", "boxes_owed"),
    *("min_boxes", "pieces", "by_bank", "can_choose", "in_flight", "is_on", "is_taken"),
    *("action", "for", "kind", "locale", "origin", "reason", "state", "way", "carrier"),
    # Written by a person, in whatever language they chose.
    *("email", "text", "to"),
}
#: At least two words, so no code, no address and no shape of a date.
_SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
_TRANSLATED = {"_", "ngettext"}


def _parts(source: str) -> set[str]:
    """Return the names of what is read of a payload."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.GeneratorExp):  # payload[name] for name in (…)
            read = {getattr(one, "id", "") for one in ast.walk(node.elt)}
            names = ast.walk(node.generators[0].iter) if "payload" in read else ()
            found |= {one.value for one in names if isinstance(one, ast.Constant)}
        match node:
            case ast.Subscript(value=of, slice=ast.Constant(value=str(part))):
                pass
            case ast.Call(
                func=ast.Attribute(value=of, attr="get"), args=[ast.Constant(value=str(part)), *_]
            ):
                pass
            case ast.Compare(left=ast.Constant(value=str(part)), ops=[ast.In()], comparators=[of]):
                pass
            case _:
                continue
        if getattr(of, "id", getattr(of, "attr", "")) == "payload":
            found.add(part)
    return found


def _bare(source: str) -> set[str]:
    """Return the sentences that are not given to a function that translates."""
    tree = ast.parse(source)
    fine = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _TRANSLATED:
            fine |= {id(inner) for given in node.args for inner in ast.walk(given)}
        elif isinstance(node, ast.Expr):
            fine.add(id(node.value))  # what a module or function says of itself
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in fine
        and _SENTENCE.search(node.value)
    }


def _read() -> Iterator[tuple[str, str]]:
    for path in SOURCES:
        yield path.name, path.read_text("utf-8")


def test_whoever_reads_a_new_part_of_a_payload_says_whether_it_holds_names() -> None:
    parts = set().union(*(_parts(path.read_text("utf-8")) for path in [*SOURCES, *READERS]))
    unsorted = parts - NO_NAMES - set(NAMES_IN_MAILS)
    assert not unsorted, f"in NAMES_IN_MAILS or NO_NAMES? {sorted(unsorted)}"
    assert not NO_NAMES & set(NAMES_IN_MAILS)
    # What nothing reads any more is taken from both lists.
    assert not {*NO_NAMES, *NAMES_IN_MAILS} - parts


def test_no_sentence_of_a_mail_is_written_past_the_catalogues() -> None:
    bare = {(name, text) for name, source in _read() for text in _bare(source)}
    assert not bare


def test_both_kinds_of_fault_are_noticed() -> None:
    source = '''
def box(writer):
    """Say something."""
    payload = writer.delivery.payload
    words = {"lost": "It was lost"}
    days = (payload[name] for name in ("first", "last"))
    if "gift" in payload and payload.get("plan"):
        return Words(_("All is well"), words[payload["reason"]], other["shelf"])
'''
    assert _parts(source) == {"first", "gift", "last", "plan", "reason"}
    assert _bare(source) == {"It was lost"}
