#!/bin/bash
# Whether RabbitMQ serves. Who has not served yet is healthy while others can find it: only a healthy task is found by its name, and members that
# come back together wait for each other before they serve. Ten minutes are more than they wait.
serves=${1:-5672} found=${2:-25672} folder=${3:-/tmp} data=${4:-/var/lib/rabbitmq}
opens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# The second is for start.sh: it outlives the container.
opens "$serves" && exec touch "$folder/served" "$data/joined"
[ ! -e "$folder/served" ] && [ "$(($(date +%s) - $(stat -c %Y "$folder/began")))" -lt 600 ] && opens "$found"
