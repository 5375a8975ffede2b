import { expect, test } from "bun:test";
import { readRabbitUrl } from "./rabbitmq-url.ts";

test("an address names host, user, password and virtual host", () => {
  expect(readRabbitUrl("amqp://queue")).toEqual([
    { protocol: "amqp", hostname: "queue", port: 5672, username: "guest", password: "guest", vhost: "%2F" },
  ]);
  expect(readRabbitUrl("amqps://ann:p%40ss%2Cw@[::1]/shop")).toEqual([
    { protocol: "amqps", hostname: "::1", port: 5671, username: "ann", password: "p@ss,w", vhost: "shop" },
  ]);
});

test("several addresses are the nodes of a cluster, in turn", () => {
  const nodes = readRabbitUrl("amqp://a:1, amqp://b:2/");
  expect(nodes.map(({ hostname, port }) => `${hostname}:${port}`)).toEqual(["a:1", "b:2"]);
});

for (const text of ["", "queue:5672", "http://:secret@queue", "amqp://:secret@a:1,", "amqp://:secret@a:1/one/two"]) {
  test(`${JSON.stringify(text)} is refused, without telling its password`, () => {
    expect(() => readRabbitUrl(text)).toThrow("RABBITMQ_URL must be");
    expect(() => readRabbitUrl(text)).not.toThrow("secret");
  });
}
