"""Decide about a payment over another amount than was asked for."""

from __future__ import annotations

from storefront.domain.mismatches import Choice, ChoiceNotOffered, taken_text
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.mismatches import read_mismatch, settle_mismatch
from storefront.operations.subscriptions import decide_again
from storefront.runtime import Runtime


def decide(rt: Runtime, who: Who, payment: str, choice: Choice, taken: str) -> None:
    """Settle the payment as ``choice`` says, once, and log who decided on what evidence.

    ``taken`` is the amount the person was shown. Raises ``NothingToDecide`` when it is
    settled already, ``ChoiceNotOffered`` when the amounts are others by now, or what was paid
    for came too late: then only sending everything back is offered from there on.
    """

    def work() -> None:
        moment = rt.moment()
        found = read_mismatch(rt.session, payment)
        if taken_text(found.taken) != taken:
            raise ChoiceNotOffered(choice=choice.value)
        try:
            settle_mismatch(rt.session, found, choice, who, moment, rt.minimums)
        except ChoiceNotOffered:
            # What was too late stays withdrawn, so that the page offers what is left.
            rt.session.commit()
            raise
        before = {"asked": taken_text(found.asked), "invoice": found.attempt.invoice_ref}
        after = {
            "choice": choice.value,
            "taken": taken,
            "evidence": "person",
            "gateway": found.attempt.gateway,
            "gateway_reference": found.attempt.gateway_reference,
        }
        audit.write(rt.session, who.id, "payment.corrected", payment, before, after, moment, who.ip)
        rt.session.commit()

    decide_again(rt.session, work)
