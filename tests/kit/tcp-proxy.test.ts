// The ways that faults go: each is shown to do what the runs under faults believe of it.
import { afterEach, expect, test } from "bun:test";
import { type AddressInfo, connect, createServer } from "node:net";
import { eventually } from "./eventually.ts";
import { startTcpProxy, type Target, type TcpProxy } from "./tcp-proxy.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function server(name: string, ready: Promise<void> = Promise.resolve()) {
  const asked: string[] = [];
  const up = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(req) {
      asked.push(new URL(req.url).pathname);
      await ready;
      return new Response(name);
    },
  });
  closers.push(() => up.stop(true));
  // It listens on TCP, so it has a port.
  return { asked, stop: () => up.stop(true), target: { hostname: "127.0.0.1", port: Number(up.port) } };
}

async function way(
  ...targets: [Target, ...Target[]]
): Promise<TcpProxy & { ask(path: string, ms?: number): Promise<string> }> {
  const proxy = await startTcpProxy(...targets);
  closers.push(proxy.end);
  return {
    ...proxy,
    async ask(path, ms = 5_000) {
      const init = { signal: AbortSignal.timeout(ms), keepalive: false };
      const answer = await fetch(`http://127.0.0.1:${proxy.port}${path}`, init).catch((error: unknown) => error);
      return answer instanceof Response ? answer.text() : "nothing";
    },
  };
}

test("connections go to all targets in turn, and past one that is gone", async () => {
  const [one, two] = [server("one"), server("two")];
  const { ask } = await way(one.target, two.target);
  const heard = [await ask("/"), await ask("/"), await ask("/"), await ask("/")];
  expect(new Set(heard)).toEqual(new Set(["one", "two"]));
  await one.stop();
  expect([await ask("/"), await ask("/"), await ask("/")]).toEqual(["two", "two", "two"]);
});

test("when answers are lost the work is done, nobody hears of it, and the way is open again afterwards", async () => {
  const done = Promise.withResolvers<void>();
  const { target, asked } = server("one", done.promise);
  const { ask, loseAnswers, pass } = await way(target);
  loseAnswers();
  const lost = ask("/lost");
  await eventually(() => asked.length === 1);
  pass();
  done.resolve();
  expect(await lost).toBe("nothing");
  expect(await ask("/found")).toBe("one");
  expect(asked).toEqual(["/lost", "/found"]);
});

test("a slow way brings everything, later", async () => {
  const { target } = server("one");
  const { ask, delayAnswers, pass } = await way(target);
  delayAnswers(300);
  expect(await ask("/", 100)).toBe("nothing");
  expect(await ask("/")).toBe("one");
  pass();
  expect(await ask("/")).toBe("one");
});

test("what was slow comes before what is fast again", async () => {
  const listener = createServer((socket) => {
    socket.write("one ");
    socket.on("data", () => socket.write("two"));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  closers.push(() => listener.close());
  const { port, delayAnswers, pass } = await way({
    hostname: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
  });
  delayAnswers(300);
  let heard = "";
  const socket = connect(port, "127.0.0.1");
  closers.push(() => socket.destroy());
  socket.on("data", (data) => {
    heard += data;
  });
  await Bun.sleep(100);
  pass();
  socket.write("go on");
  await eventually(() => heard.length === 7);
  expect(heard).toBe("one two");
});

test("what is swallowed arrives when it passes again", async () => {
  const { target, asked } = server("one");
  const { ask, swallow, pass } = await way(target);
  swallow();
  const late = ask("/late");
  expect(await ask("/never", 100)).toBe("nothing");
  expect(asked).toEqual([]);
  pass();
  expect(await late).toBe("one");
});
