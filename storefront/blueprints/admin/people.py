"""Who works here: invite people, choose what they may do, lock them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import SelectField
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import LineField, choices_of
from storefront.blueprints.admin.words import permission_name, role_name
from storefront.blueprints.auth.forms import Email
from storefront.blueprints.context import runtime, staff_user
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.queries.api_tokens import keys_made_by
from storefront.security import register_policy, staff
from storefront.services import staff as service
from storefront.services import two_step

_ACCESS = staff(permissions.STAFF_MANAGE)
_ACTS = ("role", "link", "lock", "unlock", "two_step_off")
register_policy({f"admin.staff_{act}": _ACCESS for act in _ACTS})
register_policy({"admin.staff": _ACCESS, "admin.staff_invite": _ACCESS})
register_policy({"admin.staff_two_step": _ACCESS})


class InviteForm(Form):
    """Somebody new on the staff."""

    name = LineField(
        lazy_gettext("Name"), [InputRequired(lazy_gettext("Enter a name")), Length(max=80)]
    )
    email = Email(lazy_gettext("E-mail"), [InputRequired(lazy_gettext("Enter an e-mail"))])
    role = SelectField(lazy_gettext("Role"))


def add_people(bp: Blueprint) -> None:
    """Add the list of the staff and what can be done to each."""
    bp.add_url_rule("/staff", "staff", people)
    bp.add_url_rule("/staff", "staff_invite", invite, methods=["POST"])
    for act, view in zip(_ACTS, _views(), strict=True):
        bp.add_url_rule(f"/staff/<ref>/{act}", f"staff_{act}", view, methods=["POST"])

    path = "/staff/two-step"
    bp.add_url_rule(path, "staff_two_step", require_two_step, methods=["POST"])


def _views() -> tuple[Callable[[str], Response], ...]:
    return change_role, send_link, lock, unlock, two_step_off


def people() -> Response:
    """Show everybody on the staff and what each role allows."""
    return page("people/people", **_context())


def invite() -> Response:
    """Add somebody and mail them a link to choose a password."""
    form = _form(request.form)
    if not form.validate():
        return page("people/people", 422, **_context(form))
    email = form.email.address
    try:
        service.invite_staff(
            runtime(), who(), email=email, name=form.name.text, role=form.role.data
        )
    except service.StaffExists:
        form.email.errors = [_("Somebody on the staff has this e-mail already")]
        return page("people/people", 422, **_context(form))
    return _saved(
        _("Invited. A link to choose a password is on its way to %(email)s.", email=email)
    )


def change_role(ref: str) -> Response:
    """Give somebody another role."""
    role = request.form.get("role", "")
    return _act(
        ref,
        lambda email: service.change_role(runtime(), email, role, who()),
        lambda name: _("%(name)s has another role now and signs in anew.", name=name),
    )


def send_link(ref: str) -> Response:
    """Mail somebody a new link to choose a password."""
    return _act(
        ref,
        lambda email: service.send_link(runtime(), who(), email),
        lambda name: _("A link to choose a password is on its way to %(name)s.", name=name),
    )


def lock(ref: str) -> Response:
    """Let somebody in no more."""
    return _act(
        ref,
        lambda email: service.disable_staff(runtime(), email, who()),
        lambda name: _locked_out(ref, name),
    )


def _locked_out(ref: str, name: str) -> str:
    """Say so, and that keys they made for programs go on until somebody takes them back."""
    rt = runtime()
    keys = keys_made_by(rt.session, ref)
    rt.session.rollback()
    text = _("%(name)s is signed out and not let in any more.", name=name)
    if not keys:
        return text
    more = ngettext(
        "%(num)s key that they made for a program still works: take it back under Tracking, Keys.",
        "%(num)s keys that they made for programs still work: take them back under Tracking, Keys.",
        keys,
    )
    return f"{text} {more}"


def unlock(ref: str) -> Response:
    """Let somebody in again."""
    return _act(
        ref,
        lambda email: service.enable_staff(runtime(), email, who()),
        lambda name: _("%(name)s may sign in again.", name=name),
    )


def two_step_off(ref: str) -> Response:
    """Let somebody who lost their authenticator in with the password alone."""
    return _act(
        ref,
        lambda _email: two_step.reset_staff(runtime(), who(), ref),
        lambda name: _("%(name)s signs in without a second step now.", name=name),
    )


def require_two_step() -> Response:
    """Ask a second step of everybody on the staff, or leave it to each."""
    is_required = request.form.get("do") == "require"
    two_step.require_of_staff(runtime(), who(), is_required=is_required)
    if is_required:
        return _saved(_("Required. Who has none sets it up before anything else opens."))
    return _saved(_("Left to each of the staff."))


def _act(ref: str, do: Callable[[str], object], say: Callable[[str], str]) -> Response:
    """Do something to one of the staff; what is refused is said above the list."""
    person = next((one for one in service.list_staff(runtime()) if one.public_id == ref), None)
    if person is None:
        abort(404)
    try:
        do(person.email)
    except service.LastOwner:
        problem = _("Somebody has to be able to run the shop: the last owner stays.")
    except service.OwnAccount:
        problem = _("Somebody else has to do this to your own account.")
    except service.UnknownRole:
        problem = _("Choose one of the roles.")
    except service.UnknownStaff:
        problem = _("This changed meanwhile. Look again.")
    else:
        return _saved(say(person.name))
    return page("people/people", 409, problem=problem, **_context())


def _saved(message: str) -> Response:
    return saved(message, "people/people", url_for("admin.staff"), **_context())


def _form(typed: Any = None) -> InviteForm:
    form = InviteForm(typed)
    form.role.choices = _role_choices()
    return form


def _role_choices() -> list[Any]:
    roles = service.list_roles(runtime())
    return choices_of((each.code, role_name(each.code, each.name)) for each in roles)


def _context(form: InviteForm | None = None) -> dict[str, Any]:
    rt = runtime()
    return {
        "form": form or _form(),
        "people": service.list_staff(rt),
        "roles": service.list_roles(rt),
        "me": staff_user().public_id,
        "role_name": role_name,
        "permission_name": permission_name,
        "is_required": rt.shop.staff_two_step,
    }
