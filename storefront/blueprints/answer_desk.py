"""What happens when preferences are sent, for the account's page and for that of the staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from flask import abort, request
from flask_babel import gettext as _

from storefront.blueprints.checkout.forms import ANSWER
from storefront.blueprints.context import runtime
from storefront.merchant_texts import said
from storefront.operations.audit import Who
from storefront.operations.choice_losses import Loss, token_of
from storefront.queries.answers import AnswersPage, answers_page
from storefront.services import answers
from storefront.services.answers import Saved
from storefront.templating import FILTERS

#: Characters of an answer's code that are read.
_MOST = 40
#: The day on which a box leaves, and what falls out of it.
Lost = tuple[date, list[str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is shown now; ``problem`` says why nothing was saved, ``done`` what was."""

    page: AnswersPage
    status: int = 200
    problem: str = ""
    done: str = ""
    #: What was chosen on the page before and is not saved yet, by question.
    typed: Mapping[str, str] = field(default_factory=dict)
    #: What was chosen and falls out if this is saved, box by box; and what stands for it.
    losses: tuple[Lost, ...] = ()
    token: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """One subscription of one customer; ``who``: staff sit at it."""

    customer_id: int
    subscription: str
    who: Who | None = None

    def look(self) -> Reply:
        """Return the questions, with what was chosen on another page already."""
        page = self._page()
        return Reply(page, typed=_offered(page, _typed(request.args)))

    def act(self) -> Reply:
        """Save what is chosen."""
        typed = _typed(request.form)
        try:
            saved = answers.change_answers(
                runtime(),
                self.customer_id,
                self.subscription,
                typed,
                self.who,
                shown=request.form.get("shown", ""),
            )
        except answers.NotFound:
            abort(404)
        except answers.NotOffered:
            gone = _("That is not offered any more. Please choose again; nothing was changed.")
            return self._refused(gone, typed)
        except answers.CostsOther:
            text = _("That costs more or less than what you have. Nothing was changed.")
            return self._refused(text, typed)
        except answers.ChoiceFallsOut as error:
            page, losses = self._page(), tuple(lost_of(one) for one in error.losses)
            typed = _offered(page, typed)
            return Reply(page, typed=typed, losses=losses, token=token_of(error.losses))
        return Reply(self._page(), done=_done(saved, by_staff=self.who is not None))

    def _refused(self, problem: str, typed: Mapping[str, str]) -> Reply:
        """Return the page again: what else was chosen stays chosen, and is not saved."""
        page = self._page()
        return Reply(page, 422, problem, typed=_offered(page, typed))

    def _page(self) -> AnswersPage:
        rt = runtime()
        rt.session.rollback()
        found = answers_page(rt.session, self.customer_id, self.subscription, rt.moment())
        rt.session.rollback()
        if found is None:
            abort(404)
        return found


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(ANSWER): value[:_MOST]
        for name, value in given.items()
        if name.startswith(ANSWER) and value
    }


def _offered(page: AnswersPage, typed: Mapping[str, str]) -> dict[str, str]:
    """Return what was chosen of what can be; else the question shows what is saved."""
    offered = {(one.code, each.code) for one in page.questions for each in one.answers}
    return {code: answer for code, answer in typed.items() if (code, answer) in offered}


def lost_of(loss: Loss) -> Lost:
    """Return the day of the box, and what falls out of it in words."""
    pieces = [
        _("%(count)s × %(name)s", count=number, name=said(name)) if number > 1 else said(name)
        for name, number in loss.pieces
    ]
    return loss.ship_on, pieces


def _done(saved: Saved, *, by_staff: bool) -> str:
    if not saved.is_new and by_staff:
        return _("Nothing to save: it is all as before.")
    if not saved.is_new:
        return _("Nothing changed: that is what you have.")
    if saved.box_on is None and by_staff:
        return _("Saved. It counts from the next box on.")
    if saved.box_on is None:
        return _("Saved. It counts from your next box on.")
    return _("Saved. It counts from the box of %(day)s on.", day=FILTERS["day"](saved.box_on))
