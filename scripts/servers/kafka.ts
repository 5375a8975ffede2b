// One Kafka, or three; each is broker and controller. Java and the jars of 4.3.1 are all it takes.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { must } from "../command.ts";
import { ask } from "./ask.ts";
import { find } from "./find.ts";
import { JAVA, jars, jarsFolder, LOG4J, LOG4J_SETTINGS, MAVEN } from "./maven.ts";
import { portsOf } from "./ports.ts";
import { clusterOf, folderOf, type Kind, nameOf, type Server } from "./server.ts";
import { until } from "./until.ts";

// Not the newest: parts of 4.4.0 are missing from the registry.
export const KAFKA_JARS = "kafka-4.3.1";
const COORDINATES = ["org.apache.kafka:kafka_2.13:4.3.1", LOG4J];
/** Any 16 bytes do, in base64url. */
const CLUSTER_ID = Buffer.from("bodega-developer").toString("base64url");
const JVM = [
  "-Xms256m",
  "-Xmx256m",
  "-XX:+UseSerialGC",
  "-XX:MaxMetaspaceSize=128m",
  "-XX:ReservedCodeCacheSize=64m",
  "-XX:MaxDirectMemorySize=64m",
  "-Xss512k",
  "-Dlog4j2.configurationFile=log4j2.properties",
];

export const kafka: Kind = {
  count: (size) => size,
  ports: ({ number, basePort }) => portsOf("kafka", number, basePort),
  needs: [JAVA, MAVEN, jars(KAFKA_JARS, COORDINATES)],
  files: (server) => ({ "server.properties": config(server), "log4j2.properties": LOG4J_SETTINGS }),
  prepare: (server) => format(server),
  command: () => ({
    argv: [java(), ...JVM, "kafka.Kafka", "server.properties"],
    env: { CLASSPATH: classpath() },
  }),
  ready: async (server) => (await brokersKnownTo(server)) > 0,
  async form(servers) {
    await Promise.all(
      servers.map((server) =>
        until(`${nameOf(server)} knows all brokers`, async () => (await brokersKnownTo(server)) === servers.length),
      ),
    );
  },
  env: (servers) => ({
    KAFKA_BROKERS: servers
      .map(({ number, basePort }) => `127.0.0.1:${portsOf("kafka", number, basePort).broker}`)
      .join(","),
  }),
};

/** Once; `more` says what is there from the beginning, such as users. */
export async function format(server: Server, more: string[] = []): Promise<void> {
  const folder = folderOf(server);
  if (existsSync(join(folder, "data", "meta.properties"))) return;
  const words = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", "server.properties", ...more];
  await must([java(), ...JVM, ...words], { cwd: folder, env: { CLASSPATH: classpath() } });
}

export function config(server: Server): string {
  const { broker, controller } = portsOf("kafka", server.number, server.basePort);
  const voters = clusterOf(server).map(
    ({ number, basePort }) => `${number}@127.0.0.1:${portsOf("kafka", number, basePort).controller}`,
  );
  const copies = server.count;
  const copiesForCommit = copies > 1 ? 2 : 1;
  return `process.roles=broker,controller
node.id=${server.number}
controller.quorum.voters=${voters.join(",")}
listeners=PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${join(folderOf(server), "data")}
offsets.topic.replication.factor=${copies}
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=${copies}
transaction.state.log.min.isr=${copiesForCommit}
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=${copies}
share.coordinator.state.topic.min.isr=${copiesForCommit}
default.replication.factor=${copies}
min.insync.replicas=${copiesForCommit}
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
unclean.leader.election.enable=false
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
# With the default of 9 s every write waits that long for a broker that was killed.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=5000
`;
}

/** A Metadata request (key 3, version 1) for no topics; its answer begins with the brokers that are not fenced. */
async function brokersKnownTo({ number, basePort }: Server): Promise<number> {
  const request = Buffer.from([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0]);
  const { broker } = portsOf("kafka", number, basePort);
  const answer = await ask(broker, request, ({ length }) => length >= 12);
  return answer?.readInt32BE(8) ?? 0;
}

function java(): string {
  return find("java") ?? "java";
}

function classpath(): string {
  return join(jarsFolder(KAFKA_JARS), "*");
}
