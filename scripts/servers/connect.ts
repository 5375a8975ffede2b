// Kafka Connect with Debezium's connector for PostgreSQL: a second relay, for those who run one already. It takes
// connectors over its REST interface and keeps them in Kafka.
import { join } from "node:path";
import { ask } from "./ask.ts";
import { find } from "./find.ts";
import { JAVA, jars, jarsFolder, LOG4J, LOG4J_SETTINGS, MAVEN } from "./maven.ts";
import { portsOf } from "./ports.ts";
import { type Kind, kept, nameOf, type Server } from "./server.ts";

export const WORKER = "kafka-connect-4.3.1";
/** Named like a plugin's folder, which is what it is. */
export const DEBEZIUM = "debezium-3.7.0/debezium-postgres";
/** The worker has these; two of a kind in one process quarrel. */
const WORKER_BRINGS = [
  "kafka-clients",
  "connect-api",
  "slf4j-api",
  "zstd-jni",
  "lz4-java",
  "snappy-java",
  "jakarta.ws",
];
const JVM = [
  "-Xms128m",
  "-Xmx256m",
  "-XX:+UseSerialGC",
  "-XX:MaxMetaspaceSize=160m",
  "-XX:ReservedCodeCacheSize=64m",
  "-Xss512k",
  "-Dlog4j2.configurationFile=log4j2.properties",
];

export const connect: Kind = {
  onlyOnRequest: true,
  count: () => 1,
  ports: ({ number, basePort }) => portsOf("connect", number, basePort),
  needs: [
    JAVA,
    MAVEN,
    jars(WORKER, ["org.apache.kafka:connect-runtime:4.3.1", "org.apache.kafka:connect-json:4.3.1", LOG4J]),
    jars(DEBEZIUM, ["io.debezium:debezium-connector-postgres:3.7.0.Final"], WORKER_BRINGS),
  ],
  after: ["kafka"],
  files: (server) => ({
    "connect.properties": config(server, brokersIn(server)),
    "log4j2.properties": LOG4J_SETTINGS,
  }),
  command: () => ({
    argv: [find("java") ?? "java", ...JVM, "org.apache.kafka.connect.cli.ConnectDistributed", "connect.properties"],
    env: { CLASSPATH: join(jarsFolder(WORKER), "*") },
  }),
  async ready({ number, basePort }) {
    const { rest } = portsOf("connect", number, basePort);
    const question = "GET /connectors HTTP/1.0\r\n\r\n"; // answered once the worker has joined its group
    return (await ask(rest, question, (answer) => answer.includes("\r\n")))?.toString().includes(" 200 ") ?? false;
  },
  env: ([server]) =>
    server ? { KAFKA_CONNECT_URL: `http://127.0.0.1:${portsOf("connect", 1, server.basePort).rest}` } : {},
};

export function config({ basePort }: Server, brokers: number): string {
  const addresses = Array.from(
    { length: brokers },
    (_, index) => `127.0.0.1:${portsOf("kafka", index + 1, basePort).broker}`,
  );
  return `bootstrap.servers=${addresses.join(",")}
group.id=connect
listeners=http://127.0.0.1:${portsOf("connect", 1, basePort).rest}
rest.advertised.host.name=127.0.0.1
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
config.storage.topic=connect-configs
config.storage.replication.factor=${brokers}
offset.storage.topic=connect-offsets
offset.storage.partitions=1
offset.storage.replication.factor=${brokers}
status.storage.topic=connect-status
status.storage.partitions=1
status.storage.replication.factor=${brokers}
offset.flush.interval.ms=1000
scheduled.rebalance.max.delay.ms=0
session.timeout.ms=6000
plugin.path=${jarsFolder("debezium-3.7.0")}
plugin.discovery=service_load
producer.linger.ms=5
producer.batch.size=65536
`;
}

function brokersIn(server: Server): number {
  return kept(server.root, nameOf({ ...server, kind: "kafka" }))?.server.count ?? 1;
}
