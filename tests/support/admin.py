"""A staff user's browser, for tests of the admin's pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.sessions import start_staff_session
from storefront.services.staff import add_staff
from storefront.testing.repeating import repeatable

PASSWORD = "a long password"
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


@repeatable
def make_staff(rt: Runtime, role: str = "owner") -> Who:
    """Add a staff user and return them as the log names them."""
    ref = add_staff(
        rt, email=f"{role}@shop.example", name=f"Mia {role}", password=PASSWORD, role=role
    )
    from storefront.models import Staff

    key = rt.session.query(Staff.id).filter_by(public_id=ref).scalar()
    rt.session.rollback()
    return Who(key, ref, "192.0.2.1")


#: What the browser asks for, so that a test reads English whatever the shop's language.
ENGLISH = {"Accept-Language": "en"}


@dataclass
class Desk:
    """A signed-in browser that sends forms as a person would: with the token of their page."""

    client: FlaskClient
    token: str = ""

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        headers = {**ENGLISH, **kwargs.pop("headers", {})}
        answer = self.client.get(path, headers=headers, **kwargs)
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
        self.token = found[1] if found else self.token
        return answer

    def sign_in(self, rt: Runtime, staff_id: int) -> None:
        """Be signed in from here on; the page on which people do so is another test's matter."""
        secret = start_staff_session(rt, staff_id, "127.0.0.1", "test")
        with self.client.session_transaction() as session:
            session["staff"] = secret

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, *, partial: bool = False
    ) -> TestResponse:
        if not self.token:
            self.get("/admin/")
        return self.client.post(
            path,
            data={"csrf_token": self.token, **(fields or {})},
            headers={**ENGLISH, **(PARTIAL if partial else {})},
        )


def desk(app: Flask, rt: Runtime, role: str = "owner") -> Desk:
    """Sign a new staff user of ``role`` in and return their browser."""
    who = make_staff(rt, role)
    browser = Desk(app.test_client())
    browser.sign_in(rt, who.id)
    return browser
