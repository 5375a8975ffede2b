// Kafka, RabbitMQ and Redis as they are where others listen on the network: TLS with an authority of the test's own, and a password besides.
import { writeFileSync } from "node:fs";
import { freePort } from "../../../scripts/copy/ports.ts";
import { format } from "../../../scripts/servers/kafka.ts";
import { KINDS } from "../../../scripts/servers/kinds.ts";
import type { KindName } from "../../../scripts/servers/ports.ts";
import type { Kind, Server } from "../../../scripts/servers/server.ts";
import { type Servers, startServers } from "../../../scripts/servers/start-servers.ts";
import type { Authority, Certificate } from "../certificates.ts";
import { fetchMissing } from "./absent.ts";

export const PASSWORD = "of-a-test";
export const TLS_KINDS = ["kafka", "rabbitmq", "redis"] as const;
type TlsKind = (typeof TLS_KINDS)[number];

export interface TlsServers {
  servers: Servers;
  /** What points Bodega at each of them; the authority is told apart. Kafka asks for a password by SCRAM, the others for a certificate too. */
  env: Record<TlsKind, Record<string, string>>;
}

/** The ports that scripts/servers knows speak in the clear as ever: by them it sees that a server is up. */
export async function startTlsServers(authority: Authority, basePort: number): Promise<TlsServers> {
  const ports: Record<TlsKind, number> = {
    kafka: await freePort(),
    rabbitmq: await freePort(),
    redis: await freePort(),
  };
  const mine = authority.certify("DNS:localhost");
  const kinds: Record<TlsKind, Kind> = {
    kafka: withScram(kafkaOverTls(mine, ports.kafka, SCRAM, SCRAM_MODULE)),
    rabbitmq: rabbitmqOverTls(authority, mine, ports.rabbitmq),
    redis: redisOverTls(authority, mine, ports.redis),
  };
  return { servers: await startChanged(kinds, basePort), env: environment(ports) };
}

/** Starts servers of these kinds as they are here. KINDS has its own again when they are up. */
export async function startChanged(kinds: Partial<Record<KindName, Kind>>, basePort: number): Promise<Servers> {
  const names = Object.keys(kinds) as KindName[]; // the keys of a record of kinds are names of kinds
  await fetchMissing(names);
  const plain = { ...KINDS };
  Object.assign(KINDS, kinds);
  try {
    return await startServers(names, { basePort });
  } finally {
    Object.assign(KINDS, plain);
  }
}

function environment(ports: Record<TlsKind, number>): TlsServers["env"] {
  return {
    kafka: {
      KAFKA_BROKERS: `localhost:${ports.kafka}`,
      KAFKA_TLS: "on",
      KAFKA_USERNAME: "bodega",
      KAFKA_PASSWORD: PASSWORD,
    },
    rabbitmq: { RABBITMQ_URL: `amqps://bodega:${PASSWORD}@localhost:${ports.rabbitmq}` },
    redis: { REDIS_URL: `rediss://bodega:${PASSWORD}@localhost:${ports.redis}` },
  };
}

/** It asks for a certificate and a password. */
export function rabbitmqOverTls({ caPath }: Authority, { certPath, keyPath }: Certificate, port: number): Kind {
  return withLines(KINDS.rabbitmq, "rabbitmq.conf", () => [
    `listeners.ssl.default = 127.0.0.1:${port}`,
    `ssl_options.cacertfile = ${caPath}`,
    `ssl_options.certfile = ${certPath}`,
    `ssl_options.keyfile = ${keyPath}`,
    "ssl_options.verify = verify_peer",
    "ssl_options.fail_if_no_peer_cert = true",
    "default_user = bodega",
    `default_pass = ${PASSWORD}`,
  ]);
}

function redisOverTls({ caPath }: Authority, { certPath, keyPath }: Certificate, port: number): Kind {
  return withLines(KINDS.redis, "redis.conf", () => [
    `tls-port ${port}`,
    `tls-cert-file ${certPath}`,
    `tls-key-file ${keyPath}`,
    `tls-ca-cert-file ${caPath}`,
    "tls-auth-clients yes",
    `user bodega on >${PASSWORD} ~* &* +@all`,
  ]);
}

/** `loginModule` is what JAAS is told, in Kafka's words. */
export function kafkaOverTls(
  { cert, key, certPath }: Certificate,
  port: number,
  mechanism: string,
  loginModule: string,
): Kind {
  const both = `${certPath}.both`;
  writeFileSync(both, `${key}${cert}`);
  const plain = KINDS.kafka;
  return withLines(plain, "server.properties", (server) => {
    const { broker, controller } = plain.ports(server);
    return [
      `listeners=PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller},SASL_SSL://127.0.0.1:${port}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${broker},SASL_SSL://localhost:${port}`,
      "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
      "ssl.keystore.type=PEM",
      `ssl.keystore.location=${both}`,
      `sasl.enabled.mechanisms=${mechanism}`,
      `listener.name.sasl_ssl.${mechanism.toLowerCase()}.sasl.jaas.config=${loginModule}`,
    ];
  });
}

const SCRAM = "SCRAM-SHA-512";
const SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

/** The user is there from the first start on: `format` writes it into the metadata. */
function withScram(kafka: Kind): Kind {
  const user = `${SCRAM}=[name=bodega,password=${PASSWORD}]`;
  return { ...kafka, prepare: (server) => format(server, ["--add-scram", user]) };
}

/** A kind with more in one of its files than it has for everybody. */
function withLines(plain: Kind, file: string, more: (server: Server) => string[]): Kind {
  return {
    ...plain,
    files(server) {
      const files = plain.files?.(server) ?? {};
      return { ...files, [file]: `${files[file] ?? ""}${more(server).join("\n")}\n` };
    },
  };
}
