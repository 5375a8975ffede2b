// The edge over services that keep nothing: for tests of protocols, limits and pages, without a database.
import type { DescService } from "@bufbuild/protobuf";
import { AuthService, type Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { KitchenService, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { type ListParkedRequest, OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { type CreateProductRequest, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { createEmbeddedLocks } from "../../packages/locks/embedded.ts";
import type { Locks } from "../../packages/locks/locks.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import type { Served } from "../../packages/service/outside.ts";
import { type Answers, answers } from "../../packages/service/service.ts";
import type { EdgeService } from "../../packages/service/wire/health.ts";
import { bindRpcs, type Rpc } from "../../packages/service/wire/rpc.ts";
import { createVerifier, generateSigningKey, signToken } from "../../packages/service/wire/tokens.ts";
import { createLog, type Line } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { drivenClock } from "../../packages/time/clock.ts";
import { systemRandom } from "../../packages/time/random.ts";
import { type GatewayConfig, readConfig } from "../../services/gateway/config.ts";
import { createGateway } from "../../services/gateway/gateway.ts";

export const TICKET = "01890000-0000-7000-8000-000000000001";
export const MISSING = "01890000-0000-7000-8000-00000000dead";
/** A product that a service takes longer to find than a call may last. */
export const SLOW = "01890000-0000-7000-8000-00000000510e";

export interface EdgeOptions {
  config?: Partial<GatewayConfig>;
  locks?: Locks;
  database?: () => Promise<unknown>;
  /** How far this machine's clock is off, once somebody has told the time. */
  skewMs?: () => number | undefined;
  heartbeatMs?: number;
  pages?: Served;
  underWayMax?: number;
}

export async function createEdge(options: EdgeOptions = {}) {
  const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
  const random = systemRandom(clock);
  const lines: Line[] = [];
  const log = createLog((line) => lines.push(line));
  const metrics = createMetrics();
  const key = await generateSigningKey("test");
  // There is no auth here that could be asked what somebody may do now: the token is believed.
  const verifier = createVerifier(async () => ({ keys: [] }), clock, { trusted: [key.publicJwk] });
  const callers: Caller[] = [];
  const created: CreateProductRequest[] = [];
  const sql = options.database ?? (async () => []);
  const parked = new Map([
    // What came before another may have been parked after it.
    ["kitchen", parkedList("kitchen", [2, 5, 3])],
    ["product", parkedList("product", [1, 4, 6])],
  ]);

  function bind(name: string, answered: Answers[]): Rpc[] {
    // Handlers of this file use nothing of an App but these.
    const app = { service: name, log, metrics, clock, sql } as unknown as App;
    return bindRpcs(app, { answers: answered }, verifier, options.heartbeatMs);
  }

  const kitchen = answers(KitchenService, {
    async listTickets(_, caller, { status }) {
      callers.push(caller);
      return { tickets: [{ ticketId: TICKET, status: status || TicketStatus.QUEUED, version: 1n }] };
    },
    async acceptTicket(_, __, { ticketId }) {
      if (ticketId === MISSING) throw notFound("ticket", ticketId);
      return { ticket: { ticketId, status: TicketStatus.ACCEPTED } };
    },
    async markReady() {
      throw new Error("a secret of the database");
    },
    async handOver(_, __, { ticketId }) {
      return { ticket: { ticketId } };
    },
    async cancelTicket() {
      return {};
    },
    async *watchTickets(_, __, ___, signal) {
      yield { ticket: { ticketId: TICKET, version: 1n } };
      yield { ticket: { ticketId: TICKET, version: 2n } };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  });
  const product = answers(ProductService, {
    ...unusedOf(ProductService),
    async createProduct(_, __, request) {
      created.push(request);
      if (request.sku === "TAKEN") throw invalidField("sku", "is taken");
      return { product: { productId: TICKET, name: request.name } };
    },
    async updateProduct(_, __, { productId, name }) {
      return { product: { productId, name: name ?? "" } };
    },
    async archiveProduct(_, __, { productId }) {
      return { product: { productId, archived: true } };
    },
    async getProduct(_, __, { productId }, signal) {
      if (productId === SLOW) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return { product: { productId, description: "long ".repeat(1_000) } };
    },
    async listProducts(_, caller, { query, priceMin, pageSize }) {
      callers.push(caller);
      return { products: [{ name: query, version: priceMin ?? -1n, available: pageSize }] };
    },
    async getProductHistory(_, __, { at }) {
      return { events: [{ at }] };
    },
  });
  const auth = answers(AuthService, {
    ...unusedOf(AuthService),
    async getSigningKeys() {
      return { jwks: JSON.stringify({ keys: [key.publicJwk] }) };
    },
  });
  const backlog = async () => ({
    outbox: 2n,
    outboxOldest: null,
    due: 1n,
    dueOldest: null,
    scheduled: 7n,
    parked: 3n,
    asOf: new Date(0),
  });
  const named = (name: string, own: Answers): EdgeService => ({
    name,
    rpcs: bind(name, [own, ops(name, parked.get(name) ?? [])]),
    ready: async () => sql(),
    backlog,
  });
  const services = [
    named("kitchen", kitchen),
    { ...named("product", product), ...(options.pages && { pages: options.pages }) },
    named("auth", auth),
  ];
  const gateway = createGateway({
    services,
    verifier,
    log,
    metrics,
    clock,
    locks: options.locks ?? createEmbeddedLocks(() => 0, random.id),
    ...(options.skewMs && { time: { skewMs: options.skewMs } }),
    ...(options.underWayMax !== undefined && { underWayMax: options.underWayMax }),
    config: { ...readConfig({ PORT: "0", GRPC_PORT: "0", OPS_PORT: "0" }), ...options.config },
  });
  return {
    gateway,
    metrics,
    clock,
    lines,
    callers,
    created,
    /** The Authorization header of a user with these roles. */
    async bearer(...roles: Role[]) {
      const { token } = await signToken(key, { userId: random.id(), roles, tokenId: random.id() }, clock.now());
      return { authorization: `Bearer ${token}` };
    },
  };
}

/** Methods that no test of the edge asks for. */
function unusedOf<S extends DescService>({ methods }: S): { [K in keyof S["method"]]: () => Promise<object> } {
  const unused = async () => ({});
  return Object.fromEntries(methods.map(({ localName }) => [localName, unused])) as never; // One for each method.
}

function parkedList(service: string, seconds: number[]) {
  return seconds.map((second) => ({
    parkedId: `${service}-${second}`,
    service,
    parkedAt: { seconds: BigInt(second) },
  }));
}

function ops(name: string, parked: ReturnType<typeof parkedList>) {
  return answers(OpsService, {
    async listParked(_, __, { pageSize, pageToken }: ListParkedRequest) {
      const from = Number(pageToken || 0);
      const to = from + (pageSize || 50);
      return { parked: parked.slice(from, to), nextPageToken: to < parked.length ? String(to) : "" };
    },
    async replayParked(_, __, { parkedIds }) {
      return { replayed: parkedIds.length };
    },
    async discardParked(_, __, { parkedIds }) {
      return { discarded: parkedIds.length };
    },
    async getBacklog() {
      return { backlogs: [{ service: name, outbox: 2n }] };
    },
    async getInfo() {
      return { services: [{ service: name }] };
    },
  });
}

/** Every service of the platform, for tests over all descriptors. */
export async function allServices(): Promise<DescService[]> {
  const files = new Bun.Glob("packages/api/gen/bodega/*/v1/*_pb.ts").scan({ cwd: `${import.meta.dir}/../..` });
  const services: DescService[] = [];
  for await (const file of files) {
    const module: Record<string, unknown> = await import(`../../${file}`);
    for (const value of Object.values(module)) if (isService(value)) services.push(value);
  }
  return services;
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}
