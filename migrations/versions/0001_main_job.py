"""Lay down the tables of the main job.

The first revision: there is no previous release to run beside.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    "CREATE INDEX IF NOT EXISTS ix_subscription_due ON subscription (renews_at, id) WHERE renews_at IS NOT NULL AND parked_at IS NULL AND held_at IS NULL",
    "CREATE INDEX IF NOT EXISTS ix_subscription_ending ON subscription (cancel_on) WHERE cancel_on IS NOT NULL AND ended_on IS NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_subscription_checkout ON subscription (checkout_id, checkout_position) WHERE checkout_id IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_invoice_number ON invoice (series, number) WHERE number IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_invoice_line_period ON invoice_line (period_id) WHERE kind = 'plan' AND NOT is_void AND period_id IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_charge_attempt_open ON charge_attempt (invoice_id) WHERE state IN ('planned','sent','action_required','pending','unknown')",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_charge_attempt_settles ON charge_attempt (invoice_id) WHERE settles",
    "CREATE INDEX IF NOT EXISTS ix_charge_attempt_check ON charge_attempt (check_at, id) WHERE check_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS ix_charge_attempt_planned ON charge_attempt (id) WHERE state = 'planned'",
    "CREATE INDEX IF NOT EXISTS ix_refund_open ON refund (id) WHERE state IN ('planned','sent','pending','unknown')",
    "CREATE INDEX IF NOT EXISTS ix_refund_again ON refund (check_at, id) WHERE state = 'succeeded' AND check_at IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_payment_method_default ON payment_method (customer_id) WHERE is_default AND detached_at IS NULL",
    "CREATE INDEX IF NOT EXISTS ix_dunning_case_due ON dunning_case (next_at, id) WHERE state = 'open'",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_box_period ON box (period_id, ordinal) WHERE kind = 'regular' AND state <> 'canceled'",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_box_cycle ON box (subscription_id, cycle_id) WHERE kind = 'regular' AND state <> 'canceled' AND cycle_id IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS ix_box_unassigned ON box (id) WHERE cycle_id IS NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_recipe_cycle ON recipe (cycle_id, plan_id, option_key) WHERE cycle_id IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_recipe_standing ON recipe (plan_id, option_key) WHERE cycle_id IS NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_stock_move_item ON stock_move (box_item_id, kind) WHERE box_item_id IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_scheduled_change_waiting ON scheduled_change (subscription_id) WHERE state = 'waiting' AND kind = 'price'",
    "CREATE INDEX IF NOT EXISTS ix_subscription_resuming ON subscription (resumes_on) WHERE resumes_on IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS ix_subscription_period_by_days ON subscription_period (end_on, earned_on, id) WHERE box_count = 0 AND state = 'paid' AND kind IN ('billed','gift') AND (earned_on IS NULL OR earned_on < end_on)",
    "CREATE INDEX IF NOT EXISTS ix_ledger_transfer_deferred ON ledger_transfer (period_id) WHERE (debit = 'deferred_revenue' OR credit = 'deferred_revenue')",
    "CREATE INDEX IF NOT EXISTS ix_ledger_transfer_granted ON ledger_transfer (customer_id) WHERE invoice_id IS NULL AND box_id IS NULL",
    "CREATE INDEX IF NOT EXISTS ix_outbox_message_due ON outbox_message (due_at, id) WHERE state = 'waiting'",
)

#: Name, table, statement for SQLite, statements for PostgreSQL.
TRIGGERS = (
    (
        "tr_invoice_frozen",
        "invoice",
        'CREATE TRIGGER tr_invoice_frozen BEFORE UPDATE ON invoice FOR EACH ROW WHEN (OLD.state <> \'draft\') AND (OLD."public_id" IS NOT NEW."public_id" OR OLD."payer_id" IS NOT NEW."payer_id" OR OLD."checkout_id" IS NOT NEW."checkout_id" OR OLD."locale" IS NOT NEW."locale" OR OLD."tax_treatment" IS NOT NEW."tax_treatment" OR OLD."pay_by" IS NOT NEW."pay_by" OR OLD."series" IS NOT NEW."series" OR OLD."currency" IS NOT NEW."currency" OR OLD."tax_inclusive" IS NOT NEW."tax_inclusive" OR OLD."total_minor" IS NOT NEW."total_minor" OR OLD."tax_minor" IS NOT NEW."tax_minor" OR OLD."tax_point_on" IS NOT NEW."tax_point_on" OR OLD."due_on" IS NOT NEW."due_on" OR OLD."snapshot" IS NOT NEW."snapshot" OR OLD."content_hash" IS NOT NEW."content_hash" OR OLD."created_at" IS NOT NEW."created_at") BEGIN SELECT RAISE(ABORT, \'invoice is frozen\'); END',
        (
            'CREATE OR REPLACE FUNCTION tr_invoice_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (OLD.state <> \'draft\') AND (OLD."public_id" IS DISTINCT FROM NEW."public_id" OR OLD."payer_id" IS DISTINCT FROM NEW."payer_id" OR OLD."checkout_id" IS DISTINCT FROM NEW."checkout_id" OR OLD."locale" IS DISTINCT FROM NEW."locale" OR OLD."tax_treatment" IS DISTINCT FROM NEW."tax_treatment" OR OLD."pay_by" IS DISTINCT FROM NEW."pay_by" OR OLD."series" IS DISTINCT FROM NEW."series" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."tax_inclusive" IS DISTINCT FROM NEW."tax_inclusive" OR OLD."total_minor" IS DISTINCT FROM NEW."total_minor" OR OLD."tax_minor" IS DISTINCT FROM NEW."tax_minor" OR OLD."tax_point_on" IS DISTINCT FROM NEW."tax_point_on" OR OLD."due_on" IS DISTINCT FROM NEW."due_on" OR OLD."snapshot"::text IS DISTINCT FROM NEW."snapshot"::text OR OLD."content_hash" IS DISTINCT FROM NEW."content_hash" OR OLD."created_at" IS DISTINCT FROM NEW."created_at") THEN RAISE EXCEPTION \'invoice is frozen\'; END IF; RETURN NEW; END $$',
            "CREATE TRIGGER tr_invoice_frozen BEFORE UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION tr_invoice_frozen()",
        ),
    ),
    (
        "tr_invoice_line_frozen",
        "invoice_line",
        'CREATE TRIGGER tr_invoice_line_frozen BEFORE UPDATE ON invoice_line FOR EACH ROW WHEN ((SELECT state FROM invoice WHERE invoice.id = OLD.invoice_id) <> \'draft\') AND (OLD."invoice_id" IS NOT NEW."invoice_id" OR OLD."position" IS NOT NEW."position" OR OLD."kind" IS NOT NEW."kind" OR OLD."text" IS NOT NEW."text" OR OLD."subscription_id" IS NOT NEW."subscription_id" OR (OLD."period_id" IS NOT NULL AND OLD."period_id" IS NOT NEW."period_id") OR OLD."service_from" IS NOT NEW."service_from" OR OLD."service_to" IS NOT NEW."service_to" OR OLD."quantity" IS NOT NEW."quantity" OR OLD."unit_minor" IS NOT NEW."unit_minor" OR OLD."amount_minor" IS NOT NEW."amount_minor" OR OLD."tax_rate_bp" IS NOT NEW."tax_rate_bp" OR OLD."tax_minor" IS NOT NEW."tax_minor" OR OLD."gross_minor" IS NOT NEW."gross_minor" OR OLD."corrects_line_id" IS NOT NEW."corrects_line_id" OR OLD."lowers" IS NOT NEW."lowers") BEGIN SELECT RAISE(ABORT, \'invoice_line is frozen\'); END',
        (
            'CREATE OR REPLACE FUNCTION tr_invoice_line_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF ((SELECT state FROM invoice WHERE invoice.id = OLD.invoice_id) <> \'draft\') AND (OLD."invoice_id" IS DISTINCT FROM NEW."invoice_id" OR OLD."position" IS DISTINCT FROM NEW."position" OR OLD."kind" IS DISTINCT FROM NEW."kind" OR OLD."text" IS DISTINCT FROM NEW."text" OR OLD."subscription_id" IS DISTINCT FROM NEW."subscription_id" OR (OLD."period_id" IS NOT NULL AND OLD."period_id" IS DISTINCT FROM NEW."period_id") OR OLD."service_from" IS DISTINCT FROM NEW."service_from" OR OLD."service_to" IS DISTINCT FROM NEW."service_to" OR OLD."quantity" IS DISTINCT FROM NEW."quantity" OR OLD."unit_minor" IS DISTINCT FROM NEW."unit_minor" OR OLD."amount_minor" IS DISTINCT FROM NEW."amount_minor" OR OLD."tax_rate_bp" IS DISTINCT FROM NEW."tax_rate_bp" OR OLD."tax_minor" IS DISTINCT FROM NEW."tax_minor" OR OLD."gross_minor" IS DISTINCT FROM NEW."gross_minor" OR OLD."corrects_line_id" IS DISTINCT FROM NEW."corrects_line_id" OR OLD."lowers" IS DISTINCT FROM NEW."lowers") THEN RAISE EXCEPTION \'invoice_line is frozen\'; END IF; RETURN NEW; END $$',
            "CREATE TRIGGER tr_invoice_line_frozen BEFORE UPDATE ON invoice_line FOR EACH ROW EXECUTE FUNCTION tr_invoice_line_frozen()",
        ),
    ),
    (
        "tr_number_series_frozen",
        "number_series",
        'CREATE TRIGGER tr_number_series_frozen BEFORE UPDATE ON number_series FOR EACH ROW WHEN (OLD.next_number > 1) AND (OLD."code" IS NOT NEW."code" OR OLD."prefix" IS NOT NEW."prefix") BEGIN SELECT RAISE(ABORT, \'number_series is frozen\'); END',
        (
            'CREATE OR REPLACE FUNCTION tr_number_series_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (OLD.next_number > 1) AND (OLD."code" IS DISTINCT FROM NEW."code" OR OLD."prefix" IS DISTINCT FROM NEW."prefix") THEN RAISE EXCEPTION \'number_series is frozen\'; END IF; RETURN NEW; END $$',
            "CREATE TRIGGER tr_number_series_frozen BEFORE UPDATE ON number_series FOR EACH ROW EXECUTE FUNCTION tr_number_series_frozen()",
        ),
    ),
    (
        "tr_price_frozen",
        "price",
        'CREATE TRIGGER tr_price_frozen BEFORE UPDATE ON price FOR EACH ROW WHEN (EXISTS (SELECT 1 FROM subscription WHERE subscription.price_id = OLD.id)) AND (OLD."public_id" IS NOT NEW."public_id" OR OLD."plan_id" IS NOT NEW."plan_id" OR OLD."currency" IS NOT NEW."currency" OR OLD."country" IS NOT NEW."country" OR OLD."unit" IS NOT NEW."unit" OR OLD."count" IS NOT NEW."count" OR OLD."version" IS NOT NEW."version" OR OLD."amount_minor" IS NOT NEW."amount_minor" OR OLD."tax_inclusive" IS NOT NEW."tax_inclusive" OR OLD."sign_up_fee_minor" IS NOT NEW."sign_up_fee_minor" OR OLD."phases" IS NOT NEW."phases" OR OLD."created_at" IS NOT NEW."created_at") BEGIN SELECT RAISE(ABORT, \'price is frozen\'); END',
        (
            'CREATE OR REPLACE FUNCTION tr_price_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (EXISTS (SELECT 1 FROM subscription WHERE subscription.price_id = OLD.id)) AND (OLD."public_id" IS DISTINCT FROM NEW."public_id" OR OLD."plan_id" IS DISTINCT FROM NEW."plan_id" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."country" IS DISTINCT FROM NEW."country" OR OLD."unit" IS DISTINCT FROM NEW."unit" OR OLD."count" IS DISTINCT FROM NEW."count" OR OLD."version" IS DISTINCT FROM NEW."version" OR OLD."amount_minor" IS DISTINCT FROM NEW."amount_minor" OR OLD."tax_inclusive" IS DISTINCT FROM NEW."tax_inclusive" OR OLD."sign_up_fee_minor" IS DISTINCT FROM NEW."sign_up_fee_minor" OR OLD."phases"::text IS DISTINCT FROM NEW."phases"::text OR OLD."created_at" IS DISTINCT FROM NEW."created_at") THEN RAISE EXCEPTION \'price is frozen\'; END IF; RETURN NEW; END $$',
            "CREATE TRIGGER tr_price_frozen BEFORE UPDATE ON price FOR EACH ROW EXECUTE FUNCTION tr_price_frozen()",
        ),
    ),
    (
        "tr_ledger_journal_no_update",
        "ledger_journal",
        "CREATE TRIGGER tr_ledger_journal_no_update BEFORE UPDATE ON ledger_journal FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'ledger_journal is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_ledger_journal_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ledger_journal is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_ledger_journal_no_update BEFORE UPDATE ON ledger_journal FOR EACH ROW EXECUTE FUNCTION tr_ledger_journal_no_update()",
        ),
    ),
    (
        "tr_ledger_journal_no_delete",
        "ledger_journal",
        "CREATE TRIGGER tr_ledger_journal_no_delete BEFORE DELETE ON ledger_journal FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'ledger_journal is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_ledger_journal_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ledger_journal is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_ledger_journal_no_delete BEFORE DELETE ON ledger_journal FOR EACH ROW EXECUTE FUNCTION tr_ledger_journal_no_delete()",
        ),
    ),
    (
        "tr_ledger_transfer_no_update",
        "ledger_transfer",
        "CREATE TRIGGER tr_ledger_transfer_no_update BEFORE UPDATE ON ledger_transfer FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'ledger_transfer is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_ledger_transfer_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ledger_transfer is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_ledger_transfer_no_update BEFORE UPDATE ON ledger_transfer FOR EACH ROW EXECUTE FUNCTION tr_ledger_transfer_no_update()",
        ),
    ),
    (
        "tr_ledger_transfer_no_delete",
        "ledger_transfer",
        "CREATE TRIGGER tr_ledger_transfer_no_delete BEFORE DELETE ON ledger_transfer FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'ledger_transfer is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_ledger_transfer_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ledger_transfer is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_ledger_transfer_no_delete BEFORE DELETE ON ledger_transfer FOR EACH ROW EXECUTE FUNCTION tr_ledger_transfer_no_delete()",
        ),
    ),
    (
        "tr_subscription_event_no_update",
        "subscription_event",
        "CREATE TRIGGER tr_subscription_event_no_update BEFORE UPDATE ON subscription_event FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'subscription_event is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_subscription_event_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'subscription_event is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_subscription_event_no_update BEFORE UPDATE ON subscription_event FOR EACH ROW EXECUTE FUNCTION tr_subscription_event_no_update()",
        ),
    ),
    (
        "tr_subscription_event_no_delete",
        "subscription_event",
        "CREATE TRIGGER tr_subscription_event_no_delete BEFORE DELETE ON subscription_event FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'subscription_event is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_subscription_event_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'subscription_event is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_subscription_event_no_delete BEFORE DELETE ON subscription_event FOR EACH ROW EXECUTE FUNCTION tr_subscription_event_no_delete()",
        ),
    ),
    (
        "tr_movement_no_update",
        "movement",
        "CREATE TRIGGER tr_movement_no_update BEFORE UPDATE ON movement FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'movement is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_movement_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'movement is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_movement_no_update BEFORE UPDATE ON movement FOR EACH ROW EXECUTE FUNCTION tr_movement_no_update()",
        ),
    ),
    (
        "tr_movement_no_delete",
        "movement",
        "CREATE TRIGGER tr_movement_no_delete BEFORE DELETE ON movement FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'movement is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_movement_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'movement is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_movement_no_delete BEFORE DELETE ON movement FOR EACH ROW EXECUTE FUNCTION tr_movement_no_delete()",
        ),
    ),
    (
        "tr_stock_move_no_update",
        "stock_move",
        "CREATE TRIGGER tr_stock_move_no_update BEFORE UPDATE ON stock_move FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'stock_move is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_stock_move_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stock_move is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_stock_move_no_update BEFORE UPDATE ON stock_move FOR EACH ROW EXECUTE FUNCTION tr_stock_move_no_update()",
        ),
    ),
    (
        "tr_stock_move_no_delete",
        "stock_move",
        "CREATE TRIGGER tr_stock_move_no_delete BEFORE DELETE ON stock_move FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'stock_move is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_stock_move_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stock_move is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_stock_move_no_delete BEFORE DELETE ON stock_move FOR EACH ROW EXECUTE FUNCTION tr_stock_move_no_delete()",
        ),
    ),
    (
        "tr_audit_entry_no_update",
        "audit_entry",
        "CREATE TRIGGER tr_audit_entry_no_update BEFORE UPDATE ON audit_entry FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_audit_entry_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'audit_entry is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_audit_entry_no_update BEFORE UPDATE ON audit_entry FOR EACH ROW EXECUTE FUNCTION tr_audit_entry_no_update()",
        ),
    ),
    (
        "tr_audit_entry_no_delete",
        "audit_entry",
        "CREATE TRIGGER tr_audit_entry_no_delete BEFORE DELETE ON audit_entry FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_audit_entry_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'audit_entry is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_audit_entry_no_delete BEFORE DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION tr_audit_entry_no_delete()",
        ),
    ),
    (
        "tr_consent_no_update",
        "consent",
        "CREATE TRIGGER tr_consent_no_update BEFORE UPDATE ON consent FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'consent is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_consent_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'consent is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_consent_no_update BEFORE UPDATE ON consent FOR EACH ROW EXECUTE FUNCTION tr_consent_no_update()",
        ),
    ),
    (
        "tr_consent_no_delete",
        "consent",
        "CREATE TRIGGER tr_consent_no_delete BEFORE DELETE ON consent FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'consent is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_consent_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'consent is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_consent_no_delete BEFORE DELETE ON consent FOR EACH ROW EXECUTE FUNCTION tr_consent_no_delete()",
        ),
    ),
    (
        "tr_credit_note_no_update",
        "credit_note",
        "CREATE TRIGGER tr_credit_note_no_update BEFORE UPDATE ON credit_note FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'credit_note is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_credit_note_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'credit_note is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_credit_note_no_update BEFORE UPDATE ON credit_note FOR EACH ROW EXECUTE FUNCTION tr_credit_note_no_update()",
        ),
    ),
    (
        "tr_credit_note_no_delete",
        "credit_note",
        "CREATE TRIGGER tr_credit_note_no_delete BEFORE DELETE ON credit_note FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'credit_note is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_credit_note_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'credit_note is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_credit_note_no_delete BEFORE DELETE ON credit_note FOR EACH ROW EXECUTE FUNCTION tr_credit_note_no_delete()",
        ),
    ),
    (
        "tr_credit_note_line_no_update",
        "credit_note_line",
        "CREATE TRIGGER tr_credit_note_line_no_update BEFORE UPDATE ON credit_note_line FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'credit_note_line is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_credit_note_line_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'credit_note_line is append-only'; RETURN NEW; END $$",
            "CREATE TRIGGER tr_credit_note_line_no_update BEFORE UPDATE ON credit_note_line FOR EACH ROW EXECUTE FUNCTION tr_credit_note_line_no_update()",
        ),
    ),
    (
        "tr_credit_note_line_no_delete",
        "credit_note_line",
        "CREATE TRIGGER tr_credit_note_line_no_delete BEFORE DELETE ON credit_note_line FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'credit_note_line is append-only'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_credit_note_line_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'credit_note_line is append-only'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_credit_note_line_no_delete BEFORE DELETE ON credit_note_line FOR EACH ROW EXECUTE FUNCTION tr_credit_note_line_no_delete()",
        ),
    ),
    (
        "tr_invoice_no_delete",
        "invoice",
        "CREATE TRIGGER tr_invoice_no_delete BEFORE DELETE ON invoice FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'invoice is kept for ever'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_invoice_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'invoice is kept for ever'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_invoice_no_delete BEFORE DELETE ON invoice FOR EACH ROW EXECUTE FUNCTION tr_invoice_no_delete()",
        ),
    ),
    (
        "tr_invoice_line_no_delete",
        "invoice_line",
        "CREATE TRIGGER tr_invoice_line_no_delete BEFORE DELETE ON invoice_line FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'invoice_line is kept for ever'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_invoice_line_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'invoice_line is kept for ever'; RETURN OLD; END $$",
            "CREATE TRIGGER tr_invoice_line_no_delete BEFORE DELETE ON invoice_line FOR EACH ROW EXECUTE FUNCTION tr_invoice_line_no_delete()",
        ),
    ),
)


def upgrade() -> None:
    op.create_table(
        "coupon",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("applies_to", sa.String(length=4), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("combines", sa.Boolean(), nullable=False),
        sa.Column(
            "from_billed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "percent_bp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("duration", sa.String(length=8), nullable=False),
        sa.Column(
            "duration_cycles", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("first_time_only", sa.Boolean(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("max_uses", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "max_per_customer", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("used", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("applies_to IN ('box','fee')", name=op.f("ck_coupon_applies_to")),
        sa.CheckConstraint(
            "duration IN ('once','cycles','forever')", name=op.f("ck_coupon_duration")
        ),
        sa.CheckConstraint(
            "kind IN ('percent','fixed','free_shipping','free_first_box','first_box_price')",
            name=op.f("ck_coupon_kind"),
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_coupon_amount_not_negative")),
        sa.CheckConstraint("from_billed > 0", name=op.f("ck_coupon_from_billed_positive")),
        sa.CheckConstraint(
            "max_uses IS NULL OR used <= max_uses", name=op.f("ck_coupon_within_limit")
        ),
        sa.CheckConstraint("percent_bp BETWEEN 0 AND 10000", name=op.f("ck_coupon_percent_range")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_coupon_used_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon")),
        sa.UniqueConstraint("public_id", name=op.f("uq_coupon_public_id")),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tax_id", sa.String(length=24), nullable=False),
        sa.Column("tax_id_state", sa.String(length=8), nullable=False),
        sa.Column("tax_id_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_tax_exempt", sa.Boolean(), nullable=False),
        sa.Column("pays_by", sa.String(length=8), nullable=False),
        sa.Column(
            "payment_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("referral_code", sa.String(length=16), nullable=True),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("pays_by IN ('gateway','bank')", name=op.f("ck_customer_pays_by")),
        sa.CheckConstraint(
            "tax_id_state IN ('','pending','valid','invalid')",
            name=op.f("ck_customer_tax_id_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("email", name=op.f("uq_customer_email")),
        sa.UniqueConstraint("public_id", name=op.f("uq_customer_public_id")),
        sa.UniqueConstraint("referral_code", name=op.f("uq_customer_referral_code")),
    )
    op.create_index("ix_customer_created", "customer", ["created_at", "id"], unique=False)
    op.create_table(
        "cycle_group",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("unit", sa.String(length=5), nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "charge_day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("anchor_on", sa.Date(), nullable=False),
        sa.Column(
            "cutoff_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "lock_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "ship_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "ship_window_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "charge_day IS NULL OR charge_day BETWEEN 1 AND 31",
            name=op.f("ck_cycle_group_charge_day"),
        ),
        sa.CheckConstraint(
            "cutoff_days >= 0 AND lock_days >= 0 AND ship_days >= lock_days AND ship_window_days >= 0",
            name=op.f("ck_cycle_group_dates_in_order"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycle_group")),
        sa.UniqueConstraint("code", name=op.f("uq_cycle_group_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_cycle_group_public_id")),
    )
    op.create_table(
        "gateway_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting','applied','orphan','failed')", name=op.f("ck_gateway_event_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_event")),
        sa.UniqueConstraint("gateway", "event_id", name=op.f("uq_gateway_event_gateway_event_id")),
    )
    op.create_index(
        "ix_gateway_event_state", "gateway_event", ["state", "received_at"], unique=False
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("site_url", sa.String(length=255), nullable=False),
        sa.Column("accounts", sa.JSON(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        sa.UniqueConstraint("public_id", name=op.f("uq_installation_public_id")),
    )
    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_run")),
    )
    op.create_table(
        "ledger_journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "invoice_finalised",
                "invoice_paid",
                "credit_applied",
                "credit_note",
                "refund_done",
                "refund_failed",
                "surplus",
                "credit_granted",
                "box_earned",
                "days_earned",
                "written_off",
                "amount_carried",
                "box_forfeited",
                "gateway_fee",
                "payout",
                "reversal",
                name="journal_kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("event_ref", sa.String(length=60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reverses_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["ledger_journal.id"], name=op.f("fk_ledger_journal_reverses_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_journal")),
        sa.UniqueConstraint("kind", "event_ref", name=op.f("uq_ledger_journal_kind_event_ref")),
    )
    op.create_index("ix_ledger_journal_at", "ledger_journal", ["at", "id"], unique=False)
    op.create_table(
        "ledger_seal",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "transfers", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_ledger_seal")),
    )
    op.create_table(
        "number_series",
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column(
            "next_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_number_series")),
    )
    op.create_table(
        "parked_work",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_work")),
    )
    op.create_index("ix_parked_work_open", "parked_work", ["resolved_at", "kind"], unique=False)
    op.create_index(op.f("ix_parked_work_subject"), "parked_work", ["subject"], unique=False)
    op.create_table(
        "product",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("vendor", sa.String(length=255), nullable=False),
        sa.Column("category", sa.String(length=255), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("allergens", sa.JSON(), nullable=False),
        sa.Column("picture", sa.String(length=24), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("source_ref", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("public_id", name=op.f("uq_product_public_id")),
        sa.UniqueConstraint("source", "source_ref", name=op.f("uq_product_source_source_ref")),
    )
    op.create_table(
        "role",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("code", name=op.f("uq_role_code")),
    )
    op.create_table(
        "self_check",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "milliseconds", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("broken", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_self_check")),
    )
    op.create_table(
        "shipment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("carrier", sa.String(length=40), nullable=False),
        sa.Column("tracking_number", sa.String(length=80), nullable=False),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_shipment_public_id")),
    )
    op.create_index(
        op.f("ix_shipment_tracking_number"), "shipment", ["tracking_number"], unique=False
    )
    op.create_table(
        "shipping_rate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "free_from_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_shipping_rate_amount_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipping_rate")),
        sa.UniqueConstraint("country", "currency", name=op.f("uq_shipping_rate_country_currency")),
    )
    op.create_table(
        "shop_settings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("line", sa.String(length=255), nullable=False),
        sa.Column("support_email", sa.String(length=255), nullable=False),
        sa.Column("seller_name", sa.String(length=255), nullable=False),
        sa.Column("seller_address", sa.Text(), nullable=False),
        sa.Column("seller_tax_id", sa.String(length=40), nullable=False),
        sa.Column("seller_country", sa.String(length=2), nullable=False),
        sa.Column("zone", sa.String(length=40), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("countries", sa.JSON(), nullable=False),
        sa.Column("tax_rounding", sa.String(length=4), nullable=False),
        sa.Column(
            "payment_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("bank_details", sa.Text(), nullable=False),
        sa.Column("invoice_footer", sa.Text(), nullable=False),
        sa.Column(
            "referral_giver_minor",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "referral_friend_minor",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("account_codes", sa.JSON(), nullable=False),
        sa.Column(
            "brand_hue", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "brand_chroma", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "accent_hue", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "accent_chroma", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("charging_held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "catalogue_version",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "tax_rounding IN ('sum','line')", name=op.f("ck_shop_settings_tax_rounding")
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_shop_settings_one_row")),
        sa.CheckConstraint(
            "referral_giver_minor >= 0 AND referral_friend_minor >= 0",
            name=op.f("ck_shop_settings_referral_not_negative"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_settings")),
    )
    op.create_table(
        "tax_rate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("region", sa.String(length=8), nullable=False),
        sa.Column("tax_class", sa.String(length=12), nullable=False),
        sa.Column("rate_bp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rate_bp BETWEEN 0 AND 10000", name=op.f("ck_tax_rate_rate_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_rate")),
        sa.UniqueConstraint(
            "country",
            "region",
            "tax_class",
            "since_on",
            name=op.f("uq_tax_rate_country_region_tax_class_since_on"),
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_tax_rate_public_id")),
    )
    op.create_table(
        "throttle",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bucket", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("window_start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_throttle")),
        sa.UniqueConstraint("bucket", "key", name=op.f("uq_throttle_bucket_key")),
    )
    op.create_table(
        "address",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("company", sa.String(length=80), nullable=False),
        sa.Column("street", sa.String(length=120), nullable=False),
        sa.Column("extra", sa.String(length=120), nullable=False),
        sa.Column("postcode", sa.String(length=16), nullable=False),
        sa.Column("city", sa.String(length=80), nullable=False),
        sa.Column("region", sa.String(length=80), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_address_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address")),
        sa.UniqueConstraint("public_id", name=op.f("uq_address_public_id")),
    )
    op.create_index(op.f("ix_address_customer_id"), "address", ["customer_id"], unique=False)
    op.create_table(
        "box_cycle",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("charge_on", sa.Date(), nullable=True),
        sa.Column("cutoff_on", sa.Date(), nullable=False),
        sa.Column("lock_on", sa.Date(), nullable=False),
        sa.Column("ship_from", sa.Date(), nullable=False),
        sa.Column("ship_to", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "open",
                "locked",
                "shipped",
                "closed",
                name="cycle_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "charge_on IS NULL OR charge_on <= lock_on",
            name=op.f("ck_box_cycle_charge_before_lock"),
        ),
        sa.CheckConstraint(
            "cutoff_on <= lock_on AND lock_on <= ship_from AND ship_from <= ship_to",
            name=op.f("ck_box_cycle_dates_in_order"),
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["cycle_group.id"], name=op.f("fk_box_cycle_group_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_cycle")),
        sa.UniqueConstraint("group_id", "key", name=op.f("uq_box_cycle_group_id_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_box_cycle_public_id")),
    )
    op.create_index("ix_box_cycle_ship", "box_cycle", ["group_id", "ship_from"], unique=False)
    op.create_index("ix_box_cycle_state", "box_cycle", ["state", "lock_on"], unique=False)
    op.create_table(
        "customer_credit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "balance_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "balance_minor >= 0", name=op.f("ck_customer_credit_balance_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_credit_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_credit")),
        sa.UniqueConstraint(
            "customer_id", "currency", name=op.f("uq_customer_credit_customer_id_currency")
        ),
    )
    op.create_table(
        "host_identity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("host_ref", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_host_identity_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_identity")),
        sa.UniqueConstraint("host", "host_ref", name=op.f("uq_host_identity_host_host_ref")),
    )
    op.create_index(
        op.f("ix_host_identity_customer_id"), "host_identity", ["customer_id"], unique=False
    )
    op.create_table(
        "login_link",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_login_link_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_login_link_token_hash")),
    )
    op.create_index(op.f("ix_login_link_customer_id"), "login_link", ["customer_id"], unique=False)
    op.create_table(
        "login_session",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_login_session_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_login_session_token_hash")),
    )
    op.create_index(
        op.f("ix_login_session_customer_id"), "login_session", ["customer_id"], unique=False
    )
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("kind IN ('mail','event')", name=op.f("ck_outbox_message_kind")),
        sa.CheckConstraint(
            "state IN ('waiting','delivered','dead','stopped')",
            name=op.f("ck_outbox_message_state"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_outbox_message_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_message_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_outbox_message_public_id")),
    )
    op.create_index(
        op.f("ix_outbox_message_customer_id"), "outbox_message", ["customer_id"], unique=False
    )
    op.create_table(
        "payment_method",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("token", sa.String(length=255), nullable=False),
        sa.Column("brand", sa.String(length=24), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.Column("exp_month", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("exp_year", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("fingerprint", sa.String(length=80), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detached_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_payment_method_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_method")),
        sa.UniqueConstraint(
            "gateway", "account", "token", name=op.f("uq_payment_method_gateway_account_token")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_payment_method_public_id")),
    )
    op.create_index(
        op.f("ix_payment_method_customer_id"), "payment_method", ["customer_id"], unique=False
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("tagline", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("benefits", sa.JSON(), nullable=False),
        sa.Column("is_recommended", sa.Boolean(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ships", sa.Boolean(), nullable=False),
        sa.Column("shipping_unit", sa.String(length=5), nullable=False),
        sa.Column(
            "shipping_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "cycle_group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("tax_class", sa.String(length=12), nullable=False),
        sa.Column("retry_days", sa.JSON(), nullable=False),
        sa.Column("last_action", sa.String(length=8), nullable=False),
        sa.Column("past_due_shipping", sa.String(length=9), nullable=False),
        sa.Column(
            "trial_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("trial_needs_card", sa.Boolean(), nullable=False),
        sa.Column(
            "min_boxes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("max_boxes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("at_term_end", sa.String(length=8), nullable=False),
        sa.Column("change_policy", sa.String(length=8), nullable=False),
        sa.Column("first_period", sa.String(length=8), nullable=False),
        sa.Column(
            "charge_day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("pause_unpaid", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "at_term_end IN ('renew','stop','monthly')", name=op.f("ck_plan_at_term_end")
        ),
        sa.CheckConstraint(
            "change_policy IN ('boxes','days','full','none')", name=op.f("ck_plan_change_policy")
        ),
        sa.CheckConstraint(
            "first_period IN ('full','prorated','free')", name=op.f("ck_plan_first_period")
        ),
        sa.CheckConstraint(
            "past_due_shipping IN ('hold','ship','ship_once')",
            name=op.f("ck_plan_past_due_shipping"),
        ),
        sa.CheckConstraint("pause_unpaid IN ('credit','keep')", name=op.f("ck_plan_pause_unpaid")),
        sa.CheckConstraint(
            "shipping_unit IN ('day','week','month','year')",
            name=op.f("ck_plan_shipping_unit_known"),
        ),
        sa.CheckConstraint(
            "NOT ships OR cycle_group_id IS NOT NULL", name=op.f("ck_plan_shipping_plan_has_cycles")
        ),
        sa.CheckConstraint(
            "max_boxes IS NULL OR max_boxes > 0", name=op.f("ck_plan_max_boxes_positive")
        ),
        sa.CheckConstraint("min_boxes >= 0", name=op.f("ck_plan_min_boxes_not_negative")),
        sa.CheckConstraint("shipping_count > 0", name=op.f("ck_plan_shipping_count_positive")),
        sa.CheckConstraint("trial_days >= 0", name=op.f("ck_plan_trial_not_negative")),
        sa.ForeignKeyConstraint(
            ["cycle_group_id"], ["cycle_group.id"], name=op.f("fk_plan_cycle_group_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("code", name=op.f("uq_plan_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_plan_public_id")),
    )
    op.create_index(op.f("ix_plan_cycle_group_id"), "plan", ["cycle_group_id"], unique=False)
    op.create_table(
        "product_variant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("sku", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column(
            "weight_grams", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "cost_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "price_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("is_counted", sa.Boolean(), nullable=False),
        sa.Column("may_oversell", sa.Boolean(), nullable=False),
        sa.Column("on_hand", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "committed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "committed >= 0", name=op.f("ck_product_variant_committed_not_negative")
        ),
        sa.CheckConstraint(
            "on_hand >= 0 OR may_oversell", name=op.f("ck_product_variant_stock_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_product_variant_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_variant")),
        sa.UniqueConstraint("public_id", name=op.f("uq_product_variant_public_id")),
        sa.UniqueConstraint("sku", name=op.f("uq_product_variant_sku")),
    )
    op.create_index(
        op.f("ix_product_variant_product_id"), "product_variant", ["product_id"], unique=False
    )
    op.create_table(
        "promotion_code",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "coupon_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("batch", sa.String(length=40), nullable=False),
        sa.Column("max_uses", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("used", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "max_uses IS NULL OR used <= max_uses", name=op.f("ck_promotion_code_within_limit")
        ),
        sa.CheckConstraint("used >= 0", name=op.f("ck_promotion_code_used_not_negative")),
        sa.ForeignKeyConstraint(
            ["coupon_id"], ["coupon.id"], name=op.f("fk_promotion_code_coupon_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion_code")),
        sa.UniqueConstraint("code", name=op.f("uq_promotion_code_code")),
    )
    op.create_index(
        "ix_promotion_code_batch", "promotion_code", ["coupon_id", "batch", "id"], unique=False
    )
    op.create_index(
        op.f("ix_promotion_code_coupon_id"), "promotion_code", ["coupon_id"], unique=False
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("role_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_staff_role_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
        sa.UniqueConstraint("public_id", name=op.f("uq_staff_public_id")),
    )
    op.create_table(
        "addon",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("hint", sa.String(length=255), nullable=False),
        sa.Column(
            "variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.Column("tax_class", sa.String(length=12), nullable=False),
        sa.Column("plans", sa.JSON(), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_addon_variant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addon")),
        sa.UniqueConstraint("public_id", name=op.f("uq_addon_public_id")),
    )
    op.create_index(op.f("ix_addon_variant_id"), "addon", ["variant_id"], unique=False)
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("object_ref", sa.String(length=40), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_audit_entry_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_entry_hash")),
    )
    op.create_index("ix_audit_entry_object", "audit_entry", ["object_ref", "id"], unique=False)
    op.create_index(op.f("ix_audit_entry_staff_id"), "audit_entry", ["staff_id"], unique=False)
    op.create_table(
        "fulfilment_batch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("cycle_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("format", sa.String(length=24), nullable=False),
        sa.Column(
            "row_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.CheckConstraint("row_count > 0", name=op.f("ck_fulfilment_batch_not_empty")),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["box_cycle.id"], name=op.f("fk_fulfilment_batch_cycle_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fulfilment_batch")),
        sa.UniqueConstraint("cycle_id", "number", name=op.f("uq_fulfilment_batch_cycle_id_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_fulfilment_batch_public_id")),
    )
    op.create_table(
        "option_group",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("hint", sa.String(length=255), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_option_group_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_option_group")),
        sa.UniqueConstraint("plan_id", "code", name=op.f("uq_option_group_plan_id_code")),
    )
    op.create_index(op.f("ix_option_group_plan_id"), "option_group", ["plan_id"], unique=False)
    op.create_table(
        "price",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("unit", sa.String(length=5), nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False),
        sa.Column(
            "sign_up_fee_minor",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("phases", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "unit IN ('day','week','month','year')", name=op.f("ck_price_unit_known")
        ),
        sa.CheckConstraint('"count" > 0', name=op.f("ck_price_count_positive")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_price_amount_not_negative")),
        sa.CheckConstraint("sign_up_fee_minor >= 0", name=op.f("ck_price_fee_not_negative")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_price_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price")),
        sa.UniqueConstraint(
            "plan_id",
            "currency",
            "country",
            "unit",
            "count",
            "version",
            name=op.f("uq_price_plan_id_currency_country_unit_count_version"),
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_price_public_id")),
    )
    op.create_index(op.f("ix_price_plan_id"), "price", ["plan_id"], unique=False)
    op.create_table(
        "recipe",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cycle_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("option_key", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["cycle_id"], ["box_cycle.id"], name=op.f("fk_recipe_cycle_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_recipe_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recipe_public_id")),
    )
    op.create_index(op.f("ix_recipe_cycle_id"), "recipe", ["cycle_id"], unique=False)
    op.create_index(op.f("ix_recipe_plan_id"), "recipe", ["plan_id"], unique=False)
    op.create_table(
        "staff_session",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_staff_session_token_hash")),
    )
    op.create_index(op.f("ix_staff_session_staff_id"), "staff_session", ["staff_id"], unique=False)
    op.create_table(
        "checkout",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("price_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("addons", sa.JSON(), nullable=False),
        sa.Column("more", sa.JSON(), nullable=False),
        sa.Column("tax_id", sa.String(length=24), nullable=False),
        sa.Column("tax_id_state", sa.String(length=8), nullable=False),
        sa.Column(
            "referrer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "promotion_code_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("quote", sa.JSON(), nullable=False),
        sa.Column("quote_hash", sa.String(length=64), nullable=False),
        sa.Column("consent", sa.JSON(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "state IN ('open','paying','done','expired')", name=op.f("ck_checkout_state")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_checkout_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_checkout_customer_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_checkout_plan_id")),
        sa.ForeignKeyConstraint(["price_id"], ["price.id"], name=op.f("fk_checkout_price_id")),
        sa.ForeignKeyConstraint(
            ["promotion_code_id"], ["promotion_code.id"], name=op.f("fk_checkout_promotion_code_id")
        ),
        sa.ForeignKeyConstraint(
            ["referrer_id"], ["customer.id"], name=op.f("fk_checkout_referrer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkout")),
        sa.UniqueConstraint("public_id", name=op.f("uq_checkout_public_id")),
    )
    op.create_index(op.f("ix_checkout_customer_id"), "checkout", ["customer_id"], unique=False)
    op.create_index("ix_checkout_expires", "checkout", ["state", "expires_at"], unique=False)
    op.create_table(
        "option",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("hint", sa.String(length=255), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("surcharges", sa.JSON(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["group_id"], ["option_group.id"], name=op.f("fk_option_group_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_option")),
        sa.UniqueConstraint("group_id", "code", name=op.f("uq_option_group_id_code")),
    )
    op.create_index(op.f("ix_option_group_id"), "option", ["group_id"], unique=False)
    op.create_table(
        "price_migration",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("price_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("segment", sa.JSON(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column(
            "notice_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scheduled_by", sa.String(length=40), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft','scheduled','done','withdrawn')",
            name=op.f("ck_price_migration_state"),
        ),
        sa.CheckConstraint("notice_days >= 0", name=op.f("ck_price_migration_notice_not_negative")),
        sa.ForeignKeyConstraint(
            ["price_id"], ["price.id"], name=op.f("fk_price_migration_price_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_migration")),
        sa.UniqueConstraint("public_id", name=op.f("uq_price_migration_public_id")),
    )
    op.create_index(
        op.f("ix_price_migration_price_id"), "price_migration", ["price_id"], unique=False
    )
    op.create_table(
        "recipe_item",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "recipe_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_recipe_item_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name=op.f("fk_recipe_item_recipe_id")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_recipe_item_variant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe_item")),
        sa.UniqueConstraint(
            "recipe_id", "variant_id", name=op.f("uq_recipe_item_recipe_id_variant_id")
        ),
    )
    op.create_index(op.f("ix_recipe_item_variant_id"), "recipe_item", ["variant_id"], unique=False)
    op.create_table(
        "gateway_setup",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "checkout_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "sent",
                "succeeded",
                "declined",
                "action_required",
                "pending",
                "unknown",
                "abandoned",
                name="attempt_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("redirect_url", sa.String(length=500), nullable=False),
        sa.Column(
            "payment_method_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_gateway_setup_checkout_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_gateway_setup_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_method_id"],
            ["payment_method.id"],
            name=op.f("fk_gateway_setup_payment_method_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_setup")),
        sa.UniqueConstraint("public_id", name=op.f("uq_gateway_setup_public_id")),
    )
    op.create_index(
        op.f("ix_gateway_setup_checkout_id"), "gateway_setup", ["checkout_id"], unique=False
    )
    op.create_index(
        op.f("ix_gateway_setup_customer_id"), "gateway_setup", ["customer_id"], unique=False
    )
    op.create_table(
        "invoice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("payer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "checkout_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("locale", sa.String(length=12), server_default="", nullable=False),
        sa.Column("tax_treatment", sa.String(length=16), server_default="standard", nullable=False),
        sa.Column("pay_by", sa.String(length=8), server_default="gateway", nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "offered",
                "discarded",
                "open",
                "paid",
                "void",
                "uncollectible",
                name="invoice_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("series", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False),
        sa.Column(
            "total_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "tax_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "credited_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "applied_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "paid_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "due_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("tax_point_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finalised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("written_off_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('draft','offered','discarded')) = (number IS NULL)",
            name=op.f("ck_invoice_numbered_once_finalised"),
        ),
        sa.CheckConstraint("pay_by IN ('gateway','bank')", name=op.f("ck_invoice_pay_by")),
        sa.CheckConstraint(
            "tax_treatment IN ('standard','reverse_charge','exempt','export')",
            name=op.f("ck_invoice_tax_treatment"),
        ),
        sa.CheckConstraint(
            "due_minor = total_minor - credited_minor - applied_minor - paid_minor",
            name=op.f("ck_invoice_due_is_the_rest"),
        ),
        sa.CheckConstraint(
            "total_minor >= 0 AND credited_minor >= 0 AND applied_minor >= 0 AND paid_minor >= 0 AND due_minor >= 0",
            name=op.f("ck_invoice_counters_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_invoice_checkout_id")
        ),
        sa.ForeignKeyConstraint(["payer_id"], ["customer.id"], name=op.f("fk_invoice_payer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("public_id", name=op.f("uq_invoice_public_id")),
    )
    op.create_index(op.f("ix_invoice_checkout_id"), "invoice", ["checkout_id"], unique=False)
    op.create_index("ix_invoice_payer", "invoice", ["payer_id", "id"], unique=False)
    op.create_index("ix_invoice_state", "invoice", ["state", "due_on"], unique=False)
    op.create_table(
        "subscription",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("payer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("price_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "payment_method_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "checkout_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "checkout_position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("order_tax_id", sa.String(length=20), server_default="", nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "incomplete",
                "trialing",
                "active",
                "past_due",
                "paused",
                "canceled",
                "expired",
                name="subscription_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("anchor_on", sa.Date(), nullable=False),
        sa.Column(
            "anchor_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "anchor_day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("next_on", sa.Date(), nullable=False),
        sa.Column(
            "next_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "billed_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "boxes_billed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "min_boxes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("max_boxes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("pauses_on", sa.Date(), nullable=True),
        sa.Column("resumes_on", sa.Date(), nullable=True),
        sa.Column("renews_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_on", sa.Date(), nullable=True),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "end_reason",
            sa.Enum(
                "voluntary",
                "unpaid",
                "completed",
                "staff",
                "abandoned",
                name="end_reason",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "hold_reason",
            sa.Enum(
                "dispute",
                "staff",
                "outage",
                "no_consent",
                "no_method",
                name="hold_reason",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column(
            "mrr_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("cohort", sa.String(length=7), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "anchor_day BETWEEN 1 AND 31", name=op.f("ck_subscription_anchor_day_in_month")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_subscription_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_subscription_address_id")
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_subscription_checkout_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_subscription_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["payer_id"], ["customer.id"], name=op.f("fk_subscription_payer_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_method_id"],
            ["payment_method.id"],
            name=op.f("fk_subscription_payment_method_id"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_subscription_plan_id")),
        sa.ForeignKeyConstraint(["price_id"], ["price.id"], name=op.f("fk_subscription_price_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("public_id", name=op.f("uq_subscription_public_id")),
    )
    op.create_index("ix_subscription_created", "subscription", ["created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_subscription_customer_id"), "subscription", ["customer_id"], unique=False
    )
    op.create_index(op.f("ix_subscription_plan_id"), "subscription", ["plan_id"], unique=False)
    op.create_index(op.f("ix_subscription_price_id"), "subscription", ["price_id"], unique=False)
    op.create_index("ix_subscription_state", "subscription", ["state", "id"], unique=False)
    op.create_table(
        "charge_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gateway", sa.String(length=24), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column(
            "payment_method_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("fingerprint", sa.String(length=80), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "carried_minor",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default="0",
            nullable=False,
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("on_session", sa.Boolean(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "sent",
                "succeeded",
                "declined",
                "action_required",
                "pending",
                "unknown",
                "abandoned",
                name="attempt_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "decline_kind",
            sa.Enum(
                "soft",
                "hard",
                name="decline_kind",
                native_enum=False,
                create_constraint=True,
                length=8,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("gateway_reference", sa.String(length=255), nullable=False),
        sa.Column("action_url", sa.String(length=500), nullable=False),
        sa.Column("settles", sa.Boolean(), nullable=False),
        sa.Column(
            "refunded_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_charge_attempt_amount_positive")),
        sa.CheckConstraint(
            "carried_minor BETWEEN 0 AND amount_minor",
            name=op.f("ck_charge_attempt_carried_within"),
        ),
        sa.CheckConstraint(
            "refunded_minor BETWEEN 0 AND amount_minor",
            name=op.f("ck_charge_attempt_refunded_within"),
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_charge_attempt_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_method_id"],
            ["payment_method.id"],
            name=op.f("fk_charge_attempt_payment_method_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge_attempt")),
        sa.UniqueConstraint(
            "invoice_id", "number", name=op.f("uq_charge_attempt_invoice_id_number")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_charge_attempt_public_id")),
    )
    op.create_index(
        "ix_charge_attempt_limits",
        "charge_attempt",
        ["fingerprint", "amount_minor", "sent_at"],
        unique=False,
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("text_version", sa.String(length=24), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("interval", sa.String(length=16), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_consent_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_consent_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sa.UniqueConstraint("public_id", name=op.f("uq_consent_public_id")),
    )
    op.create_index(op.f("ix_consent_customer_id"), "consent", ["customer_id"], unique=False)
    op.create_index(
        op.f("ix_consent_subscription_id"), "consent", ["subscription_id"], unique=False
    )
    op.create_table(
        "credit_note",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("series", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "total_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "tax_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "reason",
            sa.Enum(
                "void",
                "refund",
                "cancellation",
                "change",
                "pause",
                "goodwill",
                "wrong_price",
                name="credit_reason",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("to", sa.String(length=8), server_default="open", nullable=False),
        sa.Column("snapshot", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("locale", sa.String(length=12), server_default="", nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "\"to\" IN ('open','card','credit','bank')", name=op.f("ck_credit_note_to")
        ),
        sa.CheckConstraint("total_minor >= 0", name=op.f("ck_credit_note_total_not_negative")),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_credit_note_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note")),
        sa.UniqueConstraint("public_id", name=op.f("uq_credit_note_public_id")),
        sa.UniqueConstraint("series", "number", name=op.f("uq_credit_note_series_number")),
    )
    op.create_index(op.f("ix_credit_note_invoice_id"), "credit_note", ["invoice_id"], unique=False)
    op.create_table(
        "dunning_case",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("step", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resume_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_action", sa.String(length=12), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('decline','authentication')", name=op.f("ck_dunning_case_kind")
        ),
        sa.CheckConstraint(
            "state IN ('open','recovered','lost','closed')", name=op.f("ck_dunning_case_state")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_dunning_case_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_case")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_dunning_case_invoice_id")),
    )
    op.create_table(
        "movement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("cohort", sa.String(length=7), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "delta_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "kind IN ('new','expansion','contraction','churn','reactivation')",
            name=op.f("ck_movement_kind"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_movement_plan_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_movement_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movement")),
    )
    op.create_index("ix_movement_day", "movement", ["on_day", "id"], unique=False)
    op.create_index(
        op.f("ix_movement_subscription_id"), "movement", ["subscription_id"], unique=False
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("period_start_on", sa.String(length=10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_notice_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "kind",
            "subscription_id",
            "period_start_on",
            name=op.f("uq_notice_kind_subscription_id_period_start_on"),
        ),
    )
    op.create_table(
        "referral",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("giver_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "friend_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "giver_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "friend_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting','granted','refused')", name=op.f("ck_referral_state")
        ),
        sa.CheckConstraint("giver_id <> friend_id", name=op.f("ck_referral_two_people")),
        sa.CheckConstraint(
            "giver_minor >= 0 AND friend_minor >= 0", name=op.f("ck_referral_amounts_not_negative")
        ),
        sa.ForeignKeyConstraint(["friend_id"], ["customer.id"], name=op.f("fk_referral_friend_id")),
        sa.ForeignKeyConstraint(["giver_id"], ["customer.id"], name=op.f("fk_referral_giver_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_referral_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral")),
        sa.UniqueConstraint("friend_id", name=op.f("uq_referral_friend_id")),
    )
    op.create_index(op.f("ix_referral_giver_id"), "referral", ["giver_id"], unique=False)
    op.create_index(
        op.f("ix_referral_subscription_id"), "referral", ["subscription_id"], unique=False
    )
    op.create_table(
        "scheduled_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("price_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('plan','quantity','option','price','pause','resume')",
            name=op.f("ck_scheduled_change_kind"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting','applied','withdrawn')", name=op.f("ck_scheduled_change_state")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_scheduled_change_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["price_id"], ["price.id"], name=op.f("fk_scheduled_change_price_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_scheduled_change_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_change")),
    )
    op.create_index(
        "ix_scheduled_change_due",
        "scheduled_change",
        ["subscription_id", "state", "effective_on"],
        unique=False,
    )
    op.create_index(
        op.f("ix_scheduled_change_invoice_id"), "scheduled_change", ["invoice_id"], unique=False
    )
    op.create_table(
        "subscription_discount",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "coupon_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column(
            "promotion_code_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "cycles_left", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("holds_use", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.CheckConstraint(
            "cycles_left IS NULL OR cycles_left >= 0",
            name=op.f("ck_subscription_discount_cycles_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["coupon_id"], ["coupon.id"], name=op.f("fk_subscription_discount_coupon_id")
        ),
        sa.ForeignKeyConstraint(
            ["promotion_code_id"],
            ["promotion_code.id"],
            name=op.f("fk_subscription_discount_promotion_code_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_subscription_discount_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_discount")),
        sa.UniqueConstraint(
            "subscription_id",
            "coupon_id",
            name=op.f("uq_subscription_discount_subscription_id_coupon_id"),
        ),
    )
    op.create_index(
        op.f("ix_subscription_discount_coupon_id"),
        "subscription_discount",
        ["coupon_id"],
        unique=False,
    )
    op.create_table(
        "subscription_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=12), nullable=False),
        sa.Column("actor_ref", sa.String(length=40), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_subscription_event_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_event")),
    )
    op.create_index(
        "ix_subscription_event_of", "subscription_event", ["subscription_id", "id"], unique=False
    )
    op.create_table(
        "subscription_period",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "trial",
                "billed",
                "free",
                "gift",
                "skipped",
                "paused",
                name="period_kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "invoiced",
                "paid",
                "void",
                name="period_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("end_on", sa.Date(), nullable=False),
        sa.Column(
            "billed_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("price_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "box_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "mrr_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("earned_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "box_count >= 0", name=op.f("ck_subscription_period_box_count_not_negative")
        ),
        sa.CheckConstraint("end_on > start_on", name=op.f("ck_subscription_period_not_empty")),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_subscription_period_plan_id")
        ),
        sa.ForeignKeyConstraint(
            ["price_id"], ["price.id"], name=op.f("fk_subscription_period_price_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_subscription_period_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_period")),
        sa.UniqueConstraint(
            "subscription_id", "number", name=op.f("uq_subscription_period_subscription_id_number")
        ),
        sa.UniqueConstraint(
            "subscription_id",
            "start_on",
            name=op.f("uq_subscription_period_subscription_id_start_on"),
        ),
    )
    op.create_table(
        "carried_amount",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("payer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_carried_amount_amount_positive")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["charge_attempt.id"], name=op.f("fk_carried_amount_attempt_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_carried_amount_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["payer_id"], ["customer.id"], name=op.f("fk_carried_amount_payer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carried_amount")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_carried_amount_invoice_id")),
    )
    op.create_index(
        op.f("ix_carried_amount_attempt_id"), "carried_amount", ["attempt_id"], unique=False
    )
    op.create_index(
        "ix_carried_amount_of",
        "carried_amount",
        ["payer_id", "currency", "settled_at"],
        unique=False,
    )
    op.create_table(
        "credit_move",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "customer_credit_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "rest_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("origin", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column(
            "credit_note_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_move_amount_positive")),
        sa.CheckConstraint(
            "rest_minor BETWEEN 0 AND amount_minor", name=op.f("ck_credit_move_rest_within_amount")
        ),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_credit_move_credit_note_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_credit_id"],
            ["customer_credit.id"],
            name=op.f("fk_credit_move_customer_credit_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_move")),
    )
    op.create_index(
        op.f("ix_credit_move_customer_credit_id"),
        "credit_move",
        ["customer_credit_id"],
        unique=False,
    )
    op.create_table(
        "invoice_line",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "plan",
                "option",
                "addon",
                "sign_up_fee",
                "shipping",
                "discount",
                "proration_credit",
                "proration_charge",
                "extra",
                name="line_kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("text", sa.String(length=255), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("service_from", sa.Date(), nullable=True),
        sa.Column("service_to", sa.Date(), nullable=True),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "unit_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "tax_rate_bp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "tax_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "gross_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "credited_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "corrects_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("lowers", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "credited_minor >= 0 AND (credited_minor = 0 OR credited_minor <= gross_minor)",
            name=op.f("ck_invoice_line_credited_within_amount"),
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_invoice_line_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["corrects_line_id"], ["invoice_line.id"], name=op.f("fk_invoice_line_corrects_line_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["subscription_period.id"], name=op.f("fk_invoice_line_period_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_invoice_line_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_line")),
        sa.UniqueConstraint(
            "invoice_id", "position", name=op.f("uq_invoice_line_invoice_id_position")
        ),
    )
    op.create_index("ix_invoice_line_period", "invoice_line", ["period_id"], unique=False)
    op.create_index(
        op.f("ix_invoice_line_subscription_id"), "invoice_line", ["subscription_id"], unique=False
    )
    op.create_table(
        "price_migration_item",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "migration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "old_price_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "old_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "new_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("applies_on", sa.Date(), nullable=False),
        sa.Column(
            "scheduled_change_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting','told','opted_out','moved','gone')",
            name=op.f("ck_price_migration_item_state"),
        ),
        sa.ForeignKeyConstraint(
            ["migration_id"],
            ["price_migration.id"],
            name=op.f("fk_price_migration_item_migration_id"),
        ),
        sa.ForeignKeyConstraint(
            ["old_price_id"], ["price.id"], name=op.f("fk_price_migration_item_old_price_id")
        ),
        sa.ForeignKeyConstraint(
            ["scheduled_change_id"],
            ["scheduled_change.id"],
            name=op.f("fk_price_migration_item_scheduled_change_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_price_migration_item_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_migration_item")),
        sa.UniqueConstraint(
            "migration_id",
            "subscription_id",
            name=op.f("uq_price_migration_item_migration_id_subscription_id"),
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_price_migration_item_public_id")),
    )
    op.create_index(
        "ix_price_migration_item_state",
        "price_migration_item",
        ["migration_id", "state", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_price_migration_item_subscription_id"),
        "price_migration_item",
        ["subscription_id"],
        unique=False,
    )
    op.create_table(
        "redemption",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_discount_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "coupon_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "promotion_code_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("given_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_redemption_lowers_something")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("fk_redemption_coupon_id")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_redemption_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_redemption_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["promotion_code_id"],
            ["promotion_code.id"],
            name=op.f("fk_redemption_promotion_code_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_discount_id"],
            ["subscription_discount.id"],
            name=op.f("fk_redemption_subscription_discount_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redemption")),
        sa.UniqueConstraint(
            "subscription_discount_id",
            "invoice_id",
            name=op.f("uq_redemption_subscription_discount_id_invoice_id"),
        ),
    )
    op.create_index(op.f("ix_redemption_coupon_id"), "redemption", ["coupon_id"], unique=False)
    op.create_index(op.f("ix_redemption_customer_id"), "redemption", ["customer_id"], unique=False)
    op.create_index(op.f("ix_redemption_invoice_id"), "redemption", ["invoice_id"], unique=False)
    op.create_index(
        op.f("ix_redemption_promotion_code_id"), "redemption", ["promotion_code_id"], unique=False
    )
    op.create_table(
        "refund",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "credit_note_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "sent",
                "succeeded",
                "declined",
                "action_required",
                "pending",
                "unknown",
                "abandoned",
                name="attempt_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("gateway_reference", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_amount_positive")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["charge_attempt.id"], name=op.f("fk_refund_attempt_id")
        ),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_refund_credit_note_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("public_id", name=op.f("uq_refund_public_id")),
    )
    op.create_index(op.f("ix_refund_attempt_id"), "refund", ["attempt_id"], unique=False)
    op.create_table(
        "subscription_addon",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("addon_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "unit_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("cadence", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "cadence IN ('once','every')", name=op.f("ck_subscription_addon_cadence")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_subscription_addon_quantity_positive")),
        sa.CheckConstraint("unit_minor >= 0", name=op.f("ck_subscription_addon_unit_not_negative")),
        sa.ForeignKeyConstraint(
            ["addon_id"], ["addon.id"], name=op.f("fk_subscription_addon_addon_id")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["subscription_period.id"], name=op.f("fk_subscription_addon_period_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_subscription_addon_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_addon")),
        sa.UniqueConstraint("public_id", name=op.f("uq_subscription_addon_public_id")),
    )
    op.create_index(
        op.f("ix_subscription_addon_addon_id"), "subscription_addon", ["addon_id"], unique=False
    )
    op.create_index(
        "ix_subscription_addon_of",
        "subscription_addon",
        ["subscription_id", "ended_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_subscription_addon_period_id"), "subscription_addon", ["period_id"], unique=False
    )
    op.create_table(
        "box",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "regular",
                "replacement",
                "extra",
                name="box_kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("ordinal", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "replaces_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("cycle_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "invoice_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "net_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "tax_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "held",
                "locked",
                "exported",
                "shipped",
                "delivered",
                "returned",
                "lost",
                "canceled",
                name="box_state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("problem", sa.String(length=24), nullable=False),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("ship_to", sa.JSON(), nullable=True),
        sa.Column("packing", sa.JSON(), nullable=True),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "shipment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("ordinal > 0", name=op.f("ck_box_ordinal_positive")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_box_quantity_positive")),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name=op.f("fk_box_address_id")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["fulfilment_batch.id"], name=op.f("fk_box_batch_id")
        ),
        sa.ForeignKeyConstraint(["cycle_id"], ["box_cycle.id"], name=op.f("fk_box_cycle_id")),
        sa.ForeignKeyConstraint(
            ["invoice_line_id"], ["invoice_line.id"], name=op.f("fk_box_invoice_line_id")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["subscription_period.id"], name=op.f("fk_box_period_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_box_plan_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["box.id"], name=op.f("fk_box_replaces_id")),
        sa.ForeignKeyConstraint(["shipment_id"], ["shipment.id"], name=op.f("fk_box_shipment_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_box_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box")),
        sa.UniqueConstraint("public_id", name=op.f("uq_box_public_id")),
    )
    op.create_index("ix_box_batch", "box", ["batch_id"], unique=False)
    op.create_index("ix_box_cycle", "box", ["cycle_id", "state"], unique=False)
    op.create_index(op.f("ix_box_period_id"), "box", ["period_id"], unique=False)
    op.create_index(op.f("ix_box_shipment_id"), "box", ["shipment_id"], unique=False)
    op.create_index("ix_box_subscription", "box", ["subscription_id", "id"], unique=False)
    op.create_table(
        "credit_application",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "credit_move_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_application_amount_positive")),
        sa.ForeignKeyConstraint(
            ["credit_move_id"],
            ["credit_move.id"],
            name=op.f("fk_credit_application_credit_move_id"),
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_credit_application_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_application")),
        sa.UniqueConstraint(
            "invoice_id",
            "credit_move_id",
            name=op.f("uq_credit_application_invoice_id_credit_move_id"),
        ),
    )
    op.create_index(
        op.f("ix_credit_application_credit_move_id"),
        "credit_application",
        ["credit_move_id"],
        unique=False,
    )
    op.create_table(
        "credit_note_line",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "credit_note_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "invoice_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "gross_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "tax_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint("gross_minor <> 0", name=op.f("ck_credit_note_line_credits_something")),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_credit_note_line_credit_note_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_line_id"],
            ["invoice_line.id"],
            name=op.f("fk_credit_note_line_invoice_line_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note_line")),
        sa.UniqueConstraint(
            "credit_note_id",
            "invoice_line_id",
            name=op.f("uq_credit_note_line_credit_note_id_invoice_line_id"),
        ),
    )
    op.create_index(
        op.f("ix_credit_note_line_invoice_line_id"),
        "credit_note_line",
        ["invoice_line_id"],
        unique=False,
    )
    op.create_table(
        "box_item",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.CheckConstraint(
            "origin IN ('recipe','choice','addon','substitute')", name=op.f("ck_box_item_origin")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_box_item_quantity_positive")),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_box_item_box_id")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_box_item_variant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_item")),
        sa.UniqueConstraint("box_id", "variant_id", name=op.f("uq_box_item_box_id_variant_id")),
    )
    op.create_index(op.f("ix_box_item_variant_id"), "box_item", ["variant_id"], unique=False)
    op.create_table(
        "box_skip",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("cycle_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "moved_box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "moved_to_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cycle_id"], ["box_cycle.id"], name=op.f("fk_box_skip_cycle_id")),
        sa.ForeignKeyConstraint(
            ["moved_box_id"], ["box.id"], name=op.f("fk_box_skip_moved_box_id")
        ),
        sa.ForeignKeyConstraint(
            ["moved_to_id"], ["box_cycle.id"], name=op.f("fk_box_skip_moved_to_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_box_skip_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_box_skip")),
        sa.UniqueConstraint(
            "subscription_id", "cycle_id", name=op.f("uq_box_skip_subscription_id_cycle_id")
        ),
    )
    op.create_index(op.f("ix_box_skip_cycle_id"), "box_skip", ["cycle_id"], unique=False)
    op.create_table(
        "ledger_transfer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("debit", sa.String(length=40), nullable=False),
        sa.Column("credit", sa.String(length=40), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_ledger_transfer_amount_positive")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_ledger_transfer_two_accounts")),
        sa.ForeignKeyConstraint(["box_id"], ["box.id"], name=op.f("fk_ledger_transfer_box_id")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_ledger_transfer_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_ledger_transfer_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["journal_id"], ["ledger_journal.id"], name=op.f("fk_ledger_transfer_journal_id")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["subscription_period.id"], name=op.f("fk_ledger_transfer_period_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transfer")),
    )
    op.create_index("ix_ledger_transfer_invoice", "ledger_transfer", ["invoice_id"], unique=False)
    op.create_index("ix_ledger_transfer_journal", "ledger_transfer", ["journal_id"], unique=False)
    op.create_table(
        "stock_move",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "box_item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.CheckConstraint(
            "kind IN ('receipt','allocation','release','shipment','loss','correction')",
            name=op.f("ck_stock_move_kind"),
        ),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_stock_move_moves_something")),
        sa.ForeignKeyConstraint(
            ["box_item_id"], ["box_item.id"], name=op.f("fk_stock_move_box_item_id")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["product_variant.id"], name=op.f("fk_stock_move_variant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_move")),
    )
    op.create_index(op.f("ix_stock_move_variant_id"), "stock_move", ["variant_id"], unique=False)
    # ### end Alembic commands ###
    for statement in INDEXES:
        op.execute(statement)
    postgresql = op.get_bind().dialect.name == "postgresql"
    for _name, _table, lite, post in TRIGGERS:
        for statement in post if postgresql else (lite,):
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise RuntimeError("the first revision has nothing before it; restore a backup instead")
