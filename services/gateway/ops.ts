import type { DescMethodUnary, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ListParkedRequest,
  type ListParkedResponse,
  OpsService,
  type ParkedMessage,
} from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import type { CallContext, Verifier } from "../../packages/service/caller.ts";
import { authorize, identify } from "../../packages/service/caller.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import { type Rpc, type UnaryRpc, validate } from "../../packages/service/wire/rpc.ts";

const PAGE_SIZE = 50;
const { listParked, replayParked, discardParked, getBacklog, getInfo } = OpsService.method;

/** OpsService over all services: each answers for itself, the edge puts the answers together. */
export function aggregateOps(services: { name: string; rpcs: Rpc[] }[], verifier: Verifier): Rpc[] {
  const ops = new Map(
    services.flatMap(({ name, rpcs }) => (rpcs.some(isOps) ? [[name, rpcs.filter(isOps)] as const] : [])),
  );
  const names = [...ops.keys()];

  async function ask<M extends DescMethodUnary>(
    name: string,
    method: M,
    request: MessageInitShape<M["input"]>,
    context: CallContext,
  ) {
    const rpc = ops
      .get(name)
      ?.find((each): each is UnaryRpc => each.kind === "unary" && each.method.name === method.name);
    if (!rpc) throw notFound("service", name);
    return (await rpc.call(create(method.input, request), context)) as MessageShape<M["output"]>; // Its own descriptor made it.
  }

  function askAll<M extends DescMethodUnary>(method: M, context: CallContext) {
    return Promise.all(names.map((name) => ask(name, method, {} as MessageInitShape<M["input"]>, context)));
  }

  function rpc<M extends DescMethodUnary>(
    method: M,
    answer: (request: MessageShape<M["input"]>, context: CallContext) => Promise<MessageInitShape<M["output"]>>,
  ): Rpc {
    return {
      kind: "unary",
      method,
      async call(request: Message, context) {
        // Also asked by each service; here, so that nobody else learns which services there are.
        authorize(await identify(verifier, method, context.headers));
        validate(method, request);
        return create(method.output, await answer(request as MessageShape<M["input"]>, context));
      },
    };
  }

  return [
    rpc(listParked, (request, context) => {
      const list = (name: string, page: MessageInitShape<typeof listParked.input>) =>
        ask(name, listParked, page, context);
      return request.service ? list(request.service, request) : mergeParked(names, request, list);
    }),
    rpc(replayParked, (request, context) => ask(request.service, replayParked, request, context)),
    rpc(discardParked, (request, context) => ask(request.service, discardParked, request, context)),
    rpc(getBacklog, async (_, context) => ({
      backlogs: (await askAll(getBacklog, context)).flatMap(({ backlogs }) => backlogs),
    })),
    rpc(getInfo, async (_, context) => ({
      services: (await askAll(getInfo, context)).flatMap(({ services }) => services),
    })),
  ];
}

export function isOps({ method }: Rpc): boolean {
  return method.parent.typeName === OpsService.typeName;
}

type List = (name: string, page: { pageSize: number; pageToken: string }) => Promise<ListParkedResponse>;

/**
 * One page of all services' lists, each in its own order: next is always the list whose next message was parked first. Its token holds where each list stands; a
 * list that is at its end is left out. Where a list gives only some of its page, it is asked again for just these, to learn its token.
 */
async function mergeParked(names: string[], { pageSize, pageToken }: ListParkedRequest, list: List) {
  const size = pageSize || PAGE_SIZE;
  const positions = pageToken ? positionsOf(pageToken, names) : new Map(names.map((name) => [name, ""]));
  const pages = await Promise.all(
    Array.from(positions, async ([name, token]) => ({
      name,
      token,
      taken: 0,
      ...(await list(name, { pageSize: size, pageToken: token })),
    })),
  );
  const parked: ParkedMessage[] = [];
  while (parked.length < size) {
    const [next] = pages
      .flatMap((page) => {
        const message = page.parked[page.taken];
        return message ? [{ page, message }] : [];
      })
      .sort((a, b) => parkedMs(a.message) - parkedMs(b.message));
    if (!next) break;
    next.page.taken += 1;
    parked.push(next.message);
  }
  const next = await Promise.all(
    pages.map(async ({ name, token, taken, parked, nextPageToken }) => {
      if (taken === parked.length) return nextPageToken ? [name, nextPageToken] : undefined;
      return [name, taken === 0 ? token : (await list(name, { pageSize: taken, pageToken: token })).nextPageToken];
    }),
  );
  const open = next.filter((each) => each !== undefined);
  return { parked, nextPageToken: open.length > 0 ? Buffer.from(JSON.stringify(open)).toString("base64url") : "" };
}

function parkedMs({ parkedAt }: ParkedMessage): number {
  return parkedAt ? timestampMs(parkedAt) : 0;
}

function positionsOf(token: string, names: string[]): Map<string, string> {
  const foreign = invalidField("page_token", "is not a token this list gave");
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, "base64url").toString());
  } catch {
    throw foreign;
  }
  const pairs = Array.isArray(parsed) ? parsed : [];
  const known = pairs.every((pair) => Array.isArray(pair) && names.includes(pair[0]) && typeof pair[1] === "string");
  if (pairs.length === 0 || !known) throw foreign;
  return new Map(pairs);
}
