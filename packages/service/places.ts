import type { Sql } from "../database/database.ts";
import type { Tx } from "../database/story.ts";

/** One database of a service. */
export interface Place {
  /** Reads. Writes belong into a story. */
  sql: Sql;
  /** A transaction of its own: all of it commits, or none. */
  transact<T>(story: (tx: Tx) => Promise<T>): Promise<T>;
}

/**
 * Where rows lie that belong to one customer or order: their id names it. A service with one database has one place, which is the app itself; one whose
 * buckets are spread over several finds them by the same words.
 */
export interface Places<P extends Place = Place> {
  /** Of an id that names its bucket: an order's, or one that was made beside it, such as its payment's. */
  at(id: string): P;
  /** Of a customer, with all of their orders. */
  atCustomer(customerId: string): P;
  /** All of them, for who asks about everybody. */
  everywhere(): P[];
}

/** For a service with one database: every id leads to this place. */
export function onePlace<P extends Place>(place: P): P & Places<P> {
  const placed: P & Places<P> = { ...place, at: () => placed, atCustomer: () => placed, everywhere: () => [placed] };
  return placed;
}

/** What is handled in one transaction must lie in one place: messages by the place of their keys, in their order. */
export function byPlace<M extends { key: string }>(
  places: Places,
  messages: M[],
  placeOf: (message: M) => Place = ({ key }) => places.at(key),
): Map<Place, M[]> {
  const [only, ...others] = places.everywhere();
  return only && others.length === 0 ? new Map([[only, messages]]) : Map.groupBy(messages, placeOf);
}

/** The first `rowsMax` of what several places list, each in the order of falling ids. */
export async function listPlaces<Row>(
  places: Place[],
  list: (sql: Sql) => Promise<Row[]>,
  idOf: (row: Row) => string,
  rowsMax: number,
): Promise<Row[]> {
  const lists = await Promise.all(places.map(({ sql }) => list(sql)));
  const [only = []] = lists;
  if (lists.length <= 1) return only;
  return lists
    .flat()
    .toSorted((a, b) => (idOf(a) < idOf(b) ? 1 : -1))
    .slice(0, rowsMax);
}
