export interface RabbitNode {
  protocol: "amqp" | "amqps";
  hostname: string;
  port: number;
  username: string;
  password: string;
  vhost: string;
}

const EXPECTED =
  "RABBITMQ_URL must be amqp://[user:password@]host[:port][/vhost], amqps:// for TLS, or several of them by comma for a cluster";

/** The nodes of one broker, to be tried in turn. Its errors never show the text: it carries a password. */
export function readRabbitUrl(text: string): RabbitNode[] {
  return text.split(",").map((part) => readPart(part.trim()));
}

function readPart(part: string): RabbitNode {
  const url = URL.canParse(part) ? new URL(part) : undefined;
  if (!url?.hostname || !/^\/[^/]*$|^$/.test(url.pathname)) throw new Error(EXPECTED);
  if (url.protocol !== "amqp:" && url.protocol !== "amqps:") throw new Error(EXPECTED);
  const tls = url.protocol === "amqps:";
  return {
    protocol: tls ? "amqps" : "amqp",
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (tls ? 5671 : 5672)),
    username: decodeURIComponent(url.username || "guest"),
    password: decodeURIComponent(url.password || "guest"),
    vhost: encodeURIComponent(decodeURIComponent(url.pathname.slice(1)) || "/"),
  };
}
