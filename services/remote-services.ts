import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { OpsService } from "../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import type { Service } from "../packages/service/service.ts";
import type { InnerTls } from "../packages/service/tls.ts";
import type { EdgeOrigin } from "../packages/service/wire/edge-origin.ts";
import type { EdgeService } from "../packages/service/wire/health.ts";
import { remoteReady, remoteRpcs, remoteTransport } from "../packages/service/wire/remote.ts";
import { createUntilBack } from "../packages/service/wire/until-back.ts";
import { forwardPages } from "./gateway/forward.ts";

/** Each process answers for its services below their names: http://order:8080/order. */
function baseOf(urls: Record<string, string>, name: string): string {
  const url = urls[name];
  if (!url) throw new Error(`expected an address of ${name}, found none`);
  return `${url}/${name}`;
}

/** Reaches the services of other processes, by the address of each. */
export function transportsTo(urls: Record<string, string>, tls?: InnerTls): (service: DescService) => Transport {
  const transports = new Map(Object.keys(urls).map((name) => [name, remoteTransport(baseOf(urls, name), tls)]));
  return ({ typeName }) => {
    const found = transports.get(serviceOf(typeName));
    if (!found) throw new Error(`expected an address of ${serviceOf(typeName)}, found none`);
    return found;
  };
}

/** Services of other processes as the edge sees them: what they declare is what it passes on; `seal` signs where a client is. */
export function remoteServices(
  declared: Service[],
  urls: Record<string, string>,
  seal: (origin: EdgeOrigin) => string,
  tls?: InnerTls,
): EdgeService[] {
  return declared.map(({ name, answers, pages }) => {
    const base = baseOf(urls, name);
    const untilBack = createUntilBack();
    const services = [...answers.map(({ service }) => service), OpsService];
    return {
      name,
      rpcs: remoteRpcs(services, remoteTransport(base, tls, untilBack), seal),
      ...(pages && { pages: forwardPages(base, pages.paths, { untilBack, tls }) }),
      ready: (signal) => remoteReady(urls[name] ?? "", signal, tls),
    };
  });
}

/** bodega.order.v1.OrderService is order's. */
function serviceOf(typeName: string): string {
  return typeName.split(".")[1] ?? "";
}
