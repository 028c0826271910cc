"""Put a suggestion of the account away.

Source: docs/decisions/0235-one-suggestion-in-the-account.md.
"""

from __future__ import annotations

from storefront.database import retrying
from storefront.domain.suggestions import SuggestionKind
from storefront.operations import suggestions
from storefront.runtime import Runtime


def put_away(rt: Runtime, customer_id: int, kind: SuggestionKind) -> None:
    """Suggest this kind to this customer no more."""

    def change() -> None:
        suggestions.put_away(rt.session, customer_id, kind, rt.now())
        rt.session.commit()

    retrying(rt.session, change)
