"""Show that it is still you, before something that would lock you out: a password or a code."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _

from storefront.blueprints.auth import limits
from storefront.blueprints.context import customer, runtime
from storefront.services import signin


def wrong_password(field: Any) -> int:
    """Say beside ``field`` what is wrong with the password; the answer's status, 0 when right."""
    rt, me = runtime(), customer()
    if limits.may_try_password(rt, me.email):
        field.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return 429
    if signin.check_password(rt, me.email, field.data or "") is None:
        field.errors = [_("That is not your present password")]
        return 422
    limits.password_was_right(rt, me.email)
    return 0


def wrong_code(field: Any, purpose: str) -> int:
    """Say beside ``field`` what is wrong with a mailed code; the answer's status, 0 when right."""
    rt, me = runtime(), customer()
    if limits.may_try_code(rt, me.email):
        field.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return 429
    try:
        signin.take_code(rt, me.email, field.data or "", purpose)
    except signin.CodeRefused:
        field.errors = [_("That is not the code, or it is older than ten minutes")]
        return 422
    return 0
