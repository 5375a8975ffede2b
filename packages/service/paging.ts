import { createHash } from "node:crypto";
import { isUuid } from "../database/ids.ts";
import { invalidField } from "./errors.ts";

const PAGE_SIZE = 50;

/** The page a request asks for: how many rows, after which id. A token belongs to the filter it was given for. */
export function readToken(
  { pageSize, pageToken }: { pageSize: number; pageToken: string },
  filter: object,
): { size: number; after: string | null } {
  const size = pageSize || PAGE_SIZE;
  if (!pageToken) return { size, after: null };
  const [hash, after, ...rest] = Buffer.from(pageToken, "base64url").toString().split(" ");
  if (!hash || !after || rest.length > 0 || !isUuid(after))
    throw invalidField("page_token", "is not a token this list gave");
  if (hash !== hashOf(filter)) throw invalidField("page_token", "belongs to a list with other filters");
  return { size, after };
}

/** Cuts `rows`, of which one more than `size` was read, into a page; the token names the last id on it. */
export function pageOf<T>(
  rows: T[],
  size: number,
  filter: object,
  idOf: (row: T) => string,
): { page: T[]; nextPageToken: string } {
  const page = rows.slice(0, size);
  const last = page.at(-1);
  const more = rows.length > size && last !== undefined;
  return { page, nextPageToken: more ? Buffer.from(`${hashOf(filter)} ${idOf(last)}`).toString("base64url") : "" };
}

function hashOf(filter: object): string {
  const text = JSON.stringify(filter, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  return createHash("sha256").update(text).digest("base64url").slice(0, 8);
}
