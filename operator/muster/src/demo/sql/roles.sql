-- Run once as superuser, in the database `postgres`. Words in braces are replaced by the verifiers of drawn passwords.
alter role postgres password '{superuser}';

-- Streaming, and the rights that pg_rewind needs (with CHECKPOINT, which has to come before it).
create role replicator login replication password '{replicator}';
grant execute on function
    pg_ls_dir(text, boolean, boolean),
    pg_stat_file(text, boolean),
    pg_read_binary_file(text),
    pg_read_binary_file(text, bigint, bigint, boolean)
    to replicator;
grant pg_checkpoint to replicator;

-- The application.
create role shop login password '{shop}';

-- Muster's own role. Its rights come with Muster's setup.
create role muster login password '{muster}';
