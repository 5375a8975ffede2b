export interface RedisAddress {
  /** One server, or some nodes of a Cluster. */
  nodes: { host: string; port: number }[];
  username: string;
  password: string;
  /** A Cluster has only database 0. */
  db: number;
  tls: boolean;
}

const EXPECTED =
  "REDIS_URL must be redis://[user:password@]host[:port][/database], rediss:// for TLS, or several of them by comma for a Cluster";

const ESCAPED = "what is no letter or digit in a user or a password is written %xx";

/** Its errors never show the text: it carries a password. */
export function readRedisUrl(text: string): RedisAddress {
  const urls = text.split(",").map((part) => readPart(part.trim()));
  const [first] = urls;
  if (!first) throw new Error(EXPECTED);
  for (const url of urls) {
    if (url.protocol !== first.protocol || url.username !== first.username || url.password !== first.password)
      throw new Error("REDIS_URL names a Cluster, but not all of its parts have the same scheme, user and password");
    if (urls.length > 1 && databaseOf(url) !== 0)
      throw new Error(`REDIS_URL names a Cluster, which has only database 0, found ${databaseOf(url)}`);
  }
  return {
    nodes: urls.map((url) => ({ host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 6379) })),
    username: decoded(first.username),
    password: decoded(first.password),
    db: databaseOf(first),
    tls: first.protocol === "rediss:",
  };
}

function readPart(part: string): URL {
  const url = URL.canParse(part) ? new URL(part) : undefined;
  if (!url || !/^rediss?:$/.test(url.protocol) || !url.hostname) throw new Error(EXPECTED);
  return url;
}

function databaseOf({ pathname }: URL): number {
  if (pathname === "" || pathname === "/") return 0;
  // What it found may be the rest of a password with a slash in it.
  if (!/^\/\d{1,4}$/.test(pathname)) throw new Error(`REDIS_URL's database must be a number; ${ESCAPED}`);
  return Number(pathname.slice(1));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Error(`${EXPECTED}; ${ESCAPED}`, { cause: error });
  }
}
