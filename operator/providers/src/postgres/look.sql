select json_build_object(
  'setup', muster.setup_version(),
  'recovering', r.recovering,
  'system', (select system_identifier::text from pg_control_system()),
  'timeline', case when r.recovering
    then greatest((select received_tli from pg_stat_wal_receiver),
                  (select min_recovery_end_timeline from pg_control_recovery()),
                  (select timeline_id from pg_control_checkpoint()),
                  case when not exists (select from pg_stat_wal_receiver) then
                    (select ('x' || substr(max(name), 1, 8))::bit(32)::int8 from pg_ls_waldir()
                     where name ~ '^[0-9A-F]{24}$') end)
    else muster.timeline() end,
  'xmax', case when not r.recovering then pg_snapshot_xmax(pg_current_snapshot())::text end,
  'insert', case when not r.recovering then pg_current_wal_insert_lsn()::text end,
  'received', case when r.recovering then pg_last_wal_receive_lsn()::text end,
  'replayed', case when r.recovering then pg_last_wal_replay_lsn()::text end,
  'block', (select setting::int8 from pg_settings where name = 'wal_block_size'),
  'segment', (select setting::int8 from pg_settings where name = 'wal_segment_size'),
  'receiver', (select json_build_object('status', w.status, 'host', w.sender_host, 'port', w.sender_port)
               from pg_stat_wal_receiver w),
  'conninfo', case when r.recovering then current_setting('primary_conninfo') end,
  'cluster', current_setting('cluster_name'),
  'witness', (select json_build_object('owner', w.owner, 'epoch', w.epoch, 'term', w.term, 'seq', w.seq)
              from muster.witness w order by w.epoch desc, w.owner = :owner, w.term desc, w.seq desc limit 1),
  'heartbeat', (select json_build_object('writer', h.writer, 'seq', h.seq)
                from muster.heartbeat h order by h.writer = 'controller' desc, h.at desc, h.seq desc limit 1),
  'list', current_setting('synchronous_standby_names'),
  'level', (select reset_val from pg_settings where name = 'synchronous_commit'),
  'fsync', current_setting('fsync') = 'on',
  'overrides', (select count(*) from pg_db_role_setting s, unnest(s.setconfig) c
                where c like 'synchronous_commit=%' and c not in ('synchronous_commit=on', 'synchronous_commit=remote_apply')),
  'standbys', (select coalesce(json_agg(s.application_name), '[]') from pg_stat_replication s where s.state = 'streaming'),
  'application_closed', coalesce(
    (select not a.rolcanlogin from pg_roles a where a.rolname = :application), false)
) from (select pg_is_in_recovery() as recovering) r
