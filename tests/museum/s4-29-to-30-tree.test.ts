// What lay in the main seed's repository, and what did not. Each rule is first shown what it must find.
import { expect, test } from "bun:test";
import { paths, ROOT } from "../../scripts/tree.ts";

const BYTES_MAX = 1_000_000;
/** Names nobody can own, and this machine: a password for them opens nothing. */
const NOWHERE = "(?:[\\w.-]*\\.(?:test|example|invalid)|localhost|127\\.0\\.0\\.1|host)\\b";

const SECRETS: Record<string, RegExp> = {
  "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  "a cloud key": /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  "a payment key": /\b(?:(?:sk|rk)_(?:live|test)|whsec)_[0-9A-Za-z]{8,}/,
  "a forge or chat token": /\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,})/,
  "a signed token": /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/,
};
/** Tests speak of addresses that nobody has. */
const ADDRESSED = new RegExp(`\\b[a-z]+://[^\\s/:@"'\`$\\[<{]*:[^\\s/@"'\`$<{]+@(?!${NOWHERE})`);
/** In what is no code: variables that are given a value, other than where a file with it is. What etcd calls a token is a name. */
const ASSIGNED =
  /^[\s-]*(?:export |ENV )?\w*(?:PASSWORD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY)\w*(?<!_FILE|ETCD_INITIAL_CLUSTER_TOKEN)["']?\s*[=:][^\S\n]*["']?[^\s"'`$<{(.…|]{6,}/im;
/** In code that ships. Tests and benches have users of their own, in databases that end with them. */
const WRITTEN = /(?:password|secret|token|api_?key|private_?key)["']?\s*[=:]\s*(["'`])(?!\1)[^"'`$\s]{8,}\1/i;
const FILES =
  /(?:^|\/)(?:\.env(?:\.[\w.]*)?|id_(?:rsa|ed25519|ecdsa)|secrets\.json|credentials|[^/]*\.(?:pem|key|p12|pfx|jks))$/;

const isTest = (path: string) => /\.test\.tsx?$/.test(path);
const ships = (path: string) => /^(?:services|packages|scripts)\//.test(path) && !isTest(path);
const isCode = (path: string) => /\.(?:tsx?|sql|proto|lock)$/.test(path);

function secretsIn(path: string, text: string): string[] {
  const found = Object.entries(SECRETS).filter(([, rule]) => rule.test(text));
  const says = found.map(([name]) => name);
  if (FILES.test(path)) says.push("a file for secrets");
  if (!isTest(path) && ADDRESSED.test(text)) says.push("a password in an address");
  if (!isCode(path) && ASSIGNED.test(text)) says.push("a variable with its secret");
  if (ships(path) && isCode(path) && WRITTEN.test(text)) says.push("a secret in the code");
  return says.map((each) => `${path}: ${each}`);
}

// Written in pieces, so that the search through the tree does not find them here.
const PLANTED: [path: string, ...text: string[]][] = [
  [".env.example", "JWT_SECRET=", "3f9a77c1"],
  ["deploy/.env.production", ""],
  ["keys/server.pem", ""],
  ["a.ts", "-----BEGIN ", "PRIVATE KEY-----"],
  ["a.ts", "AKIA", "ABCDEFGHIJKLMNOP"],
  ["a.md", "sk_live", "_51HxAbCdEf"],
  ["a.yml", "whsec", "_51HxAbCdEf"],
  ["a.ts", "ghp", `_${"a".repeat(36)}`],
  ["a.json", "eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiJhZG1pbiJ9", ".c2lnbmF0dXJlLg"],
  ["a.ts", "postgres://app:hun", "ter2@db.shop.org/orders"],
  ["stack.yml", "  - POSTGRES_PASSWORD=", "letmein123"],
  ["stack.yml", "  rabbitmq_password: ", "letmein123"],
  ["services/auth/config.ts", 'const secret = "', 'my-super-secret"'],
];
const FINE: [path: string, text: string][] = [
  ["README.md", "TOKEN=$(login) PASSWORD=<yours> `ADMIN_PASSWORD` smtp://[user:password@]host"],
  ["stack.yml", "  ADMIN_PASSWORD_FILE: /run/secrets/admin_password"],
  ["a.ts", "postgres://postgres:" + "$" + "{password}@127.0.0.1"],
  ["a.test.ts", 'const PASSWORD = "three-brown-foxes"; "smtps://u:p@mail.test:465"'],
  ["services/auth/config.ts", 'const secret = env["AUTH_SECRET"]; const token = "";'],
];

test("s4-29 secrets lie in the repository: none does, in any file of the tree", async () => {
  // The seed committed its JWT key, its database and its broker passwords in .env.example.
  const missed = PLANTED.filter(([path, ...text]) => secretsIn(path, text.join("")).length === 0);
  expect(missed).toEqual([]);
  for (const [path, text] of FINE) expect(secretsIn(path, text)).toEqual([]);
  const found: string[] = [];
  for (const path of paths()) {
    const file = Bun.file(`${ROOT}/${path}`);
    found.push(...secretsIn(path, file.size > BYTES_MAX ? "" : await file.text()));
  }
  expect(found).toEqual([]);
});

/** What a README may only name when the tree has it. */
const CLAIMS: [word: RegExp, path: RegExp][] = [
  [/\bswarm\b/i, /^stack\.yml$/],
  [/\b(?:loki|tempo|grafana)\b/i, /^observability\//],
  [/\bkafka\b/i, /^packages\/events\/kafka\.ts$/],
  [/\brabbitmq\b/i, /^packages\/jobs\/rabbitmq\.ts$/],
  [/\bredis\b/i, /^packages\/locks\/redis\.ts$/],
  [/\bstripe\b/i, /^services\/payment\/provider\/stripe\.ts$/],
];

function unfounded(readme: string, tree: string[]): RegExp[] {
  return CLAIMS.filter(([word, path]) => word.test(readme) && !tree.some((each) => path.test(each))).map(
    ([word]) => word,
  );
}

test("s4-30 the README names what is nowhere: Swarm, Loki, Tempo, Grafana and the brokers are named when they are there", async () => {
  // The seed's README listed a dozen systems that no file of it set up or called.
  expect(unfounded("Deploys to Docker Swarm, with Kafka", ["packages/events/kafka.ts"])).toEqual([/\bswarm\b/i]);
  expect(unfounded("With Kafka", ["packages/events/kafka.ts"])).toEqual([]);
  expect(unfounded(await Bun.file(`${ROOT}/README.md`).text(), paths())).toEqual([]);
});
