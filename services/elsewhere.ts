import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { SERVICES } from "../packages/api/services.ts";
import { remoteReady, remoteRpcs, remoteTransport } from "../packages/service/remote.ts";
import { forwardPages } from "./gateway/forward.ts";
import type { EdgeService } from "./gateway/health.ts";

/** The services of other processes, by the address of each. */
export interface Elsewhere {
  /** For calls from service to service. */
  transport(service: DescService): Transport;
  /** For the edge. */
  services: EdgeService[];
  /** For browsers and payment providers, who know only the edge. */
  pages: ReturnType<typeof forwardPages>;
}

export function createElsewhere(urls: Record<string, string>): Elsewhere {
  const bases = new Map(Object.entries(urls).map(([name, url]) => [name, `${url}/${name}`]));
  const transports = new Map(Array.from(bases, ([name, base]) => [name, remoteTransport(base)]));
  const reach = (name: string): Transport => {
    const found = transports.get(name);
    if (!found) throw new Error(`expected an address of ${name}, found none`);
    return found;
  };
  return {
    transport: ({ typeName }) => reach(ownerOf(typeName)),
    services: Object.entries(SERVICES).map(([name, services]) => ({
      name,
      rpcs: remoteRpcs(services, reach(name)),
      ready: (signal) => remoteReady(urls[name] ?? "", signal),
    })),
    pages: forwardPages(bases.get("payment") ?? "", ["/pay/:payment_id", "/webhooks/:provider"]),
  };
}

/** bodega.order.v1.OrderService is order's. */
function ownerOf(typeName: string): string {
  return typeName.split(".")[1] ?? "";
}
