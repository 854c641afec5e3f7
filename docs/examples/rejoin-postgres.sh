#!/bin/bash
# Makes the PostgreSQL server on this machine a standby of the new primary: a rejoin hook for Muster.
#
# It never starts the old primary as a primary, not even for a moment: a dead one would come up writable, because it
# died before the fence could reach it. pg_rewind recovers a crashed data folder by itself, in single-user mode.
#
# From Muster:    MUSTER_FOLLOW_ADDRESS  host:port of the new primary
# Set for it:     PGDATA                 data folder
#                 STANDBY_NAME           application_name under which this standby is to confirm
#                 PGBIN                  folder of PostgreSQL's programs
#                 DATABASE               the application's database
#                 REWIND_USER            superuser, or a role as pg_rewind's manual page describes it
#                 START_OPTIONS          more options for the server, if any
#                 REWIND_OPTIONS         more options for pg_rewind, if any
# Prints one line {"lostCommits": n, "lostHeartbeats": n} when it could read the old log.
set -euo pipefail
PGBIN=${PGBIN:-/usr/lib/postgresql/15/bin}
DATABASE=${DATABASE:-postgres}
REWIND_USER=${REWIND_USER:-postgres}
host=${MUSTER_FOLLOW_ADDRESS%:*} port=${MUSTER_FOLLOW_ADDRESS##*:}
source="host=$host port=$port user=$REWIND_USER dbname=$DATABASE application_name=$STANDBY_NAME connect_timeout=5"
ask() { "$PGBIN/psql" -XAtq -v ON_ERROR_STOP=1 -d "$source" -c "$1"; }

# Commits on the old timeline behind the fork that changed rows of the application or a heartbeat.
count_lost() {
  local old history fork beat own log
  old=$("$PGBIN/pg_controldata" -D "$PGDATA" | sed -n "s/^Latest checkpoint's TimeLineID: *//p")
  history=$(ask "select muster.history()")
  fork=$(awk -v old="$old" '$1 == old { print $2 }' <<<"$history")
  [ -n "$fork" ] || return 0
  beat=$(ask "select pg_relation_filenode('muster.heartbeat')")
  own=$(ask "select string_agg(pg_relation_filenode(oid)::text, ',') from pg_class
             where relnamespace = 'muster'::regnamespace and relkind = 'r'")
  log=$("$PGBIN/pg_waldump" -p "$PGDATA/pg_wal" -t "$old" -s "$fork" 2>&1 || true)
  # The end of the log is an "invalid record"; a missing file is no end, and then nothing is said.
  if grep -q 'could not \(open\|locate\|find file\)' <<<"$log"; then return 0; fi
  awk -v own=",$own," -v beat="$beat" '
    !/^rmgr: / { next }
    { tx = $0; sub(/^.*, tx: */, "", tx); sub(/,.*$/, "", tx); desc = $0; sub(/^.*, desc: /, "", desc); file = -1 }
    match($0, /rel [0-9]+\/[0-9]+\/[0-9]+/) { split(substr($0, RSTART + 4, RLENGTH - 4), part, "/"); file = part[3] + 0 }
    $2 == "Transaction" && desc ~ /^COMMIT/ {
      all = tx
      if (match(desc, /subxacts: [0-9 ]+/)) all = all " " substr(desc, RSTART + 10, RLENGTH - 10)
      n = split(all, x, " "); rows = 0; beats = 0
      for (i = 1; i <= n; i++) { if (x[i] in changed) rows = 1; if (x[i] in beaten) beats = 1 }
      if (rows || beats) lost++
      if (beats) lostbeats++
      next
    }
    ($2 ~ /^Heap2?$/ && desc ~ /^(INSERT|UPDATE|HOT_UPDATE|DELETE|MULTI_INSERT)/) || $2 == "Sequence" ||
    ($2 == "Storage" && desc ~ /^CREATE/) || ($2 == "LogicalMessage" && desc ~ /^transactional/) {
      if (file == beat) beaten[tx] = 1
      else if ((file < 0 || file >= 16384) && index(own, "," file ",") == 0) changed[tx] = 1
    }
    END { printf "{\"lostCommits\": %d, \"lostHeartbeats\": %d}\n", lost, lostbeats }' <<<"$log"
}

if "$PGBIN/pg_ctl" -D "$PGDATA" status >/dev/null; then "$PGBIN/pg_ctl" -D "$PGDATA" stop -m fast -w >/dev/null; fi
# Without it pg_rewind finds the new primary still on the old timeline, says "no rewind required", and the standby
# never catches up.
ask checkpoint
if [ ! -e "$PGDATA/standby.signal" ]; then count_lost; fi
"$PGBIN/pg_rewind" -D "$PGDATA" --source-server="$source" -R ${REWIND_OPTIONS:-} >&2
written=$(ask "select pg_current_wal_flush_lsn()")
"$PGBIN/pg_ctl" -D "$PGDATA" start -w -l "$PGDATA/rejoin.log" -o "${START_OPTIONS:-}" >/dev/null
# Streaming is not enough: it must replay what the new primary wrote.
for _ in $(seq 600); do
  caught=$(ask "select count(*) from pg_stat_replication
                where application_name = '$STANDBY_NAME' and state = 'streaming' and replay_lsn >= '$written'")
  [ "$caught" = 0 ] || exit 0
  sleep 0.1
done
echo "the standby does not replay what the new primary writes" >&2
exit 1
