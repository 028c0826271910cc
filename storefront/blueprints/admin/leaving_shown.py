"""Why people left, beside their subscriptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from storefront.blueprints.context import runtime
from storefront.blueprints.leaving_words import reason_word
from storefront.operations.leaving import reasons_of

#: Pills of subscriptions that were cancelled.
_LEFT = ("ending", "canceled")


def reasons_shown(subscriptions: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what a page needs that says why; ``subscriptions`` are public id and pill of each."""
    left = [ref for ref, state in subscriptions if state in _LEFT]
    return {"reasons": reasons_of(runtime().session, left), "reason_word": reason_word}
