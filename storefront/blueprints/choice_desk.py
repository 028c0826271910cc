"""What happens when a choice of contents is sent, for the account's page and the staff's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import abort, request

from storefront.blueprints import choosing
from storefront.blueprints.choosing import Form, filled_form, stored_form
from storefront.blueprints.context import runtime
from storefront.blueprints.health_words import given_now, missing_words
from storefront.operations.audit import Who
from storefront.queries.choices import ChoicePage, choice_page
from storefront.services import choices


@dataclass(frozen=True, slots=True)
class Answer:
    """What is shown now; ``done`` says what was saved, and leads away."""

    page: ChoicePage
    form: Form
    status: int = 200
    #: Allergies were noted on the way; the choice itself is still open.
    is_noted: bool = False
    done: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """One box of one customer; ``who``: staff sit at it."""

    customer_id: int
    subscription: str
    cycle: str
    who: Who | None = None

    def look(self) -> Answer:
        """Return the pool with what is stored."""
        page = self._page()
        return Answer(page, stored_form(page))

    def act(self) -> Answer:
        """Do what the request asks for; nothing that was typed is lost."""
        page, typed = self._page(), choosing.typed_picks()
        form = filled_form(page, typed)
        action = "show" if choosing.is_stepping() else request.form.get("do", "")
        if not page.is_open:
            return Answer(page, form, 409)
        if action == "answer":
            return self._note(typed)
        if action not in {"save", "leave"}:
            return Answer(page, form)
        if action == "save" and form.summary:
            return Answer(page, form, 422)
        return self._save(action, typed)

    def _page(self) -> ChoicePage:
        rt = runtime()
        rt.session.rollback()
        page = choice_page(
            rt.session,
            self.customer_id,
            self.subscription,
            self.cycle,
            rt.moment(),
            by_staff=self.who is not None,
        )
        rt.session.rollback()
        if page is None:
            abort(404)
        return page

    def _note(self, typed: dict[str, str]) -> Answer:
        avoided = request.form.getlist("avoid")
        given = None
        if self.who is None:
            if avoided and "agree" not in request.form:
                form = filled_form(self._page(), typed)
                return Answer(self._page(), replace(form, unagreed=missing_words()), 422)
            given = given_now(keeps=bool(avoided))
        choices.answer_allergies(
            runtime(), self.customer_id, self.subscription, avoided, self.who, given
        )
        page = self._page()
        return Answer(page, filled_form(page, typed, allergens=page.allergens), is_noted=True)

    def _save(self, action: str, typed: dict[str, str]) -> Answer:
        where = (runtime(), self.customer_id, self.subscription, self.cycle)
        try:
            if action == "leave":
                done = choices.leave_it_to_us(*where, self.who)
            else:
                done = choices.choose_contents(*where, choosing.picks_of(typed), self.who)
        except (choices.NotFound, choices.NothingToChoose):
            abort(404)
        except choices.ChoiceTooLate:
            page = self._page()
            return Answer(page, filled_form(page, typed), 409)
        except choices.BadChoice as error:
            page = self._page()
            return Answer(page, filled_form(page, typed, error.faults), 422)
        page = self._page()
        return Answer(page, stored_form(page), done=choosing.saved_words(done))
