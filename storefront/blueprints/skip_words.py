"""How often the boxes of a plan may be skipped, in words."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.domain.skip_limits import SkipLimits, SkipRefusal


def skip_kept(why: str, limits: SkipLimits, year: int) -> str:
    """Say why a box that can still be changed cannot be skipped."""
    if limits.none:
        return _("Boxes of this plan cannot be skipped.")
    if why == SkipRefusal.IN_ROW:
        return _row_words(limits.in_row or 0)
    if why == SkipRefusal.PER_YEAR:
        return ngettext(
            "%(num)s box of %(year)s may be skipped, and is.",
            "%(num)s boxes of %(year)s may be skipped, and are.",
            limits.per_year or 0,
            year=str(year),
        )
    days = limits.notice_days
    return ngettext(
        "A box can be skipped until %(num)s day before its cut-off, and that is over.",
        "A box can be skipped until %(num)s days before its cut-off, and that is over.",
        days,
    )


def _row_words(most: int) -> str:
    return ngettext(
        "Not more than %(num)s box in a row can be skipped.",
        "Not more than %(num)s boxes in a row can be skipped.",
        most,
    )


def skip_rules(limits: SkipLimits) -> str:
    """Say what a plan allows, before anybody asks; empty when it allows everything."""
    if limits.none:
        return _("Boxes of this plan cannot be skipped.")
    said = [] if limits.in_row is None else [_row_words(limits.in_row)]
    if limits.per_year is not None:
        said.append(
            ngettext(
                "In a calendar year you can skip %(num)s box.",
                "In a calendar year you can skip %(num)s boxes.",
                limits.per_year,
            )
        )
    if limits.notice_days:
        said.append(
            ngettext(
                "Skip at least %(num)s day before the cut-off.",
                "Skip at least %(num)s days before the cut-off.",
                limits.notice_days,
            )
        )
    return " ".join(said)
