"""The add-on on the line of an invoice, frozen with the rest of it."""

from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

LITE = 'CREATE TRIGGER tr_invoice_line_frozen BEFORE UPDATE ON invoice_line FOR EACH ROW WHEN ((SELECT state FROM invoice WHERE invoice.id = OLD.invoice_id) <> \'draft\') AND (OLD."invoice_id" IS NOT NEW."invoice_id" OR OLD."position" IS NOT NEW."position" OR OLD."kind" IS NOT NEW."kind" OR OLD."text" IS NOT NEW."text" OR OLD."subscription_id" IS NOT NEW."subscription_id" OR (OLD."period_id" IS NOT NULL AND OLD."period_id" IS NOT NEW."period_id") OR OLD."service_from" IS NOT NEW."service_from" OR OLD."service_to" IS NOT NEW."service_to" OR OLD."quantity" IS NOT NEW."quantity" OR OLD."unit_minor" IS NOT NEW."unit_minor" OR OLD."amount_minor" IS NOT NEW."amount_minor" OR OLD."tax_rate_bp" IS NOT NEW."tax_rate_bp" OR OLD."tax_minor" IS NOT NEW."tax_minor" OR OLD."gross_minor" IS NOT NEW."gross_minor" OR OLD."corrects_line_id" IS NOT NEW."corrects_line_id" OR OLD."lowers" IS NOT NEW."lowers" OR OLD."addon_id" IS NOT NEW."addon_id") BEGIN SELECT RAISE(ABORT, \'invoice_line is frozen\'); END'
FUNCTION = 'CREATE OR REPLACE FUNCTION tr_invoice_line_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF ((SELECT state FROM invoice WHERE invoice.id = OLD.invoice_id) <> \'draft\') AND (OLD."invoice_id" IS DISTINCT FROM NEW."invoice_id" OR OLD."position" IS DISTINCT FROM NEW."position" OR OLD."kind" IS DISTINCT FROM NEW."kind" OR OLD."text" IS DISTINCT FROM NEW."text" OR OLD."subscription_id" IS DISTINCT FROM NEW."subscription_id" OR (OLD."period_id" IS NOT NULL AND OLD."period_id" IS DISTINCT FROM NEW."period_id") OR OLD."service_from" IS DISTINCT FROM NEW."service_from" OR OLD."service_to" IS DISTINCT FROM NEW."service_to" OR OLD."quantity" IS DISTINCT FROM NEW."quantity" OR OLD."unit_minor" IS DISTINCT FROM NEW."unit_minor" OR OLD."amount_minor" IS DISTINCT FROM NEW."amount_minor" OR OLD."tax_rate_bp" IS DISTINCT FROM NEW."tax_rate_bp" OR OLD."tax_minor" IS DISTINCT FROM NEW."tax_minor" OR OLD."gross_minor" IS DISTINCT FROM NEW."gross_minor" OR OLD."corrects_line_id" IS DISTINCT FROM NEW."corrects_line_id" OR OLD."lowers" IS DISTINCT FROM NEW."lowers" OR OLD."addon_id" IS DISTINCT FROM NEW."addon_id") THEN RAISE EXCEPTION \'invoice_line is frozen\'; END IF; RETURN NEW; END $$'


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    integer = "BIGINT" if is_postgresql else "INTEGER"
    # A plain column: on SQLite no table is rebuilt. Lines that are there keep their name only.
    op.execute(
        f"ALTER TABLE invoice_line ADD COLUMN addon_id {integer}"
        " CONSTRAINT fk_invoice_line_addon_id REFERENCES addon (id)"
    )
    if not is_postgresql:
        op.execute("DROP TRIGGER tr_invoice_line_frozen")
    op.get_bind().exec_driver_sql(FUNCTION if is_postgresql else LITE)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
