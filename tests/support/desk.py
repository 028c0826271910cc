"""A staff user at their desk: signed in, with forms posted as a browser would."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from storefront.models import Staff
from storefront.runtime import Runtime
from storefront.services.sessions import start_staff_session
from storefront.services.staff import add_staff

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Desk:
    """A signed-in browser; ``post`` takes the token from the page it is on."""

    def __init__(self, app: Flask, rt: Runtime, role: str) -> None:
        email = f"{role}@shop.example"
        add_staff(rt, email=email, name=role.title(), password="kettle on the hob 9", role=role)
        staff_id = rt.session.scalar(sa.select(Staff.id).where(Staff.email == email))
        rt.session.rollback()
        self._rt, self._staff_id = rt, staff_id or 0
        self.client = app.test_client()
        self.sign_in()

    def sign_in(self) -> None:
        """Sign in anew, as after some days away."""
        secret = start_staff_session(self._rt, self._staff_id, "127.0.0.1", "test")
        with self.client.session_transaction() as session:
            session["staff"] = secret

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, buffered=True, **kwargs)

    def post(
        self, path: str, data: dict[str, Any] | None = None, *, on: str, **kwargs: Any
    ) -> TestResponse:
        """Post ``data`` to ``path`` with the token of the page ``on``."""
        token = _TOKEN.search(self.client.get(on).text)
        assert token, f"{on} has no form"
        return self.client.post(path, data={"csrf_token": token[1], **(data or {})}, **kwargs)
