import { expect, test } from "bun:test";
import { readPage } from "./paging.ts";

const ids = Array.from({ length: 7 }, (_, index) => `019b0000-0000-7000-8000-00000000000${index}`);
const read = async (after: string | null, rowsMax: number) =>
  ids.filter((id) => !after || id > after).slice(0, rowsMax);
const page = (pageSize: number, pageToken: string, filter: object = { query: "" }) =>
  readPage({ pageSize, pageToken }, filter, read, (id) => id);

test("pages walk the whole list once, and the last one has no token", async () => {
  const seen: string[] = [];
  let token = "";
  do {
    const next = await page(3, token);
    seen.push(...next.page);
    token = next.nextPageToken;
  } while (token);
  expect(seen).toEqual(ids);
  expect((await page(7, "")).nextPageToken).toBe("");
});

test("a token is refused under another filter, when it is cut, and when it was never one", async () => {
  const { nextPageToken } = await page(3, "", { query: "burger", priceMin: 1n });
  expect((await page(3, nextPageToken, { query: "burger", priceMin: 1n })).page).toEqual(ids.slice(3, 6));
  for (const [token, filter] of [
    [nextPageToken, { query: "menu", priceMin: 1n }],
    [nextPageToken.slice(0, -3), { query: "burger", priceMin: 1n }],
    ["not a token", {}],
    ["bm9wZQ", {}],
  ] as const) {
    expect(page(3, token, filter)).rejects.toThrow(/expected the/);
  }
});
