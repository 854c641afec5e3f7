-- Muster's part of a database, version 1: what every engine that speaks PostgreSQL has, also a managed one. Run it on the
-- writer, in the application's database, as a role that may create a schema there; it may be run again. The variable is the
-- name of Muster's role:
--   psql -1 -v muster=muster -f setup_any.sql shop
create schema if not exists muster;
revoke all on schema muster from public;

-- Who steered last. Replicated, so that a standby can refuse what is older.
create table if not exists muster.witness (
  owner text primary key, epoch bigint not null, term bigint not null, seq bigint not null);
create table if not exists muster.heartbeat (
  writer text primary key, seq bigint not null, at timestamptz not null default clock_timestamp());
-- Which data this is: made once, and replicated with it. Two stores with other identities never replace each other.
create table if not exists muster.identity (one boolean primary key default true check (one), id uuid not null);
insert into muster.identity (id) values (gen_random_uuid()) on conflict do nothing;

create or replace function muster.setup_version() returns int language sql immutable as 'select 1';

-- Null, or why an effect with these numbers is refused. The clock is this node's.
create or replace function muster.refusal(
  p_owner text, p_epoch bigint, p_term bigint, p_seq bigint, p_adopted text[], p_not_after timestamptz)
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare found text;
begin
  if clock_timestamp() > p_not_after then
    return 'late';
  end if;
  select format('foreign %s at epoch %s', w.owner, w.epoch) into found from muster.witness w
    where w.owner <> p_owner and w.owner <> all (p_adopted) order by w.epoch desc limit 1;
  if found is null then
    select format('stale epoch %s term %s seq %s', w.epoch, w.term, w.seq) into found from muster.witness w
      where (w.owner = p_owner and (w.epoch, w.term, w.seq) > (p_epoch, p_term, p_seq))
         or (w.owner = any (p_adopted) and w.epoch > p_epoch)
      order by w.epoch desc limit 1;
  end if;
  return found;
end $$;

-- Puts the numbers into the witness, or says why not. The other changes call it first.
create or replace function muster.raise_witness(
  p_owner text, p_epoch bigint, p_term bigint, p_seq bigint, p_adopted text[], p_not_after timestamptz)
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare refused text;
begin
  if pg_is_in_recovery() then
    return 'standby';
  end if;
  lock table muster.witness in share row exclusive mode;
  refused := muster.refusal(p_owner, p_epoch, p_term, p_seq, p_adopted, p_not_after);
  if refused is not null then
    return refused;
  end if;
  delete from muster.witness w where w.owner = any (p_adopted) and w.owner <> p_owner;
  insert into muster.witness as w values (p_owner, p_epoch, p_term, p_seq)
    on conflict (owner) do update set epoch = excluded.epoch, term = excluded.term, seq = excluded.seq;
  return 'ok';
end $$;

-- Muster's role: reads its own tables, writes heartbeats, and calls what is above; nothing else of the database.
revoke all on all functions in schema muster from public;
grant usage on schema muster to :"muster";
grant select on all tables in schema muster to :"muster";
grant insert, update on muster.heartbeat to :"muster";
grant execute on all functions in schema muster to :"muster";
