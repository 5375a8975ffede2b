#!/bin/bash
# RabbitMQ. Who has never served and is not the first waits until the first serves: while one looks for the others it holds a lock
# that the first would need to begin, and both would wait for ever.
trap 'exit 0' TERM
if [ "$(hostname)" != rabbitmq-1 ] && [ ! -e /var/lib/rabbitmq/joined ]; then
  until (exec 3<>/dev/tcp/rabbitmq-1/5672) 2>/dev/null; do sleep 1; done
fi
# For healthy.sh.
touch /tmp/began
exec rabbitmq-server
