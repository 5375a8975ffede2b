// Every row of the access table against every kind of caller; what is wrong comes out in sentences, one a cell.
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { type Answer, bearer, callConnect, callRest, type LiveEdge, restOf } from "../kit/live-edge.ts";
import type { Row } from "./access-rows.ts";
import type { Caller, Shop } from "./shop.ts";

export const CALLERS: Caller[] = [
  ...(["anonymous", "expired", "garbage", "tampered"] as const),
  ...(["other", "kitchen", "owner", "admin"] as const),
];
/** Where a token is needed they are refused; where none is, they are nobody: docs/decisions/0011. */
const WITH_BAD_TOKENS: Caller[] = ["expired", "garbage", "tampered"];
const STATUS = { unauthenticated: 401, permission_denied: 403, not_found: 404, unimplemented: 404 };

export type Expected = keyof typeof STATUS | "allowed";

export function expectedOf({ who, nobodys, notForAdmins }: Row, caller: Caller): Expected {
  if (who === "service") return "unimplemented"; // To the outside there is no such RPC.
  if (who === "anyone") return "allowed";
  if (caller === "anonymous" || WITH_BAD_TOKENS.includes(caller)) return "unauthenticated";
  if (who === "signed in") return "allowed";
  if (who === "owner") return ownsOrRuns(caller, notForAdmins) || !nobodys ? "allowed" : "not_found";
  const may = caller === "admin" || (who === "kitchen" && caller === "kitchen");
  return may ? "allowed" : "permission_denied";
}

function ownsOrRuns(caller: Caller, notForAdmins = false): boolean {
  return caller === "owner" || (caller === "admin" && !notForAdmins);
}

export interface Cell {
  edge: LiveEdge;
  shop: Shop;
  /** As in the table. */
  name: string;
  method: DescMethod;
  row: Row;
}

/** What these callers get that they should not, over Connect and, where the method has it, over REST. */
export async function wrongCells(cell: Cell, callers: Caller[]): Promise<string[]> {
  const { shop, name, method, row } = cell;
  const wrong: string[] = [];
  for (const caller of callers) {
    const expected = expectedOf(row, caller);
    for (const way of [overConnect, overRest]) {
      const request = await row.request(shop);
      if (way === overRest && (row.who === "service" || !restOf(method, request))) continue;
      const where = `${name} ${way === overRest ? "over REST" : "over Connect"} as ${caller}`;
      const answer = await way(cell, request, caller);
      const found = `${answer.status} ${answer.code} ${answer.reason}: ${answer.text.slice(0, 200)}`;
      if (!asExpected(answer, expected, row, way === overConnect && method.methodKind !== "unary"))
        wrong.push(`${where}: expected ${expected}, found ${found}`);
      if (expected !== "not_found" || !row.nobodys) continue;
      const missing = row.nobodys(shop);
      const other = await way(cell, missing, caller);
      if (!Bun.deepEquals(shape(answer, request), shape(other, missing)))
        wrong.push(`${where}: tells what is another's from what is not there: ${answer.text} and ${other.text}`);
    }
  }
  return wrong;
}

function asExpected({ status, code, reason }: Answer, expected: Expected, row: Row, enveloped: boolean): boolean {
  if (expected === "allowed") return row.refusal ? reason === row.refusal : code === "ok";
  return code === expected && (enveloped ? status === 200 : status === STATUS[expected]);
}

const headersOf = (shop: Shop, caller: Caller) => bearer(caller === "anonymous" ? undefined : shop.tokens[caller]);

function overConnect({ edge, shop, method }: Cell, request: JsonObject, caller: Caller): Promise<Answer> {
  return callConnect(edge, method, JSON.stringify(request), headersOf(shop, caller));
}

function overRest({ edge, shop, method }: Cell, request: JsonObject, caller: Caller): Promise<Answer> {
  return callRest(edge, method, request, headersOf(shop, caller));
}

const OF_EVERY_CALL = new Set(["date", "x-request-id", "content-length"]);

/** An answer without what differs from call to call, and with the ids that were asked for taken out. */
export function shape({ status, text, headers }: Answer, request: JsonObject): unknown {
  const ids = Object.values(request).filter((value) => typeof value === "string" && value !== "");
  const plain = ids.reduce<string>((rest, id) => rest.replaceAll(String(id), "<id>"), text);
  const stamped = plain.replace(/"(trace_id|request_id)":"[^"]*"/g, '"$1":""');
  return { status, text: stamped, headers: [...headers].filter(([name]) => !OF_EVERY_CALL.has(name)) };
}
