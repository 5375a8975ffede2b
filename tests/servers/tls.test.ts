// RabbitMQ and Kafka over TLS, with an authority of the test's own; Kafka asks for a password too. PostgreSQL and Redis: packages/database/tls.test.ts and
// packages/locks/redis-tls.test.ts.
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import { createKafkaEvents } from "../../packages/events/kafka.ts";
import { createRabbitmqJobs } from "../../packages/jobs/rabbitmq.ts";
import { readRabbitmqUrl } from "../../packages/jobs/rabbitmq-url.ts";
import { createLog } from "../../packages/telemetry/log.ts";
import { freePort } from "../../scripts/copy/ports.ts";
import { KINDS } from "../../scripts/servers/kinds.ts";
import type { KindName } from "../../scripts/servers/ports.ts";
import type { Server } from "../../scripts/servers/server.ts";
import { startServers } from "../../scripts/servers/start-servers.ts";
import { createAuthority } from "../kit/certificates.ts";
import { eventually } from "../kit/eventually.ts";
import { absent, fetchMissing } from "../kit/servers/absent.ts";
import { collect, message, outcomeOf } from "../kit/servers/rabbitmq-jobs.ts";
import { testUnless } from "../kit/test-unless.ts";

setDefaultTimeout(240_000);
const BASE_PORT = 26_000 + (process.pid % 50) * 100;
const [authority, stranger] = [createAuthority(), createAuthority()];
const ours = authority.certify("DNS:bodega");
const log = createLog(() => {});
const nowMs = () => performance.now();
afterAll(() => {
  authority.close();
  stranger.close();
});

/** Servers of a kind with more in one of their files than they have for everybody. */
async function startWith(kind: KindName, file: string, more: (server: Server) => string) {
  await fetchMissing([kind]);
  const plain = KINDS[kind];
  KINDS[kind] = {
    ...plain,
    files(server) {
      const files = plain.files?.(server) ?? {};
      return { ...files, [file]: `${files[file] ?? ""}${more(server)}` };
    },
  };
  try {
    return await startServers([kind], { basePort: BASE_PORT });
  } finally {
    KINDS[kind] = plain;
  }
}

testUnless(absent(["rabbitmq"]))(
  "jobs go through a RabbitMQ that knows us by our certificate, and to no other server",
  async () => {
    const port = await freePort();
    const { certPath, keyPath } = authority.certify("DNS:localhost");
    const servers = await startWith("rabbitmq", "rabbitmq.conf", () =>
      [
        `listeners.ssl.default = 127.0.0.1:${port}`,
        `ssl_options.cacertfile = ${authority.caPath}`,
        `ssl_options.certfile = ${certPath}`,
        `ssl_options.keyfile = ${keyPath}`,
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true\n",
      ].join("\n"),
    );
    const connect = (tls: SecureContextOptions) => {
      const settings = readRabbitmqUrl({ RABBITMQ_URL: `amqps://guest:guest@localhost:${port}` });
      if (!settings) throw new Error("expected settings");
      return createRabbitmqJobs({ ...settings, tls, log, nowMs, settleMs: 50 });
    };
    try {
      const jobs = await connect({ ca: authority.ca, cert: ours.cert, key: ours.key });
      const got = collect(jobs, "mail");
      await jobs.send("mail", [message("one")]);
      await eventually(() => got.length === 1);
      await jobs.close();
      expect(await outcomeOf(connect({ ca: stranger.ca, cert: ours.cert, key: ours.key }))).toMatch(
        /certificate|issuer/i,
      );
      expect(await outcomeOf(connect({ ca: authority.ca }))).toMatch(/^RabbitMQ at localhost/);
    } finally {
      await servers.down();
    }
  },
);

testUnless(absent(["kafka"]))("facts go through a Kafka with TLS and a password, and to no other server", async () => {
  const port = await freePort();
  const { cert, key, certPath } = authority.certify("DNS:localhost");
  const both = `${certPath}.both`;
  writeFileSync(both, `${key}${cert}`);
  const servers = await startWith("kafka", "server.properties", ({ basePort }) => {
    const { broker, controller } = { broker: basePort + 51, controller: basePort + 61 };
    return [
      `listeners=PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller},SASL_SSL://127.0.0.1:${port}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${broker},SASL_SSL://localhost:${port}`,
      "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
      "ssl.keystore.type=PEM",
      `ssl.keystore.location=${both}`,
      "sasl.enabled.mechanisms=PLAIN",
      'listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_bodega="a password";\n',
    ].join("\n");
  });
  const publish = async (ssl: SecureContextOptions, password: string) => {
    const sasl = { mechanism: "plain" as const, username: "bodega", password };
    const security = { ssl, sasl };
    const brokers = [`localhost:${port}`];
    const events = createKafkaEvents({ brokers, security, log, nowMs, prefix: `t${randomUUID()}.`, publishMs: 3_000 });
    const outcome = await outcomeOf(events.publish([{ ...message(), topic: "order" }]));
    await events.close();
    return outcome;
  };
  try {
    expect(await publish({ ca: authority.ca }, "a password")).toBe("done");
    expect(await publish({ ca: authority.ca }, "another")).not.toBe("done");
    expect(await publish({ ca: stranger.ca }, "a password")).not.toBe("done");
  } finally {
    await servers.down();
  }
});
