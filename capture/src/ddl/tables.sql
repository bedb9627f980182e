CREATE SCHEMA IF NOT EXISTS tailwater;
-- What the terminals are told; rows stay, as a history for people.
CREATE TABLE IF NOT EXISTS tailwater.schema_changes (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lsn pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
    command text NOT NULL,
    change jsonb NOT NULL
);
ALTER TABLE tailwater.schema_changes REPLICA IDENTITY FULL;
REVOKE ALL ON tailwater.schema_changes FROM PUBLIC;
-- Each captured table as it was told of last.
CREATE TABLE IF NOT EXISTS tailwater.ddl_tables (
    oid oid PRIMARY KEY,
    definition jsonb NOT NULL,
    rewrite integer NOT NULL DEFAULT 0
);
REVOKE ALL ON tailwater.ddl_tables FROM PUBLIC;
CREATE TABLE IF NOT EXISTS tailwater.ddl_settings (
    publication text PRIMARY KEY,
    script text NOT NULL,
    own boolean NOT NULL,
    tables text[] NOT NULL,
    exclude text[] NOT NULL,
    make_full boolean NOT NULL
);
REVOKE ALL ON tailwater.ddl_settings FROM PUBLIC;
