select coalesce(json_agg(json_build_object(
  'region', s.aws_region,
  'behind', s.rpo_lag_in_msec::int8,
  'age', (extract(epoch from clock_timestamp() - s.last_lag_calculation_time) * 1000)::int8
)), '[]')
from aurora_global_db_status() s
where s.rpo_lag_in_msec >= 0
