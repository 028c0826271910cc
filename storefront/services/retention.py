"""Take whom documents were made out to out of them, once the law asks for it no more.

Only of people who were erased. What was never issued is owed to nobody and goes at once. Beside
that, who was to get a gift is forgotten once it is over and nobody claimed it.
Source: docs/decisions/0176-how-long-documents-stay.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from storefront.database import retrying
from storefront.domain.erasure import CONSENT_YEARS, first_kept_year
from storefront.operations.declarations import blank_unmatched
from storefront.operations.erasure_gifts import forget_left_behind, forget_recipients
from storefront.operations.retention import blank_consents, blank_credit_notes, blank_invoices
from storefront.runtime import Runtime

#: Rows changed in one transaction.
BATCH = 200
#: Days after its first one for which an unclaimed gift that is over keeps who was to get it, and
#: after its end for which a claimed one keeps where its giver said: they may ask what became of it.
GIFT_DAYS = 90


def blank_old(rt: Runtime) -> dict[str, int]:
    """Blank what has been there for its time; a second run right after finds nothing."""
    moment = rt.moment()
    year = first_kept_year(moment.today, rt.shop.document_years)
    issued_before = moment.start_of(date(year, 1, 1))
    erased_before = moment.now - timedelta(days=366 * CONSENT_YEARS)
    gifts_until = moment.today - timedelta(days=GIFT_DAYS)
    return {
        "invoices": _all(rt, lambda: blank_invoices(rt.session, issued_before, moment, BATCH)),
        "credit_notes": _all(
            rt, lambda: blank_credit_notes(rt.session, issued_before, moment, BATCH)
        ),
        "consents": _all(rt, lambda: blank_consents(rt.session, erased_before)),
        "gifts": _all(rt, lambda: forget_recipients(rt.session, gifts_until, BATCH)),
        "declarations": _all(
            rt, lambda: blank_unmatched(rt.session, erased_before, moment.now, BATCH)
        ),
        "given": _all(rt, lambda: forget_left_behind(rt.session, gifts_until, BATCH)),
    }


def _all(rt: Runtime, blank: Callable[[], int]) -> int:
    def work() -> int:
        count = blank()
        rt.session.commit()
        return count

    total = 0
    while count := retrying(rt.session, work):
        total += count
    return total
