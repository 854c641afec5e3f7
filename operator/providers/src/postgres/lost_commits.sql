with own as (
  select pg_relation_filenode(c.oid)::int8 as file, c.relname = 'heartbeat' and n.nspname = 'muster' as beat
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'i', 't', 'm', 'S') and n.nspname in ('pg_catalog', 'pg_toast', 'muster')
    and (n.nspname <> 'pg_toast' or c.oid < 16384)
), records as materialized (
  select r.xid::text::int8 as xid, r.resource_manager, r.record_type, r.description,
         regexp_match(r.block_ref, 'rel \d+/(\d+)/(\d+)') as file
  from muster.wal_records(:from, :to) r
  where r.resource_manager in ('Heap', 'Heap2', 'Sequence', 'LogicalMessage', 'Storage', 'Transaction')
), commits as (
  select coalesce(substring(description from '^(\d+):')::int8, xid) as xid,
         substring(description from '\d{4,}-\d\d-\d\d [0-9:.]+[+-][0-9:]+')::timestamptz as at,
         string_to_array(trim(substring(description from 'subxacts: ([0-9 ]+)')), ' ')::int8[] as parts
  from records where resource_manager = 'Transaction' and record_type like 'COMMIT%'
), changes as (
  select r.xid, bool_or(coalesce(o.beat, false)) as beat, bool_or(o.file is null) as rows
  from records r
  left join own o on o.file = r.file[2]::int8
    and r.file[1]::int8 in (0, (select oid::int8 from pg_database where datname = current_database()))
  where case r.resource_manager
      when 'Heap' then r.record_type ~ '^(INSERT|UPDATE|HOT_UPDATE|DELETE|TRUNCATE)'
      when 'Heap2' then r.record_type like 'MULTI_INSERT%'
      when 'Sequence' then true
      when 'LogicalMessage' then r.description like 'transactional%'
      when 'Storage' then r.record_type = 'CREATE'
      else false end
    and (o.file is null and (r.file is null or r.file[2]::int8 >= 16384) or o.beat)
  group by r.xid
), parts as (
  select xid as whole, at, unnest(parts || xid) as xid from commits
), lost as (
  select p.whole, max(p.at) as at, bool_or(c.beat) as beat
  from parts p join changes c on c.xid = p.xid group by p.whole
)
select json_build_object('commits', count(*), 'beats', count(*) filter (where beat), 'newest', max(at)::text)::text from lost
