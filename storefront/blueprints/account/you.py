"""What a customer says of themselves: name, language, and the e-mail that signs them in."""

from __future__ import annotations

from flask import Response, request, session, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import PasswordField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.proof import wrong_code, wrong_password
from storefront.blueprints.auth import limits
from storefront.blueprints.auth.forms import CodeForm, Email
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.preferences import keep_language
from storefront.htmx import go
from storefront.queries.profile import has_password
from storefront.services import signin
from storefront.services import you as service
from storefront.templating import LANGUAGES

#: Where a new address waits for its code: our signed cookie, with whose it is to be.
_ASKED = "new_email"


class YouForm(Form):
    """Name and language."""

    name = StringField(
        lazy_gettext("Full name"),
        [
            InputRequired(lazy_gettext("Enter your name")),
            Length(max=80, message=lazy_gettext("Name must be 80 characters or fewer")),
        ],
        filters=[lambda text: " ".join((text or "").split())],
    )
    locale = SelectField(lazy_gettext("Language of mails and pages"))


class EmailForm(Form):
    """A new address, and the proof that it is its owner who asks."""

    email = Email(lazy_gettext("New e-mail"), [InputRequired(lazy_gettext("Enter your e-mail"))])
    present = PasswordField(lazy_gettext("Your password"))
    #: Where there is no password.
    mailed = StringField(
        lazy_gettext("Code from the e-mail"),
        filters=[lambda text: "".join((text or "").split()).replace("-", "")],
    )


def _form(typed: bool) -> YouForm:
    me = customer()
    form = YouForm(request.form) if typed else YouForm(name=me.name, locale=me.locale)
    choices = [SelectChoice("", _("The shop's language"))]
    form.locale.choices = choices + [SelectChoice(code, name) for code, name in LANGUAGES]
    return form


@bp.route("/profile", methods=["GET", "POST"])
def you() -> Response:
    """Show name, language and e-mail; keep the first two."""
    form = _form(request.method == "POST")
    if request.method == "GET":
        return page("you", form=form)
    if not form.validate():
        return page("you", 422, form=form)
    locale = form.locale.data or ""
    service.save_profile(runtime(), customer().id, name=form.name.data or "", locale=locale)
    answer = go(url_for("account.you"), _("Saved."))
    keep_language(answer, locale)
    return answer


@bp.route("/profile/email", methods=["GET", "POST"])
def email() -> Response:
    """Change the e-mail: who asks proves themselves, then the new address is proved by a code."""
    rt, me = runtime(), customer()
    by_password = has_password(rt.session, me.id)
    rt.session.rollback()
    do = request.form.get("do", "") if request.method == "POST" else ""
    if do == "mail" and not by_password:
        return _mail_code()
    if do == "ask":
        return _ask(EmailForm(request.form), by_password=by_password)
    if do == "again":
        session.pop(_ASKED, None)
        return go(url_for("account.email"))
    if do == "code" and _asked():
        return _take(CodeForm(request.form), _asked())
    return _email(EmailForm(), CodeForm(), by_password=by_password)


def _asked() -> str:
    """Return the address that waits for its code; empty when none of this customer's does."""
    whose, address = session.get(_ASKED) or ("", "")
    return address if whose == customer().public_id else ""


def _ask(form: EmailForm, *, by_password: bool) -> Response:
    rt, me = runtime(), customer()
    if not form.validate():
        return _email(form, CodeForm(), 422, by_password=by_password)
    new = form.email.address
    if new == me.email:
        form.email.errors = [_("That is your e-mail already")]
        return _email(form, CodeForm(), 422, by_password=by_password)
    status = wrong_password(form.present) if by_password else wrong_code(form.mailed, signin.EMAIL)
    if status:
        return _email(form, CodeForm(), status, by_password=by_password)
    if limits.may_ask_for_mail(rt, new):
        form.email.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return _email(form, CodeForm(), 429, by_password=by_password)
    service.ask_for_email(rt, me.id, new)
    session[_ASKED] = [me.public_id, new]
    return go(url_for("account.email"))


def _take(form: CodeForm, new: str) -> Response:
    rt, me = runtime(), customer()
    if not form.validate():
        return _email(EmailForm(), form, 422)
    if limits.may_try_code(rt, me.email):
        form.code.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return _email(EmailForm(), form, 429)
    typed = service.new_email_code(form.code.data or "", new)
    try:
        signin.take_code(rt, me.email, typed, service.NEW_EMAIL)
        service.change_email(rt, me.id, new, keep=me.session_id)
    except (signin.CodeRefused, service.EmailTaken):
        form.code.errors = [_("That is not the code, or it is older than ten minutes")]
        return _email(EmailForm(), form, 422)
    session.pop(_ASKED, None)
    text = _("Your e-mail is %(email)s now. All other browsers are signed out.", email=new)
    return go(url_for("account.you"), text)


def _mail_code() -> Response:
    rt, me = runtime(), customer()
    back = url_for("account.email")
    if limits.may_ask_for_mail(rt, me.email):
        return go(back, _("Too many tries. Wait ten minutes and go on."))
    signin.request_link(rt, me.email, purpose=signin.EMAIL)
    text = _("We have mailed a code to %(email)s. It works for ten minutes.", email=me.email)
    return go(back, text)


def _email(
    form: EmailForm, code_form: CodeForm, status: int = 200, *, by_password: bool = True
) -> Response:
    return page(
        "email",
        status,
        form=form,
        code_form=code_form,
        asked=_asked(),
        has_password=by_password,
        page_has_errors=status != 200,
    )
