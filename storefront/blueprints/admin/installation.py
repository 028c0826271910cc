"""Is this the real shop? A copied database charges and mails nothing until an owner says so.

What every page of the admin warns of is here as well: that, and renewals that wait because they
are late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.auth import limits
from storefront.blueprints.context import runtime, staff_user
from storefront.charges import live_accounts
from storefront.domain import permissions
from storefront.formats import clock_time
from storefront.htmx import go
from storefront.operations.lateness import LATE
from storefront.queries import installation as query
from storefront.queries.lateness import late_renewals
from storefront.queries.worklists import Counted
from storefront.runtime import Runtime
from storefront.security import register_policy, staff
from storefront.services import installation as service
from storefront.services import signin
from storefront.templating import shop_zone, writing_locale

_ACCESS = staff(permissions.SETTINGS_MANAGE)
register_policy({"admin.installation": _ACCESS, "admin.installation_confirm": _ACCESS})


@dataclass(frozen=True, slots=True)
class Alarms:
    """What stands above every page of the admin until somebody has decided it."""

    is_locked: bool
    #: None while nothing was set aside for being late.
    late: Counted | None


def add_installation(bp: Blueprint) -> None:
    """Add the page, its confirmation, and the warnings above every page."""
    bp.add_url_rule("/installation", "installation", installation)
    bp.add_url_rule("/installation", "installation_confirm", confirm, methods=["POST"])
    bp.context_processor(lambda: {"alarms": alarms})


def alarms(late: Counted | None = None) -> Alarms:
    """Return what to warn of; asks the database only where there is a reason to.

    ``late`` is for a page that has counted already what is late.
    """
    rt = runtime()
    if late is None and rt.shop.charging_held_reason == LATE:
        late = late_renewals(rt.session, rt.moment(), rt.shop.currency)
    return Alarms(_is_locked(rt), late)


def installation() -> Response:
    """Show what the database was confirmed for, and what it runs as now."""
    return page("installation/installation", **_context())


def confirm() -> Response:
    """Confirm, with the password of who does it."""
    rt, person = runtime(), staff_user()
    wait = limits.may_try_password(rt, person.email, "staff")
    if wait:
        at = clock_time(wait.astimezone(shop_zone()), writing_locale())
        return _refused(429, _("Too many tries. You can go on at %(time)s.", time=at))
    password = request.form.get("password", "")
    if signin.check_staff_password(rt, person.email, password) != person.id:
        return _refused(422, _("This is not your password"))
    limits.password_was_right(rt, person.email, "staff")
    service.confirm(rt, who())
    return go(url_for("admin.today"), _("Confirmed. Charges and mails go out from here."))


def _refused(status: int, error: str) -> Response:
    context = _context() | {"error": error, "page_has_errors": True}
    return page("installation/installation", status, **context)


def _is_locked(rt: Runtime) -> bool:
    live = live_accounts(rt)
    if not live:
        return False
    known = query.confirmed(rt.session)
    return known is None or (known.site_url, known.accounts) != (rt.settings.base_url, live)


def _context() -> dict[str, Any]:
    rt = runtime()
    return {
        "known": query.confirmed(rt.session),
        "site_url": rt.settings.base_url,
        "accounts": live_accounts(rt),
        "is_locked": _is_locked(rt),
        "error": "",
    }
