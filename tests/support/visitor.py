"""A browser that fills in the forms of our pages, as a plain visit or as the page's script does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.runtime import Runtime
from storefront.services.signin import change_password
from storefront.testing import factories as make
from storefront.testing.repeating import repeatable

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
PASSWORD = "a good password"


@dataclass
class Visitor:
    """One browser; every post carries the token of the page it saw last."""

    client: FlaskClient
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, app: Flask) -> Visitor:
        return cls(app.test_client())

    def get(self, path: str, **headers: str) -> TestResponse:
        return self._read(self.client.get(path, headers={**self.headers, **headers}))

    def post(self, path: str, *, htmx: bool = False, **data: str) -> TestResponse:
        if not self.token:
            self.get("/sign-in")
        headers = {**self.headers, **(HTMX if htmx else {})}
        values = {"csrf_token": self.token, **data}
        return self._read(self.client.post(path, data=values, headers=headers))

    def sign_in(self, email: str, password: str = PASSWORD) -> Visitor:
        """Sign in as a customer with a password. Raises ``AssertionError`` when refused."""
        answer = self.post("/sign-in/password", email=email, password=password)
        assert answer.status_code == 303, answer.text
        self.get("/account/security")
        return self

    def _read(self, response: TestResponse) -> TestResponse:
        if response.mimetype == "text/html":
            found = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
            self.token = found[1] if found else self.token
        return response


@repeatable
def customer_with_password(rt: Runtime, email: str) -> int:
    """Return the key of a new customer who signs in with ``PASSWORD``."""
    made = make.make_customer(rt, email=email)
    change_password(rt, made.id, "", PASSWORD)
    return made.id


def text_of(page: str) -> str:
    """Return what stands on a page, in one line."""
    bare = re.sub(r"<(svg|head)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare)).replace(" ,", ",").replace(" .", ".")
