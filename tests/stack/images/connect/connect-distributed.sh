#!/bin/sh
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} $KAFKA_LOG4J_OPTS -cp '/kafka/libs/*' org.apache.kafka.connect.cli.ConnectDistributed "$@"
