"""What our references at gateways look like: kind, installation, a random rest.

``pay_k7q2_…``: a charge of the installation with the mark ``k7q2``. Two installations may share
one gateway account; what carries another mark is not ours. Source: 0130.
"""

from __future__ import annotations

#: Letters of an installation's id that stand in its references.
MARK_LENGTH = 4


def mark_of(public_id: str) -> str:
    """Return the mark of the installation with this public id.

    >>> mark_of("ins_k7q2abcdefghijklmnopqrstuv")
    'k7q2'
    """
    return public_id.partition("_")[2][:MARK_LENGTH]


def is_foreign(reference: str, mark: str) -> bool:
    """True of a reference that another installation made; one without a mark may be anybody's.

    >>> is_foreign("pay_k7q2_abc", "zz99"), is_foreign("pay_k7q2_abc", "k7q2")
    (True, False)
    >>> is_foreign("pay_abcdef", "zz99"), is_foreign("", "zz99"), is_foreign("pay_k7q2_abc", "")
    (False, False, False)
    """
    _kind, _, rest = reference.partition("_")
    theirs, separator, _ = rest.partition("_")
    return bool(mark and separator and len(theirs) == MARK_LENGTH and theirs != mark)
