"""The browser's own no to being followed, Global Privacy Control: read, honoured and shown.

Source: the Global Privacy Control specification; California Code of Regulations, title 11, section
7025; docs/decisions/0255-an-opt-out-by-the-browser.md.
"""

from __future__ import annotations

from flask import request

#: What of a request a page depends on, for caches.
HEADER = "Sec-GPC"


def opted_out() -> bool:
    """Whether this visitor's browser says no; the only value the specification knows is ``1``."""
    return request.headers.get(HEADER) == "1"
