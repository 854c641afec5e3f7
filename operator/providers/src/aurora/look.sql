select json_build_object(
  'setup', muster.setup_version(),
  'recovering', pg_is_in_recovery(),
  'tells_lag', to_regproc('aurora_global_db_status') is not null,
  'system', (select i.id::text from muster.identity i),
  'witness', (select json_build_object('owner', w.owner, 'epoch', w.epoch, 'term', w.term, 'seq', w.seq)
              from muster.witness w order by w.epoch desc, w.owner = :owner, w.term desc, w.seq desc limit 1),
  'heartbeat', (select json_build_object('writer', h.writer, 'seq', h.seq)
                from muster.heartbeat h order by h.writer = 'controller' desc, h.at desc, h.seq desc limit 1),
  'newest', (select (extract(epoch from max(h.at)) * 1000000)::int8 from muster.heartbeat h)
)
