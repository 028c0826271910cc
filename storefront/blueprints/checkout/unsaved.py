"""What was typed on step 2 and could not be taken: there again when the page is loaded anew.

In our own signed cookie, for the order it was typed for and until the step is through. Neither
what somebody does not tolerate nor its agreement: that is data about health.
"""

from __future__ import annotations

import json
from typing import Any

from flask import request, session
from werkzeug.datastructures import MultiDict

_KEY = "unsaved"
#: Characters of JSON; a cookie holds four thousand with everything else that is in it.
_LARGEST = 1800
_LEFT_OUT = {"csrf_token", "avoid", "agree", "code"}


def keep(key: str) -> None:
    """Keep what this request typed on its step of the order ``key``; too much of it is left."""
    fields = [
        [name, value]
        for name, value in request.form.items(multi=True)
        if value and name not in _LEFT_OUT
    ]
    session.pop(_KEY, None)
    if fields and len(json.dumps(fields)) <= _LARGEST:
        session[_KEY] = {"order": key, "on": request.path, "fields": fields}


def kept(key: str) -> MultiDict[str, str] | None:
    """Return what was typed on this very page of the order ``key``, if it is not through yet."""
    found: dict[str, Any] = session.get(_KEY) or {}
    if (found.get("order"), found.get("on")) != (key, request.path):
        return None
    return MultiDict([(name, value) for name, value in found["fields"]])


def forget() -> None:
    """Let go of what was typed: the step is through."""
    if _KEY in session:
        session.pop(_KEY)
