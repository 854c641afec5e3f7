-- What Muster needs beside setup_any.sql of a server of one's own: fences, promotions and the log. Run both as a superuser,
-- on the primary, in the application's database; they may be run again. The variables are the names of Muster's role and of
-- the application's role:
--   psql -1 -v muster=muster -v application=shop -f setup_any.sql -f setup_server.sql shop
-- Every role that writes and can log in. The fence closes all of them.
create table if not exists muster.fenced_role (role name primary key);
-- Roles that the fence has closed, and on which timeline: only these are opened again.
create table if not exists muster.fence (
  role name primary key, owner text not null, epoch bigint not null, timeline bigint not null);
-- The timeline that each owner opened last; on a newer one the node was promoted since.
create table if not exists muster.opened (owner text primary key, timeline bigint not null);
-- The application's role tries to write here when a fence is proved.
create table if not exists muster.app_write (at timestamptz not null);
insert into muster.app_write select clock_timestamp() where not exists (select from muster.app_write);
insert into muster.fenced_role values (:'application') on conflict do nothing;

-- The timeline that this node writes on.
create or replace function muster.timeline() returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint
$$;

-- Where this node's timeline left the older ones.
create or replace function muster.history() returns text
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select pg_read_file(
    'pg_wal/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '.history', 0, 1048576, true)
$$;

-- Refuses new logins of every fenced role.
create or replace function muster.close_logins(
  p_owner text, p_epoch bigint, p_term bigint, p_seq bigint, p_adopted text[], p_not_after timestamptz,
  p_application name)
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare verdict text; closing name; here bigint;
begin
  verdict := muster.raise_witness(p_owner, p_epoch, p_term, p_seq, p_adopted, p_not_after);
  if verdict <> 'ok' then
    return verdict;
  end if;
  if not exists (select from muster.fenced_role f join pg_roles r on r.rolname = f.role where f.role = p_application)
  then
    return 'unlisted';
  end if;
  here := muster.timeline();
  update muster.fence set owner = p_owner, epoch = p_epoch, timeline = here;
  for closing in
    select r.rolname from muster.fenced_role f join pg_roles r on r.rolname = f.role where r.rolcanlogin
  loop
    insert into muster.fence values (closing, p_owner, p_epoch, here)
      on conflict (role) do update set owner = excluded.owner, epoch = excluded.epoch, timeline = excluded.timeline;
    execute format('alter role %I nologin', closing);
  end loop;
  return 'ok';
end $$;

-- Ends the sessions of the fenced roles, and everybody else's in this database but Muster's and superusers'.
-- Says how many it told to end. Ends log-ins under way, too: one may be past the check of NOLOGIN, and a client that
-- went silent in the middle holds it for authentication_timeout. Only a superuser may do that.
create or replace function muster.end_sessions() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (select r.rolsuper from pg_roles r where r.rolname = current_user) then
    perform pg_terminate_backend(l.pid)
    from (select distinct pid from pg_locks where locktype = 'virtualxid' and granted and pid is not null) l
    where not exists (select from pg_stat_activity a where a.pid = l.pid);
  end if;
  return (
    select count(*) filter (where pg_terminate_backend(a.pid))
    from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
    where a.pid <> pg_backend_pid() and a.usename <> session_user
      and (r.rolname in (select role from muster.fenced_role)
        or (a.datname = current_database() and a.backend_type = 'client backend' and not r.rolsuper)));
end $$;

-- Opens what a fence closed: with p_older_only only what was closed on an older timeline, that is, what came here
-- by replication before this node was promoted.
create or replace function muster.open_logins(
  p_owner text, p_epoch bigint, p_term bigint, p_seq bigint, p_adopted text[], p_not_after timestamptz,
  p_older_only boolean)
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare verdict text; opening name; here bigint;
begin
  verdict := muster.raise_witness(p_owner, p_epoch, p_term, p_seq, p_adopted, p_not_after);
  if verdict <> 'ok' then
    return verdict;
  end if;
  here := muster.timeline();
  for opening in
    delete from muster.fence f where not p_older_only or f.timeline < here returning f.role
  loop
    if exists (select from pg_roles where rolname = opening) then
      execute format('alter role %I login', opening);
    end if;
  end loop;
  if p_older_only then
    insert into muster.opened values (p_owner, here)
      on conflict (owner) do update set timeline = excluded.timeline;
  end if;
  return 'ok';
end $$;

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

-- A fenced node takes no heartbeats either: what is acknowledged there could be lost by a planned switchover.
create or replace function muster.refuse_fenced_beat() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from muster.fence) then
    raise exception 'this node is fenced' using errcode = 'read_only_sql_transaction';
  end if;
  return new;
end $$;
create or replace trigger refuse_fenced_beat before insert or update on muster.heartbeat
  for each row execute function muster.refuse_fenced_beat();

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

-- Muster's role: as in setup_any.sql, for what came since.
revoke all on all functions in schema muster from public;
grant select on all tables in schema muster to :"muster";
grant execute on all functions in schema muster to :"muster";
-- Sessions, replication and standby names of others.
grant pg_read_all_stats, pg_read_all_settings to :"muster";
-- The timeline of a standby that receives nothing, from the names of its log files.
grant execute on function pg_ls_waldir() to :"muster";
-- A checkpoint on the new primary, without which pg_rewind finds nothing to do.
grant pg_checkpoint to :"muster";
-- Clears a list of synchronous standbys that nobody can confirm; stops a standby from receiving.
grant alter system on parameter synchronous_standby_names, primary_conninfo to :"muster";
grant execute on function pg_reload_conf() to :"muster";
-- The write that must be refused.
grant usage on schema muster to :"application";
grant update on muster.app_write to :"application";
