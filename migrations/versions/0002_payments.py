"""What payments need: disputes, comparisons, notices, agreements, imported subscribers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: Table -> columns as both databases read them, but for the three types in braces. Constraints
#: stand beside their column, because SQLite adds none later.
COLUMNS: dict[str, Sequence[str]] = {
    "payment_method": (
        "kind VARCHAR(16) DEFAULT 'card' NOT NULL",
        "label VARCHAR(80) DEFAULT '' NOT NULL",
        "gateway_customer VARCHAR(120) DEFAULT '' NOT NULL",
        "agreement VARCHAR(255) DEFAULT '' NOT NULL",
        (
            "limit_minor {integer} CONSTRAINT ck_payment_method_limit_positive "
            "CHECK (limit_minor IS NULL OR limit_minor > 0)"
        ),
        "limit_currency VARCHAR(3) DEFAULT '' NOT NULL",
        (
            "is_backup BOOLEAN DEFAULT {false} NOT NULL "
            "CONSTRAINT ck_payment_method_backup_is_another CHECK (NOT (is_backup AND is_default))"
        ),
    ),
    "gateway_setup": (
        "gateway_reference VARCHAR(255) DEFAULT '' NOT NULL",
        (
            "subscription_id {integer} CONSTRAINT fk_gateway_setup_subscription_id "
            "REFERENCES subscription (id)"
        ),
        "invoice_id {integer} CONSTRAINT fk_gateway_setup_invoice_id REFERENCES invoice (id)",
    ),
    "charge_attempt": (
        "network VARCHAR(24) DEFAULT '' NOT NULL",
        "code VARCHAR(40) DEFAULT '' NOT NULL",
        "notified_at {instant}",
        "not_before {instant}",
    ),
    "gateway_event": (
        (
            "about VARCHAR(12) DEFAULT 'other' NOT NULL CONSTRAINT ck_gateway_event_event_about "
            "CHECK (about IN ('charge', 'refund', 'setup', 'dispute', 'method', 'other'))"
        ),
        "reference VARCHAR(80) DEFAULT '' NOT NULL",
        "gateway_reference VARCHAR(255) DEFAULT '' NOT NULL",
        "occurred_at {instant}",
        "tries {integer} DEFAULT 0 NOT NULL",
        "try_at {instant}",
        "error VARCHAR(255) DEFAULT '' NOT NULL",
    ),
    "shop_settings": (
        "charging_held_reason VARCHAR(16) DEFAULT '' NOT NULL",
        "sign_up_gateways JSON DEFAULT '[]' NOT NULL",
        (
            "catch_up VARCHAR(8) DEFAULT 'skip' NOT NULL "
            "CONSTRAINT ck_shop_settings_catch_up CHECK (catch_up IN ('skip','bill'))"
        ),
        "late_released_at {instant}",
    ),
    "subscription": (
        "imported_from VARCHAR(40) DEFAULT '' NOT NULL",
        "imported_id VARCHAR(120) DEFAULT '' NOT NULL",
    ),
}
SQLITE = {"integer": "INTEGER", "instant": "DATETIME", "false": "0"}
POSTGRESQL = {"integer": "BIGINT", "instant": "TIMESTAMP WITH TIME ZONE", "false": "false"}

INDEXES = (
    "CREATE INDEX ix_payment_method_expires ON payment_method (exp_year, exp_month)",
    (
        "CREATE UNIQUE INDEX IF NOT EXISTS uq_payment_method_backup ON payment_method "
        "(customer_id) WHERE is_backup AND detached_at IS NULL"
    ),
    (
        "CREATE INDEX IF NOT EXISTS ix_gateway_event_waiting ON gateway_event "
        "(try_at, id) WHERE state = 'waiting'"
    ),
    (
        "CREATE UNIQUE INDEX IF NOT EXISTS uq_subscription_imported ON subscription "
        "(imported_from, imported_id) WHERE imported_id <> ''"
    ),
)
OLD_KINDS, NEW_KINDS = "('soft', 'hard')", "('soft', 'ask', 'hard')"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    words = POSTGRESQL if is_postgresql else SQLITE
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column.format(**words)}")
    if is_postgresql:
        op.execute(
            "ALTER TABLE charge_attempt DROP CONSTRAINT ck_charge_attempt_decline_kind, "
            "ADD CONSTRAINT ck_charge_attempt_decline_kind "
            f"CHECK (decline_kind IN {NEW_KINDS})"
        )
    else:
        _rebuild("charge_attempt", OLD_KINDS, NEW_KINDS)
    _add_tables()
    for statement in INDEXES:
        op.execute(statement)


def _rebuild(table: str, old: str, new: str) -> None:
    """Make a table of SQLite anew with ``old`` in its text replaced, its rows, its indexes."""
    connection = op.get_bind()
    (text,) = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).one()
    if text.count(old) != 1:
        raise RuntimeError(f"{table} does not have {old} once")
    indexes = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') "
        "AND sql IS NOT NULL",
        (table,),
    ).all()
    names = (f'CREATE TABLE "{table}"', f"CREATE TABLE {table}")
    head = next(name for name in names if text.startswith(name))
    fresh = text.replace(head, f"CREATE TABLE {table}_fresh", 1).replace(old, new)
    connection.exec_driver_sql(fresh)
    connection.exec_driver_sql(f"INSERT INTO {table}_fresh SELECT * FROM {table}")
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE {table}_fresh RENAME TO {table}")
    for (statement,) in indexes:
        connection.exec_driver_sql(statement)


def _add_tables() -> None:
    op.create_table(
        "difference",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("gateway_reference", sa.String(length=255), nullable=False),
        sa.Column(
            "ours_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "theirs_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_difference")),
        sa.UniqueConstraint(
            "gateway",
            "kind",
            "gateway_reference",
            "reference",
            name=op.f("uq_difference_gateway_kind_gateway_reference_reference"),
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_difference_public_id")),
    )
    op.create_index("ix_difference_open", "difference", ["resolved_at", "found_at"], unique=False)
    op.create_table(
        "gateway_state",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_reason", sa.String(length=40), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_reason", sa.String(length=40), nullable=False),
        sa.Column("slow_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compared_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_state")),
        sa.UniqueConstraint("gateway", "account", name=op.f("uq_gateway_state_gateway_account")),
    )
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("compared", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "differences", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("error", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    op.create_index("ix_reconciliation_gateway", "reconciliation", ["gateway", "at"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("gateway_reference", sa.String(length=255), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "won",
                "lost",
                name="dispute_state",
                native_enum=False,
                create_constraint=True,
                length=8,
            ),
            nullable=False,
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "fee_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "amount_minor >= 0 AND fee_minor >= 0", name=op.f("ck_dispute_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["charge_attempt.id"], name=op.f("fk_dispute_attempt_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint(
            "gateway", "gateway_reference", name=op.f("uq_dispute_gateway_gateway_reference")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_dispute_public_id")),
    )
    op.create_index(op.f("ix_dispute_attempt_id"), "dispute", ["attempt_id"], unique=False)
    op.create_index("ix_dispute_state", "dispute", ["state", "opened_at"], unique=False)


def downgrade() -> None:
    raise RuntimeError("payments are not taken back; restore a backup instead")
