export interface RabbitNode {
  protocol: "amqp" | "amqps";
  hostname: string;
  port: number;
  username: string;
  password: string;
  vhost: string;
}

/** How wake-ups are held back, see packages/jobs/rabbitmq-delay.ts. */
export type Delay = "ttl" | "plugin";

export interface RabbitSettings {
  /** Of one broker, to be tried in turn. */
  nodes: RabbitNode[];
  delay: Delay;
}

const EXPECTED =
  "RABBITMQ_URL must be amqp://[user:password@]host[:port][/vhost], amqps:// for TLS, or several of them by comma for a cluster";

/** Undefined when RABBITMQ_URL is unset. Its errors never show the text: it carries a password. */
export function readRabbitmqUrl(env: Record<string, string | undefined>): RabbitSettings | undefined {
  const text = env["RABBITMQ_URL"];
  const delay = env["RABBITMQ_DELAY"] || "ttl";
  if (delay !== "ttl" && delay !== "plugin") throw new Error(`RABBITMQ_DELAY must be ttl or plugin, found ${delay}`);
  if (!text) {
    if (env["RABBITMQ_DELAY"]) throw new Error("RABBITMQ_DELAY is set, but RABBITMQ_URL is not: set both or neither");
    return undefined;
  }
  const nodes = text.split(",").map((part) => readPart(part.trim()));
  if (new Set(nodes.map(({ vhost }) => vhost)).size > 1)
    throw new Error("RABBITMQ_URL names several virtual hosts: expected the nodes of one cluster, all with the same");
  return { nodes, delay };
}

function readPart(part: string): RabbitNode {
  const url = URL.canParse(part) ? new URL(part) : undefined;
  if (!url?.hostname || !/^\/[^/]*$|^$/.test(url.pathname) || url.search || url.hash) throw new Error(EXPECTED);
  if (url.protocol !== "amqp:" && url.protocol !== "amqps:") throw new Error(EXPECTED);
  if (Boolean(url.username) !== Boolean(url.password))
    throw new Error("RABBITMQ_URL must name a user and a password, or neither of them (guest)");
  const tls = url.protocol === "amqps:";
  return {
    protocol: tls ? "amqps" : "amqp",
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (tls ? 5671 : 5672)),
    username: decoded(url.username || "guest"),
    password: decoded(url.password || "guest"),
    vhost: encodeURIComponent(decoded(url.pathname.slice(1)) || "/"),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Error(`${EXPECTED}; what is no letter or digit in it is written %xx`, { cause: error });
  }
}
