-- What Muster needs beside setup_any.sql and setup_fence.sql of a server of one's own: promotions and the log. Run the three as a
-- superuser, on the primary, in the application's database; they may be run again. The variables are the names of Muster's role
-- and of the application's role:
--   psql -1 -v muster=muster -v application=shop -f setup_any.sql -f setup_fence.sql -f setup_server.sql shop

-- Where this node's timeline left the older ones.
create or replace function muster.history() returns text
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select pg_read_file(
    'pg_wal/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '.history', 0, 1048576, true)
$$;

-- Makes this standby the writer, unless its witness or its clock says that the request is too old.
create or replace function muster.promote(
  p_owner text, p_epoch bigint, p_term bigint, p_seq bigint, p_adopted text[], p_not_after timestamptz)
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare verdict text;
begin
  select case when not pg_is_in_recovery() then 'writable'
              when pg_promote(wait => false) then 'ok'
              else 'unsignalled' end
    into verdict
    from (select max(w.epoch) as newest from muster.witness w where w.owner = p_owner or w.owner = any (p_adopted)) seen
    where seen.newest <= p_epoch
      and muster.refusal(p_owner, p_epoch, p_term, p_seq, p_adopted, p_not_after) is null;
  return coalesce(
    verdict, muster.refusal(p_owner, p_epoch, p_term, p_seq, p_adopted, p_not_after), 'unseen');
end $$;

-- Reads the log behind a fork, to count what was lost. Without the extension a loss is never final.
create or replace function muster.wal_records(p_from pg_lsn, p_to pg_lsn)
returns table (xid xid, resource_manager text, record_type text, description text, block_ref text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query execute format(
    'select r.xid, r.resource_manager, r.record_type, r.description, r.block_ref
     from %s.pg_get_wal_records_info($1, $2) r',
    (select extnamespace::regnamespace from pg_extension where extname = 'pg_walinspect')) using p_from, p_to;
end $$;
do $$ begin
  create extension if not exists pg_walinspect with schema muster;
exception when others then
  raise notice 'pg_walinspect is not installed: lost writes cannot be counted by SQL (%)', sqlerrm;
end $$;

-- Muster's role: as before, for what came since.
revoke all on all functions in schema muster from public;
grant select on all tables in schema muster to :"muster";
grant execute on all functions in schema muster to :"muster";
-- Standby names of others.
grant pg_read_all_settings to :"muster";
-- The timeline of a standby that receives nothing, from the names of its log files.
grant execute on function pg_ls_waldir() to :"muster";
-- A checkpoint on the new primary, without which pg_rewind finds nothing to do.
grant pg_checkpoint to :"muster";
-- Clears a list of synchronous standbys that nobody can confirm; stops a standby from receiving.
grant alter system on parameter synchronous_standby_names, primary_conninfo to :"muster";
grant execute on function pg_reload_conf() to :"muster";
