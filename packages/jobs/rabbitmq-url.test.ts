import { expect, test } from "bun:test";
import { readRabbitmqUrl } from "./rabbitmq-url.ts";

function nodesOf(url: string) {
  return readRabbitmqUrl({ RABBITMQ_URL: url })?.nodes;
}

test("an address names host, user, password and virtual host", () => {
  expect(nodesOf("amqp://queue")).toEqual([
    { protocol: "amqp", hostname: "queue", port: 5672, username: "guest", password: "guest", vhost: "%2F" },
  ]);
  expect(nodesOf("amqps://ann:p%40ss%2Cw@[::1]/shop")).toEqual([
    { protocol: "amqps", hostname: "::1", port: 5671, username: "ann", password: "p@ss,w", vhost: "shop" },
  ]);
});

test("several addresses are the nodes of a cluster, in turn", () => {
  const nodes = nodesOf("amqp://a:1, amqp://b:2/");
  expect(nodes?.map(({ hostname, port }) => `${hostname}:${port}`)).toEqual(["a:1", "b:2"]);
});

test("wake-ups wait in queues unless the plugin is asked for", () => {
  expect(readRabbitmqUrl({ RABBITMQ_URL: "amqp://a" })?.delay).toBe("ttl");
  expect(readRabbitmqUrl({ RABBITMQ_URL: "amqp://a", RABBITMQ_DELAY: "" })?.delay).toBe("ttl");
  expect(readRabbitmqUrl({ RABBITMQ_URL: "amqp://a", RABBITMQ_DELAY: "plugin" })?.delay).toBe("plugin");
});

test("nothing set is no RabbitMQ", () => {
  expect(readRabbitmqUrl({})).toBeUndefined();
  expect(readRabbitmqUrl({ RABBITMQ_URL: "", RABBITMQ_DELAY: "" })).toBeUndefined();
});

test.each([
  [{ RABBITMQ_DELAY: "plugin" }, "RABBITMQ_DELAY is set, but RABBITMQ_URL is not"],
  [{ RABBITMQ_URL: "amqp://a", RABBITMQ_DELAY: "cron" }, "RABBITMQ_DELAY must be ttl or plugin, found cron"],
  [{ RABBITMQ_URL: "amqp://a/one,amqp://b/two" }, "RABBITMQ_URL names several virtual hosts"],
  [{ RABBITMQ_URL: "amqp://ann@a" }, "RABBITMQ_URL must name a user and a password"],
  [{ RABBITMQ_URL: "amqp://:secret@a" }, "RABBITMQ_URL must name a user and a password"],
])("half a setting is refused: %p", (env, expected) => {
  expect(() => readRabbitmqUrl(env)).toThrow(expected);
});

test.each([
  "queue:5672",
  "http://:secret@queue",
  "amqp://ann:secret@a:1,",
  "amqp://ann:secret@a:1/one/two",
  "amqp://ann:secret%zz@a",
  "amqp://ann:secret@a?heartbeat=1",
])("%p is refused, without telling its password", (url) => {
  expect(() => nodesOf(url)).toThrow("RABBITMQ_URL must be");
  expect(() => nodesOf(url)).not.toThrow("secret");
});
