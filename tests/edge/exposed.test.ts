// The real program, opened to the network. On Linux all of 127.0.0.0/8 is this machine, so who dials 127.0.0.2 reaches what listens on all addresses, and not what
// listens on 127.0.0.1: a stranger on the network, without one.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Environment, freePorts } from "../../scripts/copy/ports.ts";
import { killPostgres, type Program, startProgram } from "../kit/program.ts";
import { scratchFolder } from "../kit/scratch.ts";

setDefaultTimeout(120_000);
const STRANGER = "127.0.0.2";
const root = scratchFolder("bodega-exposed-");
const started: { program: Program; dataDir: string }[] = [];

async function begin(settings: Environment) {
  const dataDir = join(root, "data");
  const env = { ...(await freePorts()), DATA_DIR: dataDir, DEMO: "off", ...settings };
  const program = startProgram(env, join(root, "log"));
  started.push({ program, dataDir });
  return { program, env };
}

async function endAll() {
  for (const { program, dataDir } of started.splice(0)) {
    program.signal("SIGKILL");
    await program.exited;
    killPostgres(dataDir);
  }
}

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Whether anything answers a stranger at this port. */
async function reached(env: Environment, name: string, hostname = STRANGER): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname, port: Number(env[name]), socket: { data: () => {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

describe("open to the network, with what had to be said", () => {
  let env: Environment;
  beforeAll(async () => {
    const begun = await begin({ HOST: "0.0.0.0", PAYMENT_PROVIDER: "embedded" });
    await begun.program.open();
    env = begun.env;
  });
  afterAll(endAll);

  test("a stranger reaches the edge, and neither the codes in the catcher nor the operator's port", async () => {
    expect(await Promise.all(["PORT", "GRPC_PORT"].map((name) => reached(env, name)))).toEqual([true, true]);
    const hidden = ["MAIL_PORT", "SMTP_PORT", "OPS_PORT"];
    expect(await Promise.all(hidden.map((name) => reached(env, name)))).toEqual([false, false, false]);
    expect(await Promise.all(hidden.map((name) => reached(env, name, "127.0.0.1")))).toEqual([true, true, true]);
  });

  test("nobody is told the schema", async () => {
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const headers = { "content-type": "application/connect+json" };
    const answer = await fetch(`http://${STRANGER}:${env["PORT"]}${path}`, { method: "POST", headers, body: "" });
    expect(await answer.text()).toContain("unimplemented");
  });
});

describe("what is unsafe does not start, and says what to do", () => {
  afterEach(endAll);
  test.each<[string, Environment, RegExp]>([
    [
      "customers who mark their own orders paid",
      { HOST: "0.0.0.0" },
      /HOST=0\.0\.0\.0 .* say PAYMENT_PROVIDER=embedded/,
    ],
    ["the same behind a proxy", { PUBLIC_URL: "https://shop.test" }, /PUBLIC_URL=.* say PAYMENT_PROVIDER=embedded/],
    [
      "a catcher for strangers beside real mail",
      { MAIL_HOST: "0.0.0.0", SMTP_URL: "smtp://mail.test" },
      /MAIL_HOST=0\.0\.0\.0 .* SMTP_URL .* unset one/,
    ],
  ])("%s", async (_, settings, says) => {
    const { program } = await begin(settings);
    expect(await program.exited).not.toBe(0);
    expect(program.said()).toMatch(says);
    expect(program.said()).not.toContain("Bodega is open");
  });
});
