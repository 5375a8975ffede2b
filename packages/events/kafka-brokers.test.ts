import { expect, test } from "bun:test";
import { readKafkaBrokers } from "./kafka-brokers.ts";

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
