#!/bin/sh
# As the official ones put a call of Java together.
exec java ${KAFKA_HEAP_OPTS:--Xms256M -Xmx2G} ${KAFKA_JVM_PERFORMANCE_OPTS:--server -XX:+UseG1GC} $KAFKA_LOG4J_OPTS -cp '/kafka/libs/*' org.apache.kafka.connect.cli.ConnectDistributed "$@"
