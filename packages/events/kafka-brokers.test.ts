import { expect, test } from "bun:test";
import { readKafkaBrokers, readKafkaSettings } from "./kafka-brokers.ts";

test("one broker, or several by comma", () => {
  expect(readKafkaBrokers("kafka:9092")).toEqual(["kafka:9092"]);
  expect(readKafkaBrokers("127.0.0.1:1, kafka-2.example:65535")).toEqual(["127.0.0.1:1", "kafka-2.example:65535"]);
});

test.each(["", "kafka", "kafka:0", "kafka:65536", "kafka:9092,", "kafka://kafka:9092", "a b:1"])(
  "%p is refused",
  (text) => {
    expect(() => readKafkaBrokers(text)).toThrow("KAFKA_BROKERS must be host:port, or several by comma, found");
  },
);

const KAFKA = { KAFKA_BROKERS: "kafka:9092", KAFKA_USERNAME: "bodega", KAFKA_PASSWORD: "hidden" };

test("a password is shown by SCRAM unless something else is said, with TLS and without", () => {
  expect(readKafkaSettings({})).toBeUndefined();
  expect(readKafkaSettings({ KAFKA_BROKERS: "kafka:9092" })).toEqual({ brokers: ["kafka:9092"], tls: false });
  const sasl = { username: "bodega", password: "hidden" };
  expect(readKafkaSettings(KAFKA)?.sasl).toEqual({ mechanism: "scram-sha-512", ...sasl });
  const plain = readKafkaSettings({ ...KAFKA, KAFKA_SASL: "plain", KAFKA_TLS: "on" });
  expect(plain).toMatchObject({ tls: true, sasl: { mechanism: "plain", ...sasl } });
});

test.each([
  [{ KAFKA_PASSWORD: "" }, "KAFKA_USERNAME and KAFKA_PASSWORD: set both or neither"],
  [{ KAFKA_SASL: "plain" }, "KAFKA_SASL=plain shows KAFKA_PASSWORD to whoever listens: it needs KAFKA_TLS=on"],
  [{ KAFKA_SASL: "kerberos" }, "KAFKA_SASL must be one of scram-sha-512, scram-sha-256, plain, found kerberos"],
  [{ KAFKA_TLS: "yes" }, "KAFKA_TLS must be on or off, found yes"],
])("%j is refused, without telling the password", (env, sentence) => {
  expect(() => readKafkaSettings({ ...KAFKA, ...env })).toThrow(sentence);
  expect(() => readKafkaSettings({ ...KAFKA, ...env })).not.toThrow("hidden");
});
