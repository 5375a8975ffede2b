#!/bin/bash
# The backup of a stack, in /backup: base copies of the cluster in base/, its log in wal/.
#   archive.sh follow            writes down the primary's log as it comes
#   archive.sh base              takes a base copy, and removes what only older ones than the last KEEP needed
#   archive.sh restore [TIME]    makes a data folder out of it, as it was at TIME, or at the end of the log
set -euo pipefail
export PATH=/usr/local/pgbin:$PATH
WAL=/backup/wal BASES=/backup/base DATA=/var/lib/postgresql/data/pg
# Each service's database.
DATABASES="select datname from pg_database where datname like 'bodega\_%' order by datname"

follow() {
  mkdir -p "$WAL" "$BASES"
  keep_told &
  export PGPASSWORD
  PGPASSWORD=$(cat /run/secrets/pg_replication)
  for (( ; ; )); do
    put_undone_aside && pg_receivewal --no-loop --synchronous -h pg -U replicator -D "$WAL" || sleep 2
  done
}

# What is in no history of the primary's, because it was never copied to whoever leads now, or because the database was set back: from there nobody can go on.
put_undone_aside() {
  local system timeline history of lsn file
  IFS='|' read -r system timeline _ < <(ask_primary "IDENTIFY_SYSTEM") || return 1
  [ -e /backup/system ] || echo "$system" >/backup/system
  [ "$(cat /backup/system)" = "$system" ] || fail "/backup has the backup of another database"
  [ "$timeline" -gt 1 ] || return 0
  history=$(ask_primary "TIMELINE_HISTORY $timeline") || return 1
  while read -r of lsn _; do
    [ -n "$lsn" ] || continue
    for file in "$WAL/$(printf '%08X' "$of")"*; do
      [[ $(basename "$file") < $(segment "$of" "$lsn") ]] || put_aside "$file"
    done
    for file in "$BASES"/*Z; do
      [ ! -e "$file" ] || [ "$(in_manifest "$file" Timeline)" != "$of" ] ||
        [ "$(number "$(in_manifest "$file" End-LSN)")" -le "$(number "$lsn")" ] || put_aside "$file"
    done
  done <<<"${history#*|}"
}

ask_primary() {
  psql "host=pg user=replicator replication=yes" -XAtc "$1"
}

put_aside() {
  [ -e "$1" ] || return 0
  mkdir -p /backup/undone
  mv "$1" /backup/undone/
  echo "put aside: $(basename "$1")"
}

# What services tell is remembered in their databases from then on. Those that are not there yet will be.
keep_told() {
  local database table
  export PGPASSWORD PGOPTIONS="-c lock_timeout=2000"
  PGPASSWORD=$(cat /run/secrets/pg_super)
  for (( ; ; )); do
    psql -h pg -U postgres -d postgres -XAtc "$DATABASES" | while read -r database; do
      psql -h pg -U postgres -d "$database" -XAtqc "select relname from pg_trigger join pg_class c on c.oid = tgrelid where tgname = 'keep_told' and tgenabled = 'D'" |
        while read -r table; do
          psql -h pg -U postgres -d "$database" -Xqc "alter table $table enable trigger keep_told" && echo "$database: what leaves $table is kept"
        done
    done || echo "not now: the primary cannot be asked" >&2
    sleep 5
  done
}

base() {
  local new=$BASES/incomplete name oldest
  rm -rf "$new"
  PGPASSWORD=$(cat /run/secrets/pg_replication) pg_basebackup -h pg -U replicator -D "$new" -Ft -z -X stream -c fast
  # Named when it ended: of an earlier moment it knows nothing.
  name=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  mv "$new" "$BASES/$name"
  find "$BASES" -mindepth 1 -maxdepth 1 | sort | head -n "-${KEEP:-7}" | xargs -r rm -rf
  oldest=$(find "$BASES" -mindepth 1 -maxdepth 1 | sort | head -n 1)
  pg_archivecleanup "$WAL" "$(segment "$(in_manifest "$oldest" Timeline)" "$(in_manifest "$oldest" Start-LSN)")"
  echo "$name"
}

# The log that a base copy needs, by its manifest: Timeline, Start-LSN or End-LSN.
in_manifest() {
  grep -om1 "\"$2\": [^,} ]*" "$1/backup_manifest" | sed 's/.*: //; s/"//g'
}

# The name of the file that this place of the log is in.
segment() {
  printf '%08X%08X%08X' "$1" "0x${2%/*}" "$((0x${2#*/} >> 24))"
}

number() {
  echo "$(((0x${1%/*} << 32) + 0x${1#*/}))"
}

restore() {
  local at=${1:-} target base postgres names database told
  # A setting is read before the names of zones are known.
  target=${at/T/ } target=${target/%Z/+00}
  [ ! -e "$DATA" ] || fail "there is a database in the volume already"
  base=$(find "$BASES" -mindepth 1 -maxdepth 1 -name '*Z' -printf '%f\n' | sort | awk -v at="$at" 'at == "" || $0 <= at' | tail -n 1)
  [ -n "$base" ] || fail "there is no base copy of ${at:-any time} or before"
  mkdir -m 700 "$DATA"
  tar -xzf "$BASES/$base/base.tar.gz" -C "$DATA"
  tar -xzf "$BASES/$base/pg_wal.tar.gz" -C "$DATA/pg_wal"
  pg_verifybackup -q -n -m "$BASES/$base/backup_manifest" "$DATA"
  rm -f "$DATA/standby.signal"
  touch "$DATA/recovery.signal"
  echo "local all all trust" >/tmp/hba.conf
  # Nobody is let in until all is as it was; the segment that was being written when the log ended is there in part.
  postgres -D "$DATA" -c listen_addresses= -c unix_socket_directories=/tmp -c hba_file=/tmp/hba.conf -c hot_standby=off \
    -c archive_mode=off -c primary_conninfo= -c synchronous_standby_names= \
    -c "restore_command=cp $WAL/%f %p 2>/dev/null || cp $WAL/%f.partial %p 2>/dev/null" \
    -c recovery_target_timeline=latest -c recovery_target_action=promote -c "recovery_target_time=$target" >/tmp/postgres.log 2>&1 &
  postgres=$!
  until names=$(psql -h /tmp -U postgres -d postgres -XAtc "$DATABASES" 2>/dev/null); do
    kill -0 "$postgres" 2>/dev/null || fail "$(cat /tmp/postgres.log)"$'\n'"the base copy of $base did not come to ${at:-the end of the log}: see above"
    sleep 0.2
  done
  while read -r database; do
    # One that no service uses has no tables.
    [ "$(psql -h /tmp -U postgres -d "$database" -XAtc "select to_regproc('tell_again') is not null")" = t ] || continue
    told=$(psql -h /tmp -U postgres -d "$database" -XAtc 'select tell_again()')
    echo "$database: $told messages are told again"
  done <<<"$names"
  # Of a timeline that begins and ends in one file of the log the server keeps nothing, and the archive could not go on.
  psql -h /tmp -U postgres -d postgres -XAtqc 'select pg_switch_wal()' >/dev/null
  kill -INT "$postgres"
  wait "$postgres"
  echo "restored from the base copy of $base, as it was at ${at:-the end of the log}"
}

fail() {
  echo "$1" >&2
  exit 1
}

case "${1:-}" in
  follow | base | restore) "$@" ;;
  *) fail "archive.sh follow | base | restore [TIME]" ;;
esac
