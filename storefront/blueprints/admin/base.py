"""What the admin's handlers share."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from storefront.blueprints.context import staff_user
from storefront.htmx import done, show
from storefront.operations.audit import Who


def who() -> Who:
    """Return the staff user of this request as the log names them."""
    person = staff_user()
    return Who(person.id, person.public_id, request.remote_addr or "")


def may(permission: str) -> bool:
    """True if this staff user's role has ``permission``."""
    return staff_user().may(permission)


def page(name: str, status: int = 200, **context: Any) -> Response:
    """Answer with the admin page ``folder/name``, or with the partial of the same name."""
    folder, _slash, stem = name.rpartition("/")
    path = f"storefront/admin/{folder}"
    context.setdefault("page_has_errors", status == 422)
    return show(f"{path}/{stem}.html", f"{path}/_{stem}.html", status, may=may, **context)


def saved(message: str, name: str, to: str, **context: Any) -> Response:
    """After a successful POST: the partial of ``folder/name`` with ``message``, or a 303."""
    folder, _slash, stem = name.rpartition("/")
    response = done(message, f"storefront/admin/{folder}/_{stem}.html", to, may=may, **context)
    # A form that may come back with errors is morphed, which keeps what was typed in it. Once
    # it is saved, what the server says stands there instead.
    response.headers["HX-Reswap"] = "outerHTML"
    return response
