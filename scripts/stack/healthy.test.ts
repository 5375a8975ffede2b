import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, listening } from "../copy/ports.ts";
import { ROOT } from "../tree.ts";

const SCRIPT = join(ROOT, "deploy", "rabbitmq", "healthy.sh");
const PATIENCE_S = 600;

let folder = "";
let ports: Record<string, string> = {};
const open: Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "bodega-healthy-"));
  ports = await freePorts(["SERVES", "FOUND"]);
});

afterEach(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

async function listen(...names: string[]) {
  for (const name of names) open.push(await listening(Number(ports[name])));
}

async function closeAll() {
  for (const server of open.splice(0)) await new Promise((resolve) => server.close(resolve));
}

function began(secondsAgo: number) {
  const path = join(folder, "began");
  writeFileSync(path, "");
  const at = Date.now() / 1_000 - secondsAgo;
  utimesSync(path, at, at);
}

async function healthy(): Promise<boolean> {
  const { SERVES = "", FOUND = "" } = ports;
  return (await Bun.spawn(["bash", SCRIPT, SERVES, FOUND, folder, folder], { stderr: "ignore" }).exited) === 0;
}

test("RabbitMQ that has not served yet is healthy once others can find it, and not for ever", async () => {
  began(1);
  expect(await healthy()).toBe(false);
  await listen("FOUND");
  expect(await healthy()).toBe(true);
  began(PATIENCE_S + 1);
  expect(await healthy()).toBe(false);
  expect(existsSync(join(folder, "joined"))).toBe(false);
  await listen("SERVES");
  expect(await healthy()).toBe(true);
  // Its volume knows now that it need not look for a cluster.
  expect(existsSync(join(folder, "joined"))).toBe(true);
});

test("RabbitMQ that has served and serves no more is not healthy, though others can find it", async () => {
  began(1);
  await listen("FOUND", "SERVES");
  expect(await healthy()).toBe(true);
  await closeAll();
  await listen("FOUND");
  expect(await healthy()).toBe(false);
});
