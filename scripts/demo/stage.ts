// Where the demo plays: a private copy of Bodega or a running one, its customers, and the lines it prints.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { codeFor } from "../copy/mails.ts";
import { startCopy } from "../copy/start.ts";
import { placeOf } from "../docs/runner.ts";

const HOUR_MS = 3_600_000;

export interface Stage {
  edge: string;
  catcher: string;
  /** How much faster than real time orders live. */
  scale: number;
  admin: { email: string; password: string } | null;
  close(): Promise<void>;
}

/** BODEGA_URL names a running copy, with CATCHER_URL, TIME_SCALE, ADMIN_EMAIL and ADMIN_PASSWORD as it was started with; else one is started. */
export async function openStage(): Promise<Stage> {
  const env = process.env;
  const password = env["ADMIN_PASSWORD"] || "";
  const email = env["ADMIN_EMAIL"] || "admin@bodega.test";
  if (!env["BODEGA_URL"]) return startStage();
  return {
    edge: env["BODEGA_URL"].replace(/\/$/, ""),
    catcher: (env["CATCHER_URL"] || "http://127.0.0.1:8025").replace(/\/$/, ""),
    scale: Number(env["TIME_SCALE"] || "1"),
    admin: password ? { email, password } : null,
    close: async () => {},
  };
}

async function startStage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-demo-"));
  const scale = 3_600;
  const admin = { email: "admin@bodega.test", password: `demo ${crypto.randomUUID()}` };
  const place = await placeOf(join(folder, "data"));
  const copy = startCopy({
    env: { ...place.env, TIME_SCALE: String(scale), DEMO: "on", KITCHEN_STAFF: "on", ADMIN_PASSWORD: admin.password },
    logFile: join(folder, "log"),
  });
  const close = async () => {
    await copy.end();
    rmSync(folder, { recursive: true, force: true });
  };
  // ^C reaches the copy as well; nothing is to be left of either.
  process.once("SIGINT", () => void close().finally(() => process.exit(130)));
  try {
    await copy.open();
  } catch (error) {
    await close();
    throw error;
  }
  const at = (name: string) => `http://127.0.0.1:${place.env[name]}`;
  return { edge: at("PORT"), catcher: at("MAIL_PORT"), scale, admin, close };
}

/** Somebody with an account, as an ordinary client of the edge. */
export interface Person {
  name: string;
  email: string;
  as<S extends DescService>(service: S): Client<S>;
}

/** Registers, reads the code in the mail, verifies, logs in. */
export async function signUp(stage: Stage, name: string): Promise<Person> {
  const email = `${name.toLowerCase()}.${crypto.randomUUID().slice(0, 8)}@example.test`;
  const password = `${name} has a long password`;
  const auth = client(stage, AuthService, "");
  await auth.register({ email, password, displayName: name });
  await auth.verifyEmail({ email, code: await codeFor(stage.catcher, email) });
  return logIn(stage, name, email, password);
}

export async function logIn(stage: Stage, name: string, email: string, password: string): Promise<Person> {
  const { accessToken } = await client(stage, AuthService, "").login({ email, password });
  return { name, email, as: (service) => client(stage, service, accessToken) };
}

function client<S extends DescService>({ edge }: Stage, service: S, token: string): Client<S> {
  const transport = createConnectTransport({
    baseUrl: edge,
    useBinaryFormat: true,
    interceptors: [
      (next) => (req) => {
        if (token) req.header.set("authorization", `Bearer ${token}`);
        return next(req);
      },
    ],
  });
  return createClient(service, transport);
}

/** Business time since the demo began, and one line per thing that happens. */
export interface Telling {
  say(who: string, what: string, tone?: Tone): void;
  /** Waits until the demo's clock shows this. */
  hour(hours: number): Promise<void>;
  now(): string;
}

export type Tone = "plain" | "good" | "bad" | "quiet";

const TONES: Record<Tone, string> = { plain: "", good: "\x1b[32m", bad: "\x1b[31m", quiet: "\x1b[2m" };

export function tellingFor({ scale }: Stage): Telling {
  const began = performance.now();
  const colours = process.stdout.isTTY && !process.env["NO_COLOR"];
  const ms = () => (performance.now() - began) * scale;
  const now = () => {
    const minutes = Math.floor(ms() / 60_000);
    return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
  };
  return {
    now,
    say(who, what, tone = "plain") {
      const line = `  ${now()}  ${who.padEnd(6)} ${what}`;
      console.log(colours && TONES[tone] ? `${TONES[tone]}${line}\x1b[0m` : line);
    },
    hour: (hours) => Bun.sleep(Math.max(0, (hours * HOUR_MS - ms()) / scale)),
  };
}
