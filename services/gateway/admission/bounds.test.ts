import { describe, expect, test } from "bun:test";
import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Access } from "../../../packages/api/gen/bodega/type/v1/access_pb.ts";
import type { CallContext, Verifier } from "../../../packages/service/caller.ts";
import { unauthenticated } from "../../../packages/service/errors.ts";
import { NETWORK_HEADER, type Rpc } from "../../../packages/service/wire/rpc.ts";
import { ACCESS_TOKEN_MS } from "../../../packages/service/wire/tokens.ts";
import { drivenClock } from "../../../packages/time/clock.ts";
import { describeService } from "../../../tests/kit/fake-service.ts";
import { createBounds } from "./bounds.ts";

const KINDS = ["server_streaming", "client_streaming", "bidi_streaming"] as const;
const [method] = describeService([{ name: "Take" }]).methods;
if (!method) throw new Error("expected the method just described");
const message = create(method.input);

/** An RPC that answers once it is told to stop, behind the bounds of the edge. */
function lasting(kind: (typeof KINDS)[number]) {
  const begun = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  async function last({ signal }: CallContext): Promise<Message> {
    begun.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    told.resolve();
    return message;
  }
  async function* items(_: unknown, context: CallContext) {
    yield await last(context);
  }
  const call = kind === "client_streaming" ? (_: unknown, context: CallContext) => last(context) : items;
  const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
  const expiresAt = new Date(clock.now().getTime() + ACCESS_TOKEN_MS);
  const verifier: Verifier = { verify: async () => ({ userId: "ann", roles: [], expiresAt, fromAuth: false }) };
  const rpc = createBounds({ verifier, clock })({ kind, method, call } as Rpc); // The call is of its kind.
  return { rpc, clock, begun: begun.promise, told: told.promise };
}

/** Calls with a token, and takes what is answered to its end. */
async function called(rpc: Rpc, signal = new AbortController().signal): Promise<unknown> {
  const context = { headers: new Headers({ authorization: "Bearer good" }), signal };
  const answered = rpc.call(message as never, context); // None of these reads what it is asked.
  return Symbol.asyncIterator in answered ? Array.fromAsync(answered) : answered;
}

for (const kind of KINDS) {
  describe(`a ${kind.replace("_", " ")} call`, () => {
    test("ends with its token, and is told", async () => {
      const { rpc, clock, begun, told } = lasting(kind);
      const ended = called(rpc).then(() => undefined, ConnectError.from);
      await begun;
      clock.advance(ACCESS_TOKEN_MS - 1);
      await new Promise(setImmediate);
      expect(Bun.peek.status(ended)).toBe("pending");
      clock.advance(1);
      expect(await ended).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: "the access token has ended during the stream: refresh it and call again",
      });
      await told;
    });

    test("ends with its client, and is told", async () => {
      const { rpc, begun, told } = lasting(kind);
      const client = new AbortController();
      const ended = called(rpc, client.signal).catch(() => "cut");
      await begun;
      client.abort();
      // Of a stream of answers what has come by then is all there is.
      expect(await ended).toEqual(kind === "client_streaming" ? "cut" : []);
      await told;
    });
  });
}

test("a stream that is for anyone takes a bad token for none, and does not end with it", async () => {
  const [open] = describeService([{ name: "Open", access: Access.ANYONE }]).methods;
  if (!open) throw new Error("expected the method just described");
  const verifier: Verifier = { verify: () => Promise.reject(unauthenticated("it has expired")) };
  const call = async function* () {
    yield message;
  };
  const bounds = createBounds({ verifier, clock: drivenClock(new Date("2026-01-05T08:00:00Z")) });
  expect(await called(bounds({ kind: "server_streaming", method: open, call }))).toEqual([message]);
  const refused = called(bounds({ kind: "server_streaming", method, call })).catch(ConnectError.from);
  expect(await refused).toMatchObject({ code: Code.Unauthenticated, rawMessage: "it has expired" });
});

test("who stops listening ends the stream behind the bounds where it stands", async () => {
  let ended = false;
  const call = async function* () {
    try {
      yield message;
      yield message;
    } finally {
      ended = true;
    }
  };
  const verifier: Verifier = { verify: () => Promise.reject(new Error("not asked")) };
  const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
  const rpc = createBounds({ verifier, clock })({ kind: "server_streaming", method, call });
  if (rpc.kind !== "server_streaming") throw new Error(`expected a stream, found ${rpc.kind}`);
  for await (const item of rpc.call(message, { headers: new Headers(), signal: new AbortController().signal })) {
    expect(item).toBe(message);
    break;
  }
  expect(ended).toBe(true);
});

test("a network has so many streams open, others have theirs, and one that ends makes room", async () => {
  const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
  const verifier: Verifier = { verify: () => Promise.reject(new Error("not asked")) };
  async function* items(_: unknown, { signal }: CallContext) {
    yield message;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  const kind = "server_streaming";
  const rpc = createBounds({ verifier, clock, streamsPerNetworkMax: 2 })({ kind, method, call: items });
  if (rpc.kind !== kind) throw new Error("expected a stream");
  const open = (network: string) => {
    const gone = new AbortController();
    const context = { headers: new Headers({ [NETWORK_HEADER]: network }), signal: gone.signal };
    const stream = rpc.call(message, context)[Symbol.asyncIterator]();
    return {
      gone,
      stream,
      first: stream.next().then(
        () => "open",
        (error) => ConnectError.from(error).code,
      ),
    };
  };
  const [one, two] = [open("a"), open("a")];
  expect([await one.first, await two.first]).toEqual(["open", "open"]);
  expect(await open("a").first).toBe(Code.ResourceExhausted);
  expect(await open("b").first).toBe("open");
  one.gone.abort();
  await one.stream.next();
  expect(await open("a").first).toBe("open");
});
