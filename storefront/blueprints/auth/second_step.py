"""Between the first proof and the session: the code of an authenticator, where one is set up.

Who has given the first proof waits in our signed cookie, ten minutes at most; nothing of the
account opens before the code is right.
"""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, request, session, url_for
from flask_babel import gettext as _

from storefront.blueprints.auth import limits
from storefront.blueprints.auth.forms import SecondStepForm
from storefront.blueprints.context import runtime
from storefront.domain.two_step import WrongSecondStep
from storefront.formats import clock_time
from storefront.htmx import go, show
from storefront.security import safe_target
from storefront.services.two_step import Person, is_asked, take_second_step
from storefront.templating import shop_zone, writing_locale

Kind = Literal["customer", "staff"]

#: Seconds for which the first proof stands.
LASTS = 600
_WAITING = {"customer": "second_step", "staff": "staff_second_step"}
_START = {"customer": "auth.sign_in", "staff": "admin.sign_in"}
_PAGE = {"customer": "auth.second_step", "staff": "admin.second_step"}


def ask_second_step(kind: Kind, person_id: int, method: str) -> Response | None:
    """Lead to the page of the second step; None for who has none, and is in at once."""
    rt = runtime()
    if not is_asked(rt, Person(kind, person_id)):
        return None
    session[_WAITING[kind]] = [person_id, method, int(rt.now().timestamp())]
    return go(url_for(_PAGE[kind], next=safe_target(request.values.get("next"))))


def waiting(kind: Kind) -> tuple[int, str] | None:
    """Return whose second step this browser waits for, and how the first was done."""
    found = session.get(_WAITING[kind])
    if not found:
        return None
    person_id, method, since = found
    age = runtime().now().timestamp() - since
    return (person_id, method) if 0 <= age < LASTS else None


def forget_waiting(kind: Kind) -> None:
    """Whoever waited is in, or begins anew."""
    session.pop(_WAITING[kind], None)


def too_late(kind: Kind) -> Response:
    """Lead to the beginning: nobody waits, or for too long."""
    forget_waiting(kind)
    text = _("That took too long. Sign in again.")
    return go(url_for(_START[kind], next=safe_target(request.values.get("next"))), text)


def second_step_page(kind: Kind, form: SecondStepForm, status: int = 200) -> Response:
    """Show the field."""
    values: dict[str, Any] = {
        "form": form,
        "to": url_for(_PAGE[kind]),
        "again": url_for(_START[kind]),
        "next": safe_target(request.values.get("next")),
        "page_has_errors": status != 200,
    }
    folder = "storefront/auth"
    return show(f"{folder}/second_step.html", f"{folder}/_second_step.html", status, **values)


def refused_second_step(kind: Kind, person_id: int, form: SecondStepForm) -> Response | None:
    """Take what was typed; None when it was right, else the page that says what is wrong."""
    rt = runtime()
    if not form.validate():
        return second_step_page(kind, form, 422)
    wait = limits.may_try_second_step(rt, kind, person_id)
    if wait:
        at = clock_time(wait.astimezone(shop_zone()), writing_locale())
        form.code.errors = [_("Too many tries. You can go on at %(time)s.", time=at)]
        return second_step_page(kind, form, 429)
    try:
        take_second_step(rt, Person(kind, person_id), form.code.data or "")
    except WrongSecondStep:
        form.code.errors = [_("That code does not match, or was used. Wait for the next one")]
        return second_step_page(kind, form, 422)
    limits.second_step_was_right(rt, kind, person_id)
    return None
