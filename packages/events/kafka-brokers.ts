const FORM = "KAFKA_BROKERS must be host:port, or several by comma";

/** Where to begin: any broker names the others. */
export function readKafkaBrokers(text: string): string[] {
  return text.split(",").map((each) => {
    const broker = each.trim();
    const port = /^[\w.-]+:(\d{1,5})$/.exec(broker)?.[1];
    if (port === undefined || Number(port) < 1 || Number(port) > 65_535)
      throw new Error(`${FORM}, found ${JSON.stringify(broker)}`);
    return broker;
  });
}

/** How the brokers are reached, and who we are to them. */
export interface KafkaSettings {
  brokers: string[];
  tls: boolean;
  sasl?: { [Each in Mechanism]: { mechanism: Each; username: string; password: string } }[Mechanism];
}

const MECHANISMS = ["scram-sha-512", "scram-sha-256", "plain"] as const;
type Mechanism = (typeof MECHANISMS)[number];

/** Undefined when KAFKA_BROKERS is unset. */
export function readKafkaSettings(env: Record<string, string | undefined>): KafkaSettings | undefined {
  const text = env["KAFKA_BROKERS"];
  const [tls = "off", username, password] = [env["KAFKA_TLS"], env["KAFKA_USERNAME"], env["KAFKA_PASSWORD"]].map(
    (text) => text || undefined,
  );
  const mechanism = env["KAFKA_SASL"] || "scram-sha-512";
  if (tls !== "on" && tls !== "off") throw new Error(`KAFKA_TLS must be on or off, found ${tls}`);
  if (!isMechanism(mechanism))
    throw new Error(`KAFKA_SASL must be one of ${MECHANISMS.join(", ")}, found ${mechanism}`);
  if (Boolean(username) !== Boolean(password))
    throw new Error("KAFKA_USERNAME and KAFKA_PASSWORD: set both or neither");
  if (username && mechanism === "plain" && tls === "off")
    throw new Error("KAFKA_SASL=plain shows KAFKA_PASSWORD to whoever listens: it needs KAFKA_TLS=on");
  if (!text) return undefined;
  const sasl = username && password ? { mechanism, username, password } : undefined;
  return { brokers: readKafkaBrokers(text), tls: tls === "on", ...(sasl && { sasl }) };
}

function isMechanism(text: string): text is Mechanism {
  return MECHANISMS.some((each) => each === text);
}
