select json_build_object(
  'setup', muster.setup_version(),
  'recovering', r.recovering,
  'system', coalesce((select i.id::text from muster.identity i), ''),
  -- What a standby replayed of its writer's timeline holds also when it receives nothing; it may be behind, and never ahead.
  'timeline', case when r.recovering
    then greatest((select received_tli from pg_stat_wal_receiver),
                  (select max(o.timeline) from muster.opened o),
                  (select max(f.timeline) from muster.fence f), 1)
    else muster.timeline() end,
  'xmax', case when not r.recovering then pg_snapshot_xmax(pg_current_snapshot())::text end,
  'insert', case when not r.recovering then pg_current_wal_insert_lsn()::text end,
  'received', case when r.recovering then pg_last_wal_receive_lsn()::text end,
  'replayed', case when r.recovering then pg_last_wal_replay_lsn()::text end,
  'block', (select setting::int8 from pg_settings where name = 'wal_block_size'),
  'segment', (select setting::int8 from pg_settings where name = 'wal_segment_size'),
  'receiver', (select json_build_object('status', w.status, 'host', w.sender_host, 'port', w.sender_port)
               from pg_stat_wal_receiver w),
  'conninfo', null::text,
  'cluster', '',
  'witness', (select json_build_object('owner', w.owner, 'epoch', w.epoch, 'term', w.term, 'seq', w.seq)
              from muster.witness w order by w.epoch desc, w.owner = :owner, w.term desc, w.seq desc limit 1),
  'heartbeat', (select json_build_object('writer', h.writer, 'seq', h.seq)
                from muster.heartbeat h order by h.writer = 'controller' desc, h.at desc, h.seq desc limit 1),
  'list', '',
  'level', '',
  'fsync', true,
  'overrides', 0,
  'standbys', json_build_array(),
  'application_closed', coalesce(
    (select not a.rolcanlogin from pg_roles a where a.rolname = :application), false)
) from (select pg_is_in_recovery() as recovering) r
