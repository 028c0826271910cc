"""A test browser whose requests see nothing of the test's own application context.

Flask pushes no context of its own for a request when one of the same application is active.
Then the request shares the test's database session and its ``g``, where the signed-in customer
is remembered: an anonymous second browser is let in, and bugs of both kinds stay hidden.
"""

from __future__ import annotations

from contextvars import Context
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Browser(FlaskClient):
    """Like Flask's test client; each request runs as if nothing else did.

    What the test has written must be committed before the request, as in real life. Used as a
    context manager it keeps Flask's behaviour, because the request's context is then wanted.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if self.preserve_context:
            return super().open(*args, **kwargs)
        return Context().run(super().open, *args, **kwargs)
