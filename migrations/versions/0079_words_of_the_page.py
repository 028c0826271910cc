"""The button that was pressed and the words of the page, kept with a consent."""

import sqlalchemy as sa
from alembic import op

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None

LITE = 'CREATE TRIGGER tr_consent_no_update BEFORE UPDATE ON consent FOR EACH ROW WHEN NOT (EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD.customer_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS NOT NEW."id" OR OLD."public_id" IS NOT NEW."public_id" OR OLD."customer_id" IS NOT NEW."customer_id" OR OLD."subscription_id" IS NOT NEW."subscription_id" OR OLD."kind" IS NOT NEW."kind" OR OLD."text" IS NOT NEW."text" OR OLD."text_hash" IS NOT NEW."text_hash" OR OLD."text_version" IS NOT NEW."text_version" OR OLD."amount_minor" IS NOT NEW."amount_minor" OR OLD."currency" IS NOT NEW."currency" OR OLD."interval" IS NOT NEW."interval" OR OLD."given_at" IS NOT NEW."given_at" OR OLD."button" IS NOT NEW."button" OR OLD."page" IS NOT NEW."page" OR OLD."page_hash" IS NOT NEW."page_hash" BEGIN SELECT RAISE(ABORT, \'consent is append-only\'); END'
POST = 'CREATE OR REPLACE FUNCTION tr_consent_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT (EXISTS (SELECT 1 FROM customer WHERE customer.id = OLD.customer_id AND customer.erased_at IS NOT NULL)) OR OLD."id" IS DISTINCT FROM NEW."id" OR OLD."public_id" IS DISTINCT FROM NEW."public_id" OR OLD."customer_id" IS DISTINCT FROM NEW."customer_id" OR OLD."subscription_id" IS DISTINCT FROM NEW."subscription_id" OR OLD."kind" IS DISTINCT FROM NEW."kind" OR OLD."text" IS DISTINCT FROM NEW."text" OR OLD."text_hash" IS DISTINCT FROM NEW."text_hash" OR OLD."text_version" IS DISTINCT FROM NEW."text_version" OR OLD."amount_minor" IS DISTINCT FROM NEW."amount_minor" OR OLD."currency" IS DISTINCT FROM NEW."currency" OR OLD."interval" IS DISTINCT FROM NEW."interval" OR OLD."given_at" IS DISTINCT FROM NEW."given_at" OR OLD."button" IS DISTINCT FROM NEW."button" OR OLD."page" IS DISTINCT FROM NEW."page" OR OLD."page_hash" IS DISTINCT FROM NEW."page_hash" THEN RAISE EXCEPTION \'consent is append-only\'; END IF; RETURN NEW; END $$'


def upgrade() -> None:
    for name, kind in (
        ("button", sa.String(length=120)),
        ("page", sa.Text()),
        ("page_hash", sa.String(length=64)),
    ):
        op.add_column("consent", sa.Column(name, kind, server_default="", nullable=False))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POST)
    else:
        op.execute("DROP TRIGGER tr_consent_no_update")
        op.execute(LITE)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
