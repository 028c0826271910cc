"""End a contract or withdraw from it without signing in, with a receipt that can be kept.

Looking changes nothing. What is typed is asked for on one page; the button that declares it is on
that page, or after one that shows it once more. The answer never says whether there is such a
contract. Source: docs/decisions/0211-ending-a-contract-without-signing-in.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import HiddenField, RadioField, StringField, TextAreaField, ValidationError
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from storefront.blueprints.auth.forms import Email
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line, read_written_day, several_lines
from storefront.domain.declarations import DeclarationKind, has_review
from storefront.domain.errors import DomainError
from storefront.htmx import go, show
from storefront.logins import current_customer
from storefront.operations.secrets import RECEIPT, action_token, new_nonce, read_action_token
from storefront.queries.declarations import Said, said_of
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services import cancellations, declarations
from storefront.services.declarations import Received, Statement
from storefront.templating import locale_code

bp = Blueprint("contracts", __name__, url_prefix="/contracts")
register_policy(
    {f"contracts.{name}": PUBLIC for name in ("end", "withdraw", "received", "receipt_file")}
)
_FOLDER = "storefront/contracts"
#: Declarations from one place, and to one e-mail, in an hour: each sends a mail.
_FROM_ONE_PLACE, _TO_ONE_EMAIL, _HOUR = 20, 6, 3600
#: How long the page of a receipt can be opened; the mail stays.
_SHOWN = timedelta(days=2)


class WithdrawalForm(Form):
    """Who, which contract, and where the receipt goes; law allows to ask for no more."""

    once = HiddenField(filters=[lambda text: (text or "")[:64]])
    name = StringField(
        lazy_gettext("Your name"),
        [InputRequired(lazy_gettext("Enter your name")), Length(max=120)],
        filters=[one_line],
    )
    email = Email(lazy_gettext("E-mail"), [InputRequired(lazy_gettext("Enter your e-mail"))])
    contract = StringField(
        lazy_gettext("Which contract?"),
        [InputRequired(lazy_gettext("Say which contract: its name or a number")), Length(max=200)],
        filters=[one_line],
    )


class EndForm(WithdrawalForm):
    """An ordinary end or one for cause, and from when."""

    how = RadioField(
        lazy_gettext("How does it end?"),
        choices=[
            SelectChoice("ordinary", lazy_gettext("Ordinary: with the notice that holds")),
            SelectChoice("cause", lazy_gettext("For cause: at once, with a reason")),
        ],
        default="ordinary",
    )
    reason = TextAreaField(
        lazy_gettext("Reason, if it ends for cause"),
        [Length(max=1500)],
        filters=[several_lines],
    )
    wished_on = StringField(lazy_gettext("When?"), filters=[one_line])

    def validate_reason(self, field: TextAreaField) -> None:
        if self.how.data == "cause" and not field.data:
            raise ValidationError(_("Write the reason for which it ends"))

    def validate_wished_on(self, field: StringField) -> None:
        if field.data and read_written_day(field.data) is None:
            raise ValidationError(_("Enter a day like 2027-03-12 or 12.3.2027, or leave it empty"))


@bp.route("/end", methods=["GET", "POST"])
def end() -> Response:
    """End a contract."""
    return _declare(DeclarationKind.END)


@bp.route("/withdraw", methods=["GET", "POST"])
def withdraw() -> Response:
    """Withdraw from a contract."""
    return _declare(DeclarationKind.WITHDRAW)


@bp.get("/received/<token>")
def received(token: str) -> Response:
    """Show what was declared, with the instant it came, to keep or to print."""
    said = _said(token)
    return _page("received", said=said, token=token, instant=_instant(said))


@bp.get("/received/<token>/file")
def receipt_file(token: str) -> Response:
    """Give the receipt as a file of text."""
    said = _said(token)
    text = render_template(f"{_FOLDER}/receipt.txt", said=said, instant=_instant(said))
    response = make_response(text)
    response.mimetype = "text/plain"
    name = f"{said.kind.value}-{said.received_at:%Y%m%dT%H%M%S}Z.txt"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _declare(kind: DeclarationKind) -> Response:
    make_form = EndForm if kind is DeclarationKind.END else WithdrawalForm
    if request.method == "GET":
        return _form_page(kind, make_form(data=_known()))
    form = make_form(request.form)
    step = request.form.get("step", "")
    if step == "edit":
        return _form_page(kind, form)
    if not form.validate():
        return _form_page(kind, form, 422)
    if step != "send":
        return _page("review", kind=kind, form=form, action=url_for(request.endpoint or ""))
    if _is_too_often(form):
        problem = _("That was too often. Nothing was sent. Try again in an hour, or write to us.")
        return _form_page(kind, form, 429, problem)
    got = _take_down(kind, form)
    token = _token(got)
    return go(url_for("contracts.received", token=token))


def _take_down(kind: DeclarationKind, form: WithdrawalForm) -> Received:
    """Store it; where the contract is known for sure, cancel as its account does."""
    rt = runtime()
    said = Statement(
        kind,
        form.once.data or new_nonce(),
        form.name.data or "",
        form.email.address,
        form.contract.data or "",
        locale_code(),
    )
    if isinstance(form, EndForm):
        said = Statement(
            kind,
            said.once,
            said.name,
            said.email,
            said.contract,
            said.locale,
            form.how.data == "cause",
            form.reason.data or "",
            read_written_day(form.wished_on.data),
        )
    got = declarations.receive(rt, said)
    if got.to_cancel is None:
        return got
    try:
        quote = cancellations.quote_cancellation(rt, *got.to_cancel)
        if said.wished_on is None or said.wished_on <= quote.ends_on:
            done = cancellations.cancel(rt, *got.to_cancel)
            declarations.note_ended(rt, got.ref, done.ends_on)
    except DomainError:
        # Stored, acknowledged, and before staff: the page says the same as for any other.
        rt.session.rollback()
    return got


def _known() -> dict[str, Any]:
    """Return what need not be typed: who is signed in, and the number of a mail's link."""
    me = current_customer()
    known = {"once": new_nonce(), "contract": one_line(request.args.get("contract"))[:200]}
    return {**known, "name": me.name, "email": me.email} if me else known


