import { createHash } from "node:crypto";
import { isUuid } from "../time/ids.ts";
import { invalidField } from "./errors.ts";

const PAGE_SIZE = 50;
const FILTER_CHARS = 8;

export interface Page<T> {
  page: T[];
  nextPageToken: string;
}

/**
 * One page of a list in the order of its ids. `read` gives up to `rowsMax` rows behind the id `after`, from the start when it is null.
 * A token names the last id of its page and the filter it was given for; under another filter it is refused. `isId` tells what an id looks like,
 * without spaces; a UUID unless it says otherwise.
 */
export async function readPage<T>(
  { pageSize, pageToken }: { pageSize: number; pageToken: string },
  filter: object,
  read: (after: string | null, rowsMax: number) => Promise<T[]>,
  idOf: (row: T) => string,
  isId: (text: string) => boolean = isUuid,
): Promise<Page<T>> {
  const size = pageSize || PAGE_SIZE;
  const rows = await read(pageToken ? afterOf(pageToken, filter, isId) : null, size + 1);
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return { page, nextPageToken: last && rows.length > size ? tokenOf(idOf(last), filter) : "" };
}

function tokenOf(id: string, filter: object): string {
  return Buffer.from(`${fingerprint(filter)} ${id}`).toString("base64url");
}

function afterOf(token: string, filter: object, isId: (text: string) => boolean): string {
  const [hash, id, ...rest] = Buffer.from(token, "base64url").toString().split(" ");
  if (!hash || !id || rest.length > 0 || !isId(id)) {
    throw invalidField("page_token", "expected the next_page_token of a page, found something else");
  }
  if (hash !== fingerprint(filter)) {
    throw invalidField("page_token", "expected the filters of the page before, found other ones");
  }
  return id;
}

function fingerprint(filter: object): string {
  const text = JSON.stringify(filter, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  return createHash("sha256").update(text).digest("base64url").slice(0, FILTER_CHARS);
}
