// Who is logged in where. One file a session, readable by its owner alone, so that two commands at once do not undo each other's.
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AuthService,
  type CompleteLoginResponse,
  type LoginResponse,
  type RefreshResponse,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { Edge } from "../edge/edge.ts";

/** A token that ends this soon is not sent any more. */
const ENDS_SOON_MS = 30_000;

interface Session {
  email: string;
  accessToken: string;
  refreshToken: string;
  /** By the clock of this machine, which need not agree with the shop's. */
  expiresAt: number;
}

export interface Sessions {
  /** Keeps a login, which is from now on the one that commands use when they name none. */
  keep(email: string, login: LoginResponse | CompleteLoginResponse, current?: boolean): Promise<void>;
  /** The address that commands are given in. */
  current(): Promise<string | undefined>;
  emails(): Promise<string[]>;
  /** A good access token, refreshed when need be; undefined when nobody is logged in by this address. `refused` is one that the shop did not accept. */
  token(email: string, edge: Edge, refused?: string): Promise<string | undefined>;
  /** The refresh token, for Logout; the session is forgotten. */
  forget(email: string): Promise<string | undefined>;
}

/** Of one shop, by its URL, under XDG_CONFIG_HOME. */
export function openSessions(env: Record<string, string | undefined>, url: string): Sessions {
  const home = env["XDG_CONFIG_HOME"] || join(env["HOME"] || homedir(), ".config");
  const folder = join(home, "bodega", "sessions", encodeURIComponent(url));
  const fileOf = (email: string) => join(folder, `${encodeURIComponent(email.toLowerCase())}.json`);
  const currentFile = join(folder, "current");

  /** Whole or not at all, and never readable by others, not even while it is written. */
  async function write(path: string, text: string) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // A new file each time: what lies there already may be a link, or readable by others, and would stay so.
    const draft = `${path}.${crypto.randomUUID()}`;
    await writeFile(draft, text, { mode: 0o600, flag: "wx" });
    await rename(draft, path).catch(async (error: unknown) => {
      await rm(draft, { force: true });
      throw error;
    });
  }

  async function read(email: string): Promise<Session | undefined> {
    const file = Bun.file(fileOf(email));
    return (await file.exists()) ? ((await file.json()) as Session) : undefined; // Written by write().
  }

  async function save(
    email: string,
    { accessToken, refreshToken }: LoginResponse | CompleteLoginResponse | RefreshResponse,
  ) {
    const session: Session = { email, accessToken, refreshToken, expiresAt: Date.now() + lifeMs(accessToken) };
    await write(fileOf(email), JSON.stringify(session));
    return accessToken;
  }

  return {
    async keep(email, login, current = true) {
      await save(email, login);
      if (current) await write(currentFile, email);
    },
    async current() {
      const file = Bun.file(currentFile);
      return (await file.exists()) ? (await file.text()).trim() : undefined;
    },
    async emails() {
      const names = await readdir(folder).catch(() => []);
      return names.filter((name) => name.endsWith(".json")).map((name) => decodeURIComponent(name.slice(0, -5)));
    },
    async token(email, edge, refused) {
      const session = await read(email);
      if (!session) return undefined;
      const good = session.accessToken !== refused && session.expiresAt - Date.now() > ENDS_SOON_MS;
      if (good) return session.accessToken;
      try {
        return await save(email, await edge.call(AuthService).refresh({ refreshToken: session.refreshToken }));
      } catch (error) {
        // The session has ended: from now on it is as if nobody had logged in.
        if (!(error instanceof ConnectError) || error.code !== Code.Unauthenticated) throw error;
        await rm(fileOf(email), { force: true });
        return undefined;
      }
    },
    async forget(email) {
      const session = await read(email);
      await rm(fileOf(email), { force: true });
      return session?.refreshToken;
    },
  };
}

/** From its making to its end, as the token itself says. */
function lifeMs(token: string): number {
  const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString() || "{}");
  const { iat, exp } = { iat: 0, exp: 0, ...(claims as { iat?: number; exp?: number }) }; // RFC 7519's.
  return (exp - iat) * 1_000;
}
