// A real Kafka of three brokers for a test file: on ports of its own, ended with it.
import { type Servers, startServers } from "../../../scripts/servers/start-servers.ts";
import { absent, fetchMissing } from "./absent.ts";

/** Why tests that need a real Kafka are skipped; undefined when they are not. */
export const NO_KAFKA = absent(["kafka"]);

const PORTS_FIRST = 20_000;

export interface TestKafka {
  brokers: string[];
  servers: Servers;
  /** Broker n is called kafka-n. */
  end(): Promise<void>;
}

export async function startKafka(): Promise<TestKafka> {
  await fetchMissing(["kafka"]);
  // Two runs beside each other have different process ids.
  const basePort = PORTS_FIRST + (process.pid % 100) * 100;
  const servers = await startServers(["kafka"], { size: 3, basePort });
  return {
    brokers: (servers.env["KAFKA_BROKERS"] ?? "").split(","),
    servers,
    end: servers.down,
  };
}
