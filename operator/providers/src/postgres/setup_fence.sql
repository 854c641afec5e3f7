-- What a fence needs beside setup_any.sql: of a server of one's own, and of a managed one whose master user creates and alters
-- roles (RDS for PostgreSQL). Nothing in it takes a superuser. Run both on the writer, in the application's database, as the
-- same role, which must have made the roles that write or may alter them; they may be run again. The variables are the names of
-- Muster's role and of the application's role:
--   psql -1 -v muster=muster -v application=shop -f setup_any.sql -f setup_fence.sql shop

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

-- Muster's role: as in setup_any.sql, for what came since.
revoke all on all functions in schema muster from public;
grant select on all tables in schema muster to :"muster";
grant execute on all functions in schema muster to :"muster";
-- Sessions and replication of others.
grant pg_read_all_stats to :"muster";
-- The write that must be refused.
grant usage on schema muster to :"application";
grant update on muster.app_write to :"application";
