#!/bin/bash
# Formats the volume at the first start, and is Kafka from then on.
set -e
export PATH=/opt/kafka/bin:$PATH
kafka-storage.sh format --ignore-formatted -t "$CLUSTER_ID" -c /etc/bodega/kafka.properties
exec kafka-server-start.sh /etc/bodega/kafka.properties
