"""The page on which somebody sets up a second step, in the account and in the admin.

One address: which part is shown hangs on how far it is, and each button names what it ``do``es.
Whoever begins, makes new recovery codes or switches it off proves themselves anew, because an
open browser is not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Response, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import PasswordField, StringField

from storefront.blueprints.auth import limits
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain.two_step import NotBegun, WrongSecondStep
from storefront.htmx import go
from storefront.qr_pictures import qr_svg
from storefront.queries.two_step import TwoStepState, two_step_of
from storefront.services import two_step
from storefront.services.two_step import Person


class TwoStepForm(Form):
    """What is typed on the page; each part of it uses one field."""

    present = PasswordField(lazy_gettext("Your password"))
    #: Where there is no password.
    mailed = StringField(
        lazy_gettext("Code from the e-mail"),
        filters=[lambda text: "".join((text or "").split()).replace("-", "")],
    )
    code = StringField(lazy_gettext("Code of your app"))


@dataclass(frozen=True, slots=True)
class TwoStepDesk:
    """Whose page it is and what differs between customers and staff."""

    person: Person
    email: str
    has_password: bool
    url: str
    #: Renders the page: status, and what it needs.
    show: Callable[..., Response]
    #: Says beside the field what is wrong with the proof; 0 when it is right.
    prove: Callable[[TwoStepForm], int]
    #: Mails a code to who has no password.
    mail_code: Callable[[], Response]
    #: Ends all other sessions.
    end_others: Callable[[], object]

    def answer(self) -> Response:
        """Show the page, or do what its button says."""
        form = TwoStepForm(request.form)
        if request.method == "GET":
            return self.page(form)
        do = request.form.get("do", "")
        if do == "mail" and not self.has_password:
            return self.mail_code()
        if do == "confirm":
            return self._confirm(form)
        acts = {"begin": self._begin, "renew": self._renew, "off": self._off, "stop": self._stop}
        if do not in acts:
            return go(self.url)
        status = 0 if do == "stop" else self.prove(form)
        return self.page(form, status) if status else acts[do]()

    def page(
        self, form: TwoStepForm, status: int = 200, codes: Sequence[str] = (), told: str = ""
    ) -> Response:
        """Show how far it is; ``codes`` are recovery codes, shown this once, below ``told``."""
        rt = runtime()
        rt.session.rollback()
        state = self.state()
        setup = two_step.setup_of(rt, self.person, self.email) if state.is_begun else None
        picture = qr_svg(setup.address, _("QR code for your app")) if setup else ""
        return self.show(
            status,
            form=form,
            state=state,
            setup=setup,
            picture=picture,
            codes=codes,
            told=told,
            has_password=self.has_password,
            to=self.url,
            email=self.email,
            page_has_errors=status != 200,
        )

    def state(self) -> TwoStepState:
        """Return how far it is."""
        mine = {self.person.kind: self.person.id}
        return two_step_of(runtime().session, **mine)

    def _begin(self) -> Response:
        try:
            two_step.begin(runtime(), self.person)
        except NotBegun:
            return go(self.url, _("It is on already."))
        return go(self.url)

    def _stop(self) -> Response:
        if self.state().is_begun:
            runtime().session.rollback()
            two_step.stop(runtime(), self.person)
        return go(self.url, _("Nothing was switched on."))

    def _confirm(self, form: TwoStepForm) -> Response:
        rt = runtime()
        if limits.may_try_second_step(rt, self.person.kind, self.person.id):
            form.code.errors = [_("Too many tries. Wait ten minutes and go on.")]
            return self.page(form, 429)
        try:
            codes = two_step.confirm(rt, self.person, form.code.data or "")
        except WrongSecondStep:
            form.code.errors = [_("That is not the code your app shows now. Try the next one")]
            return self.page(form, 422)
        except NotBegun:
            return go(self.url)
        limits.second_step_was_right(rt, self.person.kind, self.person.id)
        self.end_others()
        told = _("It is on. All other browsers are signed out.")
        return self.page(TwoStepForm(), codes=codes, told=told)

    def _renew(self) -> Response:
        try:
            codes = two_step.renew_codes(runtime(), self.person)
        except NotBegun:
            return go(self.url)
        told = _("The earlier recovery codes open nothing any more.")
        return self.page(TwoStepForm(), codes=codes, told=told)

    def _off(self) -> Response:
        two_step.switch_off(runtime(), self.person)
        return go(self.url, _("Two-step sign-in is off."))