def _is_too_often(form: WithdrawalForm) -> bool:
    rt = runtime()
    here = throttle(rt, "declare_ip", request.remote_addr or "", _FROM_ONE_PLACE, _HOUR)
    return bool(here or throttle(rt, "declare_mail", form.email.address, _TO_ONE_EMAIL, _HOUR))


def _token(got: Received) -> str:
    rt = runtime()
    until = int((got.at + _SHOWN).timestamp())
    return action_token(rt.settings.secret_key, RECEIPT, got.ref, until)


def _said(token: str) -> Said:
    rt = runtime()
    found = read_action_token(rt.settings.secret_keys, RECEIPT, token[:200])
    if found is None or rt.now().timestamp() >= found[1]:
        abort(404)
    return said_of(rt.session, found[0]) or abort(404)


def _instant(said: Said) -> str:
    """Return when it came to the second, with the distance from UTC, for whoever keeps it."""
    came = said.received_at.astimezone(runtime().shop.zone_info)
    return came.isoformat(sep=" ", timespec="seconds")


def _form_page(
    kind: DeclarationKind, form: WithdrawalForm, status: int = 200, problem: str = ""
) -> Response:
    review = has_review(kind, locale_code())
    return _page(
        "ask",
        status,
        kind=kind,
        form=form,
        problem=problem,
        review=review,
        action=url_for(request.endpoint or ""),
    )


def _page(name: str, status: int = 200, **context: Any) -> Response:
    context.setdefault("page_has_errors", status == 422)
    return show(f"{_FOLDER}/{name}.html", f"{_FOLDER}/_{name}.html", status, **context)
