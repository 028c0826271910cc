"""When two accounts of one person may become one.

Source: docs/decisions/0174-merging-accounts.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storefront.domain.errors import DomainError


class MergeProblem(StrEnum):
    """Why two accounts cannot become one now."""

    SAME = "same"
    CLOSED = "closed"
    ERASURE_ASKED = "erasure_asked"
    PAYMENT_UNDER_WAY = "payment_under_way"
    ORDER_UNDER_WAY = "order_under_way"
    OTHER_TAX = "other_tax"
    OTHER_PAYMENT = "other_payment"


class MergeRefused(DomainError):
    """The accounts stay two; ``problems`` says why, the first one first."""

    code = "merge_refused"


@dataclass(frozen=True, slots=True)
class TaxTerms:
    """What decides how somebody's boxes are taxed."""

    tax_id: str = ""
    tax_id_state: str = ""
    is_exempt: bool = False


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """How somebody pays: by gateway or bank, and in how many days (None: the shop's)."""

    pays_by: str = "gateway"
    days: int | None = None


@dataclass(frozen=True, slots=True)
class MergeAccount:
    """What is known of one of the two accounts."""

    id: int
    #: Merged into another before, or erased.
    is_closed: bool = False
    erasure_asked: bool = False
    #: A charge is planned, or was sent and nobody knows what became of it.
    has_open_charge: bool = False
    #: An order is being paid.
    has_open_order: bool = False
    #: Pays for something that runs.
    is_billed: bool = False
    tax: TaxTerms = TaxTerms()
    payment: PaymentTerms = PaymentTerms()


def merge_problems(kept: MergeAccount, merged: MergeAccount) -> tuple[MergeProblem, ...]:
    """Return why ``merged`` cannot become part of ``kept``; empty when it can.

    What runs must cost and be asked for after it as before it, so terms have to be the same
    where the merged account pays for anything.

    >>> merge_problems(MergeAccount(1), MergeAccount(2))
    ()
    >>> merge_problems(MergeAccount(1), MergeAccount(1))
    (<MergeProblem.SAME: 'same'>,)
    """
    if kept.id == merged.id:
        return (MergeProblem.SAME,)
    both = (kept, merged)
    found = (
        (MergeProblem.CLOSED, any(one.is_closed for one in both)),
        (MergeProblem.ERASURE_ASKED, any(one.erasure_asked for one in both)),
        (MergeProblem.PAYMENT_UNDER_WAY, any(one.has_open_charge for one in both)),
        (MergeProblem.ORDER_UNDER_WAY, any(one.has_open_order for one in both)),
        (MergeProblem.OTHER_TAX, merged.is_billed and merged.tax != kept.tax),
        (MergeProblem.OTHER_PAYMENT, merged.is_billed and merged.payment != kept.payment),
    )
    return tuple(problem for problem, applies in found if applies)


def check_merge(kept: MergeAccount, merged: MergeAccount) -> None:
    """Raise ``MergeRefused`` unless ``merged`` may become part of ``kept``."""
    if problems := merge_problems(kept, merged):
        raise MergeRefused(problems=[problem.value for problem in problems])


def closed_email(public_id: str, how: str) -> str:
    """Return what stands in place of the e-mail of an account that is one no more.

    No mailbox can have it (RFC 2606), and nobody can sign in or sign up with it.

    >>> closed_email("cus_7f3k", "merged")
    'cus_7f3k@merged.invalid'
    """
    return f"{public_id}@{how}.invalid"
