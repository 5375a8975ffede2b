// RabbitMQ and Kafka over TLS, with an authority of the test's own; Kafka asks for a password too. PostgreSQL and Redis: packages/database/tls.test.ts and
// packages/locks/redis-tls.test.ts.
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { randomUUID } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { createKafkaEvents } from "../../packages/events/kafka.ts";
import { createRabbitmqJobs } from "../../packages/jobs/rabbitmq.ts";
import { readRabbitmqUrl } from "../../packages/jobs/rabbitmq-url.ts";
import { createLog } from "../../packages/telemetry/log.ts";
import { freePort } from "../../scripts/copy/ports.ts";
import { createAuthority } from "../kit/certificates.ts";
import { eventually } from "../kit/eventually.ts";
import { absent } from "../kit/servers/absent.ts";
import { collect, message, outcomeOf } from "../kit/servers/rabbitmq-jobs.ts";
import { kafkaOverTls, PASSWORD, rabbitmqOverTls, startChanged } from "../kit/servers/tls.ts";
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

testUnless(absent(["rabbitmq"]))(
  "jobs go through a RabbitMQ that knows us by our certificate, and to no other server",
  async () => {
    const port = await freePort();
    const rabbitmq = rabbitmqOverTls(authority, authority.certify("DNS:localhost"), port);
    const servers = await startChanged({ rabbitmq }, BASE_PORT);
    const connect = (tls: SecureContextOptions) => {
      const settings = readRabbitmqUrl({ RABBITMQ_URL: `amqps://bodega:${PASSWORD}@localhost:${port}` });
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

const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_bodega="a password";';

testUnless(absent(["kafka"]))("facts go through a Kafka with TLS and a password, and to no other server", async () => {
  const port = await freePort();
  const kafka = kafkaOverTls(authority.certify("DNS:localhost"), port, "PLAIN", PLAIN_MODULE);
  const servers = await startChanged({ kafka }, BASE_PORT);
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
