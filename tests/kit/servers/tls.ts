// Kafka, RabbitMQ and Redis as they are where others listen on the network: TLS with an authority of the test's own, and a password besides.
import { writeFileSync } from "node:fs";
import { freePort } from "../../../scripts/copy/ports.ts";
import { format } from "../../../scripts/servers/kafka.ts";
import { KINDS } from "../../../scripts/servers/kinds.ts";
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
  await fetchMissing([...TLS_KINDS]);
  const ports: Record<TlsKind, number> = {
    kafka: await freePort(),
    rabbitmq: await freePort(),
    redis: await freePort(),
  };
  const mine = authority.certify("DNS:localhost");
  const plain = { ...KINDS };
  KINDS.kafka = saslSsl(plain.kafka, mine, ports.kafka);
  KINDS.rabbitmq = withLines(plain.rabbitmq, "rabbitmq.conf", () => [
    `listeners.ssl.default = 127.0.0.1:${ports.rabbitmq}`,
    `ssl_options.cacertfile = ${authority.caPath}`,
    `ssl_options.certfile = ${mine.certPath}`,
    `ssl_options.keyfile = ${mine.keyPath}`,
    "ssl_options.verify = verify_peer",
    "ssl_options.fail_if_no_peer_cert = true",
    "default_user = bodega",
    `default_pass = ${PASSWORD}`,
  ]);
  KINDS.redis = withLines(plain.redis, "redis.conf", () => [
    `tls-port ${ports.redis}`,
    `tls-cert-file ${mine.certPath}`,
    `tls-key-file ${mine.keyPath}`,
    `tls-ca-cert-file ${authority.caPath}`,
    "tls-auth-clients yes",
    `user bodega on >${PASSWORD} ~* &* +@all`,
  ]);
  try {
    const servers = await startServers([...TLS_KINDS], { basePort });
    return { servers, env: environment(ports) };
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

/** A kind with more in one of its files than it has for everybody. */
export function withLines(plain: Kind, file: string, more: (server: Server) => string[]): Kind {
  return {
    ...plain,
    files(server) {
      const files = plain.files?.(server) ?? {};
      return { ...files, [file]: `${files[file] ?? ""}${more(server).join("\n")}\n` };
    },
  };
}

const SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

/** The user is there from the first start on: `format` writes it into the metadata. */
function saslSsl(plain: Kind, { cert, key, certPath }: Certificate, port: number): Kind {
  const both = `${certPath}.both`;
  writeFileSync(both, `${key}${cert}`);
  const lines = (server: Server) => {
    const { broker, controller } = plain.ports(server);
    return [
      `listeners=PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller},SASL_SSL://127.0.0.1:${port}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${broker},SASL_SSL://localhost:${port}`,
      "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
      "ssl.keystore.type=PEM",
      `ssl.keystore.location=${both}`,
      "sasl.enabled.mechanisms=SCRAM-SHA-512",
      `listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=${SCRAM}`,
    ];
  };
  return {
    ...withLines(plain, "server.properties", lines),
    prepare: (server) => format(server, ["--add-scram", `SCRAM-SHA-512=[name=bodega,password=${PASSWORD}]`]),
  };
}
