"""Erasing people on request: who asked, who is erased, and what of documents went with them."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Name, statement for SQLite, the function of PostgreSQL. All replace their namesakes.
TRIGGERS = (
    (
        "tr_invoice_frozen",
        'CREATE TRIGGER tr_invoice_frozen BEFORE UPDATE ON invoice FOR EACH ROW WHEN (OLD.state <> \'draft\') AND (OLD."public_id" IS NOT NEW."public_id" OR (OLD."payer_id" IS NOT NEW."payer_id" AND NOT EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD."payer_id" AND customer.merged_into_id = NEW."payer_id")) OR OLD."checkout_id" IS NOT NEW."checkout_id" OR OLD."locale" IS NOT NEW."locale" OR OLD."tax_treatment" IS NOT NEW."tax_treatment" OR OLD."pay_by" IS NOT NEW."pay_by" OR OLD."series" IS NOT NEW."series" OR OLD."currency" IS NOT NEW."currency" OR OLD."tax_inclusive" IS NOT NEW."tax_inclusive" OR OLD."total_minor" IS NOT NEW."total_minor" OR OLD."tax_minor" IS NOT NEW."tax_minor" OR OLD."tax_point_on" IS NOT NEW."tax_point_on" OR OLD."due_on" IS NOT NEW."due_on" OR (OLD."snapshot" IS NOT NEW."snapshot" AND NOT (OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL AND EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD.payer_id AND customer.erased_at IS NOT NULL))) OR OLD."content_hash" IS NOT NEW."content_hash" OR OLD."created_at" IS NOT NEW."created_at") BEGIN SELECT RAISE(ABORT, \'invoice is frozen\'); END',
        'CREATE OR REPLACE FUNCTION tr_invoice_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (OLD.state <> \'draft\') AND (OLD."public_id" IS DISTINCT FROM NEW."public_id" OR (OLD."payer_id" IS DISTINCT FROM NEW."payer_id" AND NOT EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD."payer_id" AND customer.merged_into_id = NEW."payer_id")) OR OLD."checkout_id" IS DISTINCT FROM NEW."checkout_id" OR OLD."locale" IS DISTINCT FROM NEW."locale" OR OLD."tax_treatment" IS DISTINCT FROM NEW."tax_treatment" OR OLD."pay_by" IS DISTINCT FROM NEW."pay_by" OR OLD."series" IS DISTINCT FROM NEW."series" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."tax_inclusive" IS DISTINCT FROM NEW."tax_inclusive" OR OLD."total_minor" IS DISTINCT FROM NEW."total_minor" OR OLD."tax_minor" IS DISTINCT FROM NEW."tax_minor" OR OLD."tax_point_on" IS DISTINCT FROM NEW."tax_point_on" OR OLD."due_on" IS DISTINCT FROM NEW."due_on" OR (OLD."snapshot"::text IS DISTINCT FROM NEW."snapshot"::text AND NOT (OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL AND EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD.payer_id AND customer.erased_at IS NOT NULL))) OR OLD."content_hash" IS DISTINCT FROM NEW."content_hash" OR OLD."created_at" IS DISTINCT FROM NEW."created_at") THEN RAISE EXCEPTION \'invoice is frozen\'; END IF; RETURN NEW; END $$',
    ),
    (
        "tr_subscription_event_no_update",
        'CREATE TRIGGER tr_subscription_event_no_update BEFORE UPDATE ON subscription_event FOR EACH ROW WHEN NOT (EXISTS (SELECT 1 FROM subscription JOIN customer ON customer.id IN (subscription.customer_id, subscription.payer_id) WHERE subscription.id = OLD.subscription_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS NOT NEW."id" OR OLD."subscription_id" IS NOT NEW."subscription_id" OR OLD."at" IS NOT NEW."at" OR OLD."kind" IS NOT NEW."kind" OR OLD."actor" IS NOT NEW."actor" OR OLD."actor_ref" IS NOT NEW."actor_ref" BEGIN SELECT RAISE(ABORT, \'subscription_event is append-only\'); END',
        'CREATE OR REPLACE FUNCTION tr_subscription_event_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT (EXISTS (SELECT 1 FROM subscription JOIN customer ON customer.id IN (subscription.customer_id, subscription.payer_id) WHERE subscription.id = OLD.subscription_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS DISTINCT FROM NEW."id" OR OLD."subscription_id" IS DISTINCT FROM NEW."subscription_id" OR OLD."at" IS DISTINCT FROM NEW."at" OR OLD."kind" IS DISTINCT FROM NEW."kind" OR OLD."actor" IS DISTINCT FROM NEW."actor" OR OLD."actor_ref" IS DISTINCT FROM NEW."actor_ref" THEN RAISE EXCEPTION \'subscription_event is append-only\'; END IF; RETURN NEW; END $$',
    ),
    (
        "tr_consent_no_update",
        'CREATE TRIGGER tr_consent_no_update BEFORE UPDATE ON consent FOR EACH ROW WHEN NOT (EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD.customer_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS NOT NEW."id" OR OLD."public_id" IS NOT NEW."public_id" OR OLD."customer_id" IS NOT NEW."customer_id" OR OLD."subscription_id" IS NOT NEW."subscription_id" OR OLD."kind" IS NOT NEW."kind" OR OLD."text" IS NOT NEW."text" OR OLD."text_hash" IS NOT NEW."text_hash" OR OLD."text_version" IS NOT NEW."text_version" OR OLD."amount_minor" IS NOT NEW."amount_minor" OR OLD."currency" IS NOT NEW."currency" OR OLD."interval" IS NOT NEW."interval" OR OLD."given_at" IS NOT NEW."given_at" BEGIN SELECT RAISE(ABORT, \'consent is append-only\'); END',
        'CREATE OR REPLACE FUNCTION tr_consent_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT (EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD.customer_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS DISTINCT FROM NEW."id" OR OLD."public_id" IS DISTINCT FROM NEW."public_id" OR OLD."customer_id" IS DISTINCT FROM NEW."customer_id" OR OLD."subscription_id" IS DISTINCT FROM NEW."subscription_id" OR OLD."kind" IS DISTINCT FROM NEW."kind" OR OLD."text" IS DISTINCT FROM NEW."text" OR OLD."text_hash" IS DISTINCT FROM NEW."text_hash" OR OLD."text_version" IS DISTINCT FROM NEW."text_version" OR OLD."amount_minor" IS DISTINCT FROM NEW."amount_minor" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."interval" IS DISTINCT FROM NEW."interval" OR OLD."given_at" IS DISTINCT FROM NEW."given_at" THEN RAISE EXCEPTION \'consent is append-only\'; END IF; RETURN NEW; END $$',
    ),
    (
        "tr_credit_note_no_update",
        'CREATE TRIGGER tr_credit_note_no_update BEFORE UPDATE ON credit_note FOR EACH ROW WHEN NOT (OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL AND EXISTS (SELECT 1 FROM invoice JOIN customer ON customer.id = invoice.payer_id WHERE invoice.id = OLD.invoice_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS NOT NEW."id" OR OLD."public_id" IS NOT NEW."public_id" OR OLD."invoice_id" IS NOT NEW."invoice_id" OR OLD."series" IS NOT NEW."series" OR OLD."number" IS NOT NEW."number" OR OLD."currency" IS NOT NEW."currency" OR OLD."total_minor" IS NOT NEW."total_minor" OR OLD."tax_minor" IS NOT NEW."tax_minor" OR OLD."reason" IS NOT NEW."reason" OR OLD."to" IS NOT NEW."to" OR OLD."locale" IS NOT NEW."locale" OR OLD."content_hash" IS NOT NEW."content_hash" OR OLD."created_at" IS NOT NEW."created_at" BEGIN SELECT RAISE(ABORT, \'credit_note is append-only\'); END',
        'CREATE OR REPLACE FUNCTION tr_credit_note_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT (OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL AND EXISTS (SELECT 1 FROM invoice JOIN customer ON customer.id = invoice.payer_id WHERE invoice.id = OLD.invoice_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS DISTINCT FROM NEW."id" OR OLD."public_id" IS DISTINCT FROM NEW."public_id" OR OLD."invoice_id" IS DISTINCT FROM NEW."invoice_id" OR OLD."series" IS DISTINCT FROM NEW."series" OR OLD."number" IS DISTINCT FROM NEW."number" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."total_minor" IS DISTINCT FROM NEW."total_minor" OR OLD."tax_minor" IS DISTINCT FROM NEW."tax_minor" OR OLD."reason" IS DISTINCT FROM NEW."reason" OR OLD."to" IS DISTINCT FROM NEW."to" OR OLD."locale" IS DISTINCT FROM NEW."locale" OR OLD."content_hash" IS DISTINCT FROM NEW."content_hash" OR OLD."created_at" IS DISTINCT FROM NEW."created_at" THEN RAISE EXCEPTION \'credit_note is append-only\'; END IF; RETURN NEW; END $$',
    ),
    (
        "tr_subscription_owner",
        "CREATE TRIGGER tr_subscription_owner BEFORE INSERT ON subscription FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id, NEW.payer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) BEGIN SELECT RAISE(ABORT, 'the account is closed'); END",
        "CREATE OR REPLACE FUNCTION tr_subscription_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.customer_id, NEW.payer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id, NEW.payer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) THEN RAISE EXCEPTION 'the account is closed' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
    ),
    (
        "tr_invoice_owner",
        "CREATE TRIGGER tr_invoice_owner BEFORE INSERT ON invoice FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.payer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) BEGIN SELECT RAISE(ABORT, 'the account is closed'); END",
        "CREATE OR REPLACE FUNCTION tr_invoice_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.payer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.payer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) THEN RAISE EXCEPTION 'the account is closed' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
    ),
    (
        "tr_payment_method_owner",
        "CREATE TRIGGER tr_payment_method_owner BEFORE INSERT ON payment_method FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) BEGIN SELECT RAISE(ABORT, 'the account is closed'); END",
        "CREATE OR REPLACE FUNCTION tr_payment_method_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.customer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) THEN RAISE EXCEPTION 'the account is closed' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
    ),
    (
        "tr_address_owner",
        "CREATE TRIGGER tr_address_owner BEFORE INSERT ON address FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) BEGIN SELECT RAISE(ABORT, 'the account is closed'); END",
        "CREATE OR REPLACE FUNCTION tr_address_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.customer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND (customer.merged_into_id IS NOT NULL OR customer.erased_at IS NOT NULL)) THEN RAISE EXCEPTION 'the account is closed' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
    ),
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    for table, column in (
        ("customer", "erased_at"),
        ("invoice", "blanked_at"),
        ("credit_note", "blanked_at"),
    ):
        op.add_column(table, sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    years = sa.Column("document_years", INTEGER, server_default="10", nullable=False)
    op.add_column("shop_settings", years)
    op.create_table(
        "erasure_request",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("customer_id", INTEGER, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting','done','withdrawn')", name=op.f("ck_erasure_request_state")
        ),
        sa.CheckConstraint(
            "(state = 'done') = (done_at IS NOT NULL)", name=op.f("ck_erasure_request_done_once")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_erasure_request_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_request")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_erasure_request_customer_id")),
    )
    op.create_index(op.f("ix_erasure_request_state"), "erasure_request", ["state", "id"])
    for name, lite, function in TRIGGERS:
        if not is_postgresql:
            op.get_bind().exec_driver_sql(f"DROP TRIGGER {name}")
        op.get_bind().exec_driver_sql(function if is_postgresql else lite)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
