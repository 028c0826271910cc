"""Other contents as a late change; what such a change takes out of a box, for the books of stock."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('address','keep_back')"
_MORE_KINDS = "kind IN ('address','keep_back','contents')"
_OF_ONE_BOX = "(box_id IS NULL) <> (taken_from_id IS NULL)"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    integer, empty = ("BIGINT", "'{}'::json") if is_postgresql else ("INTEGER", "'{}'")
    if is_postgresql:
        op.execute("ALTER TABLE box_item ALTER COLUMN box_id DROP NOT NULL")
        op.execute(
            "ALTER TABLE late_change DROP CONSTRAINT ck_late_change_kind, "
            f"ADD CONSTRAINT ck_late_change_kind CHECK ({_MORE_KINDS})"
        )
    else:
        _rebuild("box_item", "box_id INTEGER NOT NULL", "box_id INTEGER")
        _rebuild("late_change", _KINDS, _MORE_KINDS)
    # Plain columns, behind the tables made anew.
    op.execute(
        f"ALTER TABLE box_item ADD COLUMN taken_from_id {integer} "
        "CONSTRAINT fk_box_item_taken_from_id REFERENCES box (id) "
        f"CONSTRAINT ck_box_item_of_one_box CHECK ({_OF_ONE_BOX})"
    )
    op.create_index(op.f("ix_box_item_taken_from_id"), "box_item", ["taken_from_id"])
    op.execute(f"ALTER TABLE late_change ADD COLUMN contents JSON DEFAULT {empty} NOT NULL")


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


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
