import { createHash } from "node:crypto";
import { invalidField } from "../../packages/service/errors.ts";

const ID_BYTES = 16;
const FILTERS_BYTES = 8;

/** Names the last row of a page, for callers to hand back unread, together with the filters the page was made with. */
export function pageToken(id: string, filters: string[]): string {
  const row = Buffer.from(id.replaceAll("-", ""), "hex");
  return Buffer.concat([row, fingerprint(filters)]).toString("base64url");
}

/** The id of the row a token names. Under other filters the page it continues would not exist: refused. */
export function afterOf(token: string, filters: string[]): string {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length !== ID_BYTES + FILTERS_BYTES || bytes.toString("base64url") !== token) {
    throw invalidField("page_token", "expected the next_page_token of a page, found something else");
  }
  if (!bytes.subarray(ID_BYTES).equals(fingerprint(filters))) {
    throw invalidField("page_token", "expected the filters of the page before, found other ones");
  }
  const hex = bytes.toString("hex", 0, ID_BYTES);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function fingerprint(filters: string[]): Buffer {
  return createHash("sha256").update(JSON.stringify(filters)).digest().subarray(0, FILTERS_BYTES);
}
