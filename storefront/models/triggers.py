"""The triggers of the schema, all in one place.

Alembic's batch rebuild on SQLite drops triggers and partial indexes silently, so every
migration ends with ``create_missing`` of its own copy, and a test compares the migrated schema
with these lists and those of ``partial_indexes.py`` on both databases.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Tables whose rows are never changed nor deleted.
APPEND_ONLY = (
    "ledger_journal",
    "ledger_transfer",
    "subscription_event",
    "movement",
    "stock_move",
    "audit_entry",
    "consent",
    "credit_note",
    "credit_note_line",
    "declaration",
    "declaration_outcome",
)

#: Document columns that never change once the freeze holds; the others (state, counters) move.
#: JSON is compared as text.
FROZEN: dict[str, tuple[str, ...]] = {
    "invoice": (
        "public_id",
        "payer_id",
        "checkout_id",
        "locale",
        "tax_treatment",
        "pay_by",
        "series",
        "currency",
        "tax_inclusive",
        "total_minor",
        "tax_minor",
        "tax_point_on",
        "due_on",
        "snapshot",
        "content_hash",
        "created_at",
    ),
    "invoice_line": (
        "invoice_id",
        "position",
        "kind",
        "text",
        "subscription_id",
        "period_id",
        "service_from",
        "service_to",
        "quantity",
        "unit_minor",
        "amount_minor",
        "tax_rate_bp",
        "tax_minor",
        "gross_minor",
        "corrects_line_id",
        "lowers",
        "addon_id",
    ),
    # Another prefix is another series: printed numbers stay what they are.
    "number_series": ("code", "prefix"),
    "price": (
        "public_id",
        "plan_id",
        "currency",
        "country",
        "unit",
        "count",
        "version",
        "amount_minor",
        "tax_inclusive",
        "sign_up_fee_minor",
        "phases",
        "created_at",
    ),
}

#: When the freeze of a table holds, over ``OLD``; an invoice's from ``offered`` on.
FREEZE_WHEN = {
    "invoice": "OLD.state <> 'draft'",
    "invoice_line": "(SELECT state FROM invoice WHERE invoice.id = OLD.invoice_id) <> 'draft'",
    "number_series": "OLD.next_number > 1",
    "price": "EXISTS (SELECT 1 FROM subscription WHERE subscription.price_id = OLD.id)",
}


#: Conditions over ``OLD`` under which a person was erased, by the table of the row.
_ERASED = {
    "subscription_event": (
        "EXISTS (SELECT 1 FROM subscription JOIN customer ON customer.id IN"
        " (subscription.customer_id, subscription.payer_id)"
        " WHERE subscription.id = OLD.subscription_id AND customer.erased_at IS NOT NULL)"
    ),
    "consent": (
        "EXISTS (SELECT 1 FROM customer"
        " WHERE customer.id = OLD.customer_id AND customer.erased_at IS NOT NULL)"
    ),
    # Whose it is may be known by nothing but the e-mail, which is gone from the account by then.
    "declaration": "OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL",
    "credit_note": (
        "OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL AND EXISTS (SELECT 1 FROM invoice"
        " JOIN customer ON customer.id = invoice.payer_id"
        " WHERE invoice.id = OLD.invoice_id AND customer.erased_at IS NOT NULL)"
    ),
    "invoice": (
        "OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL AND EXISTS (SELECT 1 FROM customer"
        " WHERE customer.id = OLD.payer_id AND customer.erased_at IS NOT NULL)"
    ),
}
#: Append-only tables of which an erasure takes what says who it was: the columns that stay.
KEPT: dict[str, tuple[str, ...]] = {
    "subscription_event": ("id", "subscription_id", "at", "kind", "actor", "actor_ref"),
    "consent": (
        "id",
        "public_id",
        "customer_id",
        "subscription_id",
        "kind",
        "text",
        "text_hash",
        "text_version",
        "amount_minor",
        "currency",
        "interval",
        "given_at",
        "button",
        "page",
        "page_hash",
    ),
    "declaration": (
        "id",
        "public_id",
        "once",
        "kind",
        "is_for_cause",
        "wished_on",
        "locale",
        "received_at",
        "customer_id",
        "subscription_id",
        "is_sure",
        "has_stopped",
    ),
    "credit_note": (
        "id",
        "public_id",
        "invoice_id",
        "series",
        "number",
        "currency",
        "total_minor",
        "tax_minor",
        "reason",
        "to",
        "locale",
        "content_hash",
        "created_at",
    ),
}
#: Columns that name whose a row is. One that was merged or erased gets no new row.
OWNED: dict[str, tuple[str, ...]] = {
    "subscription": ("customer_id", "payer_id"),
    "invoice": ("payer_id",),
    "payment_method": ("customer_id",),
    "address": ("customer_id",),
}


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger's name, table, and statements to make it on each database."""

    name: str
    table: str
    sqlite: str
    postgresql: tuple[str, ...]


