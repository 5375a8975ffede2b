#!/bin/sh
# Redis, and beside it what a Cluster lacks in a network where addresses change: someone who makes it, and who introduces its members again.
# PEERS names all members, the first of them makes the Cluster.
REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
address() { getent hosts "$1" | cut -d ' ' -f 1; }
me=$(hostname)
set -- $PEERS

make() {
  nodes=
  for peer in $PEERS; do
    ip=$(address "$peer")
    [ -n "$ip" ] && [ "$(redis-cli -h "$ip" ping 2>/dev/null)" = PONG ] || return
    nodes="$nodes $ip:6379"
  done
  if [ $# -eq 1 ]; then redis-cli cluster addslotsrange 0 16383
  else redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes; fi
}

introduce() {
  for peer in $PEERS; do
    ip=$(address "$peer")
    [ -n "$ip" ] && redis-cli cluster meet "$ip" 6379 >/dev/null
  done
}

watch() {
  while sleep 2; do
    info=$(redis-cli cluster info 2>/dev/null) || continue
    case $info in *cluster_slots_assigned:0*) [ "$me" = "$1" ] && [ "$(redis-cli cluster nodes | wc -l)" -eq 1 ] && make "$@" ;; esac
    case $info in *cluster_state:ok*) ok=1 ;; *) ok= ;; esac
    if [ -z "$ok" ] || redis-cli cluster nodes | grep -qE 'fail|noaddr|handshake'; then introduce; fi
  done
}

watch "$@" &
exec redis-server /etc/bodega/redis.conf --cluster-announce-hostname "$me" --cluster-announce-ip "$(address "$me")"
