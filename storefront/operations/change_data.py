"""What a waiting change brings beside its price: quantity and answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from storefront.operations.keys import AnyRow


def changed(row: AnyRow) -> Any:
    """Return ``row`` with the quantity and the options of its ``change_data``.

    What the change does not name stays as it is.
    """
    values = dict(row._mapping)
    data = values["change_data"] or {}
    for name in ("quantity", "options"):
        values[name] = data.get(name, values[name])
    return SimpleNamespace(**values)