def _refuse(name: str, table: str, event: str, when: str, message: str) -> Trigger:
    condition = f" WHEN {when}" if when else ""
    sqlite = (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW{condition} "
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )
    # PostgreSQL allows no subquery in WHEN, so the condition moves into the function.
    body = (
        f"IF {when} THEN RAISE EXCEPTION '{message}'; END IF;"
        if when
        else (f"RAISE EXCEPTION '{message}';")
    )
    result = "OLD" if event == "DELETE" else "NEW"
    function = (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {body} RETURN {result}; END $$"
    )
    trigger = (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )
    return Trigger(name, table, sqlite, (function, trigger))


#: Columns that may be filled in later, once: a line of a change is paid before its period is.
FILLED_LATER = frozenset({"period_id"})


#: Columns that follow an account into the one it was merged into; the document says what it said.
FOLLOWING = frozenset({"payer_id"})


def _differs(column: str, *, postgresql: bool) -> str:
    quoted = f'"{column}"'
    if column in FOLLOWING:
        differs = "IS DISTINCT FROM" if postgresql else "IS NOT"
        followed = f"customer.id = OLD.{quoted} AND customer.merged_into_id = NEW.{quoted}"
        kept = f"EXISTS (SELECT 1 FROM customer WHERE {followed})"  # noqa: S608 - our columns
        return f"(OLD.{quoted} {differs} NEW.{quoted} AND NOT {kept})"
    if column == "snapshot":
        differs = _differs_plainly(column, postgresql=postgresql)
        return f"({differs} AND NOT ({_ERASED['invoice']}))"
    if column in FILLED_LATER:
        differs = "IS DISTINCT FROM" if postgresql else "IS NOT"
        return f"(OLD.{quoted} IS NOT NULL AND OLD.{quoted} {differs} NEW.{quoted})"
    return _differs_plainly(column, postgresql=postgresql)


def _differs_plainly(column: str, *, postgresql: bool) -> str:
    quoted = f'"{column}"'
    if postgresql:
        cast = "::text" if column in {"snapshot", "phases"} else ""
        return f"OLD.{quoted}{cast} IS DISTINCT FROM NEW.{quoted}{cast}"
    return f"OLD.{quoted} IS NOT NEW.{quoted}"


def _freeze(table: str) -> Trigger:
    name, message = f"tr_{table}_frozen", f"{table} is frozen"

    def when(postgresql: bool) -> str:
        changed = " OR ".join(_differs(c, postgresql=postgresql) for c in FROZEN[table])
        return f"({FREEZE_WHEN[table]}) AND ({changed})"

    lite = _refuse(name, table, "UPDATE", when(False), message)
    post = _refuse(name, table, "UPDATE", when(True), message)
    return Trigger(name, table, lite.sqlite, post.postgresql)


def _only_appended(table: str) -> Trigger:
    """Refuse every change of a row but what takes an erased person out of it."""
    name, message = f"tr_{table}_no_update", f"{table} is append-only"

    def when(postgresql: bool) -> str:
        if table not in KEPT:
            return ""
        kept = " OR ".join(_differs_plainly(c, postgresql=postgresql) for c in KEPT[table])
        return f"NOT ({_ERASED[table]}) OR {kept}"

    lite = _refuse(name, table, "UPDATE", when(False), message)
    post = _refuse(name, table, "UPDATE", when(True), message)
    return Trigger(name, table, lite.sqlite, post.postgresql)


def _owned(table: str) -> Trigger:
    """Refuse a new row of an account that was merged into another, or erased.

    On PostgreSQL the account is locked first, as its foreign key does at the end of the
    statement anyway: whoever merges it at that moment is waited for, and then seen.
    """
    name, message = f"tr_{table}_owner", "the account is closed"
    owners = f"customer.id IN ({', '.join(f'NEW.{column}' for column in OWNED[table])})"
    is_closed = "(customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)"
    closed = f"{owners} AND {is_closed}"
    gone = f"SELECT 1 FROM customer WHERE {closed}"  # noqa: S608 - names of our own columns
    lite = _refuse(name, table, "INSERT", f"EXISTS ({gone})", message)
    function = (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN PERFORM 1 FROM customer WHERE {owners} FOR KEY SHARE; "
        f"IF EXISTS ({gone}) THEN RAISE EXCEPTION '{message}' USING ERRCODE = '23503'; END IF; "
        "RETURN NEW; END $$"
    )
    trigger = (
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )
    return Trigger(name, table, lite.sqlite, (function, trigger))


def all_triggers() -> list[Trigger]:
    """Return every trigger of the schema."""
    made = [_freeze(table) for table in FROZEN] + [_owned(table) for table in OWNED]
    for table in APPEND_ONLY:
        made.append(_only_appended(table))
        name = f"tr_{table}_no_delete"
        made.append(_refuse(name, table, "DELETE", "", f"{table} is append-only"))
    for table in ("invoice", "invoice_line"):
        name = f"tr_{table}_no_delete"
        made.append(_refuse(name, table, "DELETE", "", f"{table} is kept for ever"))
    return made
