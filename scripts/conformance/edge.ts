// How the suite's service stands behind the product's edge.
import { clone, create, createFileRegistry, type DescService, type Message, setExtension } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { Access, access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import { createEmbeddedLocks } from "../../packages/locks/embedded.ts";
import type { App } from "../../packages/service/app.ts";
import type { CallContext } from "../../packages/service/caller.ts";
import type { Answers } from "../../packages/service/service.ts";
import { bindRpcs, type Rpc } from "../../packages/service/wire/rpc.ts";
import { createVerifier } from "../../packages/service/wire/tokens.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { systemClock } from "../../packages/time/clock.ts";
import { systemRandom } from "../../packages/time/random.ts";
import { readConfig } from "../../services/gateway/config.ts";
import { createGateway, type Gateway, type GatewayOptions } from "../../services/gateway/gateway.ts";

/** The suite calls thousands of times from one address. Its budgets fill up so much faster, so that the limits are on its way, but not in it. */
const BUDGETS_FASTER = 1_000;

/** The product's own edge, on free loopback ports, in front of the suite's service. */
export function openEdge(answered: Answers, reading: NonNullable<GatewayOptions["reading"]>, log: Log): Gateway {
  const clock = systemClock();
  const metrics = createMetrics();
  const verifier = createVerifier(async () => ({ keys: [] }), clock);
  // The suite's handlers use nothing of an App, and what surrounds them only these.
  const app = { service: "conformance", log, metrics, clock } as unknown as App;
  const rpcs = bindRpcs(app, { answers: [answered] }, verifier).map(outspoken);
  return createGateway({
    services: [{ name: app.service, rpcs, ready: async () => {} }],
    verifier,
    log,
    metrics,
    locks: createEmbeddedLocks(() => performance.now() * BUDGETS_FASTER, systemRandom(clock).id),
    // The suite is many clients behind one address, and some never hang up: as behind a proxy, no bound is one client's.
    config: readConfig({ PORT: "0", GRPC_PORT: "0", OPS_PORT: "0", TRUSTED_PROXIES: "127.0.0.1" }),
    reading,
  });
}

/** Without an access rule nobody may call. This proto is not ours to write one into, so a copy of its descriptor says it. */
export function forAnyone(service: DescService, without: string[]): DescService {
  const file = clone(FileDescriptorProtoSchema, service.file.proto);
  for (const each of file.service) {
    each.method = each.method.filter(({ name }) => !without.includes(name));
    for (const method of each.method) {
      method.options ??= create(MethodOptionsSchema);
      setExtension(method.options, access, Access.ANYONE);
    }
  }
  const imported = (name: string) => service.file.dependencies.find(({ proto }) => proto.name === name);
  const opened = createFileRegistry(file, imported).getService(service.typeName);
  if (!opened) throw new Error(`the copy of ${file.name} must have ${service.typeName}`);
  return opened;
}

/**
 * Has a handler's INTERNAL and UNKNOWN told as they were thrown. Behind the edge they are bugs, made opaque; the suite uses them like any other code, to see
 * how messages, details and trailers travel.
 */
function outspoken(rpc: Rpc): Rpc {
  switch (rpc.kind) {
    case "unary":
      return { ...rpc, call: once(rpc.call) };
    case "client_streaming":
      return { ...rpc, call: once(rpc.call) };
    case "server_streaming":
      return { ...rpc, call: many(rpc.call) };
    case "bidi_streaming":
      return { ...rpc, call: many(rpc.call) };
  }
}

type Call<Asked, Answered> = (asked: Asked, call: CallContext) => Answered;

function once<Asked>(answer: Call<Asked, Promise<Message>>): typeof answer {
  return (asked, call) => answer(asked, call).catch(rethrow);
}

function many<Asked>(answer: Call<Asked, AsyncIterable<Message>>): typeof answer {
  return async function* (asked, call) {
    try {
      yield* answer(asked, call);
    } catch (error) {
      rethrow(error);
    }
  };
}

function rethrow(error: unknown): never {
  throw error instanceof ConnectError && error.cause instanceof ConnectError ? error.cause : error;
}
