// One network cannot stop everybody: what strangers may ask is counted by network, and waiting is shared out between networks.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { createEdge } from "../kit/edge.ts";
import { startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const BEHIND_PROXY = { trustedProxies: ["127.0.0.1"] };

describe("budgets", () => {
  /** Statuses of so many logins, each from an address of its own. */
  async function logins(addresses: string[], headers: Record<string, string> = {}): Promise<number[]> {
    const edge = await createEdge({ config: BEHIND_PROXY });
    const up = await edge.gateway.listen();
    const token = headers["token"] ? await edge.bearer(Role.CUSTOMER) : {};
    const statuses: number[] = [];
    for (const address of addresses) {
      const answer = await fetch(`http://127.0.0.1:${up.port}/v1/sessions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-forwarded-for": address, ...token },
        body: JSON.stringify({ email: "a@b.test", password: "a long enough password" }),
      });
      statuses.push(answer.status);
    }
    await up.close();
    return statuses;
  }
  const refusals = (statuses: number[]) => statuses.filter((status) => status === 429).length;
  const ofOneNetwork = Array.from({ length: 130 }, (_, i) => `[2001:db8:0:7::${(i + 1).toString(16)}]:4${i % 10}00`);

  test("a /64 has one budget, not one for each of its addresses", async () => {
    expect(refusals(await logins(ofOneNetwork))).toBe(30);
  });

  test("and its neighbour has one of its own", async () => {
    const statuses = await logins([...ofOneNetwork, "2001:db8:0:8::1", "198.51.100.7"]);
    expect(statuses.slice(-2)).not.toContain(429);
  });

  test("a token buys no budget for what strangers may ask", async () => {
    expect(refusals(await logins(ofOneNetwork, { token: "yes" }))).toBe(30);
  });
});

describe("waiting", () => {
  let system: System;
  let edge: Awaited<ReturnType<typeof startLiveEdge>>;
  beforeAll(async () => {
    system = await startSystem({ services: ["auth", "mail"] });
    edge = await startLiveEdge(system, { config: { ...BEHIND_PROXY } as never });
  });
  afterAll(async () => {
    await edge.close();
    await system.close();
  });

  function login(address: string, password: string, signal?: AbortSignal) {
    return fetch(`${edge.url}/v1/sessions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-forwarded-for": address },
      body: JSON.stringify({ email: `nobody-${address}@b.test`.replace(/[[\]:]/g, "-"), password }),
      ...(signal && { signal }),
    });
  }

  test("260 logins from one /64 keep nobody else out: a guest from elsewhere is answered", async () => {
    const over = new AbortController();
    const flood = Array.from({ length: 260 }, (_, i) =>
      login(`2001:db8:0:7::${(i + 1).toString(16)}`, "a wrong password", over.signal).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    // The queue is full when somebody is turned away.
    await Promise.race(flood.map((each) => each.then((status) => (status === 429 ? status : new Promise(() => {})))));
    const guests = await Promise.all(
      ["198.51.100.7", "2001:db8:0:8::1"].map((from) => login(from, "a wrong password")),
    );
    // Compared with a password and found wrong, not turned away.
    expect(guests.map(({ status }) => status)).toEqual([401, 401]);
    over.abort();
    await Promise.all(flood);
  });
});
