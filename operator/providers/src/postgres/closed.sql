select json_build_object(
  'closed', not exists (select from muster.fenced_role f join pg_roles r on r.rolname = f.role where r.rolcanlogin),
  'witness', (select coalesce(json_agg(w order by w.owner)::text, '') from muster.witness w),
  'pids', (select coalesce(json_agg(distinct l.pid) filter (where l.pid is not null), '[]') from pg_locks l),
  'writing', (select count(*) from pg_locks l
              where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted)
);
select json_build_object(
  'pids', (select json_agg(a.pid) from pg_stat_activity a),
  'sessions', (select count(*) from pg_stat_activity a
    where a.pid <> pg_backend_pid() and a.usename is distinct from current_user
      and (a.usename in (select role from muster.fenced_role)
        or (a.datname = current_database() and coalesce(a.backend_type, '') not in
             ('walsender', 'autovacuum worker', 'parallel worker')
            and coalesce(a.backend_type, '') not like 'logical replication%worker'))),
  'apply_workers', (select count(*) from pg_stat_activity a
    where a.datname = current_database() and a.backend_type like 'logical replication%worker'),
  'prepared', (select count(*) from pg_prepared_xacts p where p.database = current_database()),
  'open_roles', (select count(*) from muster.fenced_role f join pg_roles r on r.rolname = f.role where r.rolcanlogin),
  'listed', exists (select from muster.fenced_role f where f.role = :application),
  'xmax', pg_snapshot_xmax(pg_current_snapshot())::text,
  'insert', pg_current_wal_insert_lsn()::text
)
