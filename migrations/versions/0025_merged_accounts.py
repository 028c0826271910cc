"""Accounts that were merged into another: what they had follows, and nothing new comes."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

#: Name, table, statement for SQLite, statements for PostgreSQL. The first replaces its namesake.
TRIGGERS = (
    (
        "tr_invoice_frozen",
        "invoice",
        'CREATE TRIGGER tr_invoice_frozen BEFORE UPDATE ON invoice FOR EACH ROW WHEN (OLD.state <> \'draft\') AND (OLD."public_id" IS NOT NEW."public_id" OR (OLD."payer_id" IS NOT NEW."payer_id" AND NOT EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD."payer_id" AND customer.merged_into_id = NEW."payer_id")) OR OLD."checkout_id" IS NOT NEW."checkout_id" OR OLD."locale" IS NOT NEW."locale" OR OLD."tax_treatment" IS NOT NEW."tax_treatment" OR OLD."pay_by" IS NOT NEW."pay_by" OR OLD."series" IS NOT NEW."series" OR OLD."currency" IS NOT NEW."currency" OR OLD."tax_inclusive" IS NOT NEW."tax_inclusive" OR OLD."total_minor" IS NOT NEW."total_minor" OR OLD."tax_minor" IS NOT NEW."tax_minor" OR OLD."tax_point_on" IS NOT NEW."tax_point_on" OR OLD."due_on" IS NOT NEW."due_on" OR OLD."snapshot" IS NOT NEW."snapshot" OR OLD."content_hash" IS NOT NEW."content_hash" OR OLD."created_at" IS NOT NEW."created_at") BEGIN SELECT RAISE(ABORT, \'invoice is frozen\'); END',
        (
            'CREATE OR REPLACE FUNCTION tr_invoice_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (OLD.state <> \'draft\') AND (OLD."public_id" IS DISTINCT FROM NEW."public_id" OR (OLD."payer_id" IS DISTINCT FROM NEW."payer_id" AND NOT EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD."payer_id" AND customer.merged_into_id = NEW."payer_id")) OR OLD."checkout_id" IS DISTINCT FROM NEW."checkout_id" OR OLD."locale" IS DISTINCT FROM NEW."locale" OR OLD."tax_treatment" IS DISTINCT FROM NEW."tax_treatment" OR OLD."pay_by" IS DISTINCT FROM NEW."pay_by" OR OLD."series" IS DISTINCT FROM NEW."series" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."tax_inclusive" IS DISTINCT FROM NEW."tax_inclusive" OR OLD."total_minor" IS DISTINCT FROM NEW."total_minor" OR OLD."tax_minor" IS DISTINCT FROM NEW."tax_minor" OR OLD."tax_point_on" IS DISTINCT FROM NEW."tax_point_on" OR OLD."due_on" IS DISTINCT FROM NEW."due_on" OR OLD."snapshot"::text IS DISTINCT FROM NEW."snapshot"::text OR OLD."content_hash" IS DISTINCT FROM NEW."content_hash" OR OLD."created_at" IS DISTINCT FROM NEW."created_at") THEN RAISE EXCEPTION \'invoice is frozen\'; END IF; RETURN NEW; END $$',
            "CREATE TRIGGER tr_invoice_frozen BEFORE UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION tr_invoice_frozen()",
        ),
    ),
    (
        "tr_subscription_owner",
        "subscription",
        "CREATE TRIGGER tr_subscription_owner BEFORE INSERT ON subscription FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id, NEW.payer_id) AND customer.merged_into_id IS NOT NULL) BEGIN SELECT RAISE(ABORT, 'the account was merged into another'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_subscription_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.customer_id, NEW.payer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id, NEW.payer_id) AND customer.merged_into_id IS NOT NULL) THEN RAISE EXCEPTION 'the account was merged into another' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
            "CREATE TRIGGER tr_subscription_owner BEFORE INSERT ON subscription FOR EACH ROW EXECUTE FUNCTION tr_subscription_owner()",
        ),
    ),
    (
        "tr_invoice_owner",
        "invoice",
        "CREATE TRIGGER tr_invoice_owner BEFORE INSERT ON invoice FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.payer_id) AND customer.merged_into_id IS NOT NULL) BEGIN SELECT RAISE(ABORT, 'the account was merged into another'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_invoice_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.payer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.payer_id) AND customer.merged_into_id IS NOT NULL) THEN RAISE EXCEPTION 'the account was merged into another' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
            "CREATE TRIGGER tr_invoice_owner BEFORE INSERT ON invoice FOR EACH ROW EXECUTE FUNCTION tr_invoice_owner()",
        ),
    ),
    (
        "tr_payment_method_owner",
        "payment_method",
        "CREATE TRIGGER tr_payment_method_owner BEFORE INSERT ON payment_method FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND customer.merged_into_id IS NOT NULL) BEGIN SELECT RAISE(ABORT, 'the account was merged into another'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_payment_method_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.customer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND customer.merged_into_id IS NOT NULL) THEN RAISE EXCEPTION 'the account was merged into another' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
            "CREATE TRIGGER tr_payment_method_owner BEFORE INSERT ON payment_method FOR EACH ROW EXECUTE FUNCTION tr_payment_method_owner()",
        ),
    ),
    (
        "tr_address_owner",
        "address",
        "CREATE TRIGGER tr_address_owner BEFORE INSERT ON address FOR EACH ROW WHEN EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND customer.merged_into_id IS NOT NULL) BEGIN SELECT RAISE(ABORT, 'the account was merged into another'); END",
        (
            "CREATE OR REPLACE FUNCTION tr_address_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM customer WHERE customer.id IN (NEW.customer_id) FOR KEY SHARE; IF EXISTS (SELECT 1 FROM customer WHERE customer.id IN (NEW.customer_id) AND customer.merged_into_id IS NOT NULL) THEN RAISE EXCEPTION 'the account was merged into another' USING ERRCODE = '23503'; END IF; RETURN NEW; END $$",
            "CREATE TRIGGER tr_address_owner BEFORE INSERT ON address FOR EACH ROW EXECUTE FUNCTION tr_address_owner()",
        ),
    ),
)
REPLACED = "tr_invoice_frozen"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    integer = "BIGINT" if is_postgresql else "INTEGER"
    # A plain column: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(
        f"ALTER TABLE customer ADD COLUMN merged_into_id {integer}"
        " CONSTRAINT fk_customer_merged_into_id REFERENCES customer (id)"
    )
    op.create_index(op.f("ix_customer_merged_into_id"), "customer", ["merged_into_id"])
    _make_triggers(is_postgresql)


def _make_triggers(is_postgresql: bool) -> None:
    for name, _table, lite, (function, trigger) in TRIGGERS:
        if not is_postgresql:
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
        made = (function, trigger) if is_postgresql else (lite,)
        for statement in made:
            if statement is not trigger or name != REPLACED:
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
