import type { App, Tx } from "../../packages/service/app.ts";
import { currentContext } from "../../packages/telemetry/context.ts";
import { insertEmptyAccounts, insertLedger, lockAccounts, saveAccounts } from "./store.ts";

/** Points of one user: all of them, and those that are held for orders. */
export interface Account {
  userId: string;
  balance: bigint;
  held: bigint;
  version: bigint;
}

export type Kind = "granted" | "held" | "released" | "committed" | "returned";
/** The user's own two accounts, and the house's two: what it gave out, and what it got back for orders. */
export type Side = "available" | "held" | "issued" | "spent";

/** Where each kind of movement takes points from, and where it puts them. */
export const MOVEMENTS: Record<Kind, { from: Side; to: Side }> = {
  granted: { from: "issued", to: "available" },
  held: { from: "available", to: "held" },
  released: { from: "held", to: "available" },
  committed: { from: "held", to: "spent" },
  returned: { from: "spent", to: "available" },
};

/** What is moved, and why. */
export interface Movement {
  kind: Kind;
  /** The hold, the order, or the grant's caller and request: with its kind, it counts once. */
  causeId: string;
  userId: string;
  amount: bigint;
  orderId: string | null;
  reason?: string;
}

export interface Entry extends Required<Movement> {
  movementId: string;
  side: Side;
  traceId: string;
}

/** The locked accounts of one transaction, and what is booked on them. Columns and ledger are written together or not at all. */
export interface Book {
  accounts: Map<string, Account>;
  entries: Entry[];
}

/** Locks the accounts in key order, so that two books never wait for each other; who has none gets an empty one. */
export async function openBook(tx: Tx, userIds: string[]): Promise<Book> {
  const ids = [...new Set(userIds)];
  await insertEmptyAccounts(tx.sql, ids);
  const accounts = await lockAccounts(tx.sql, ids);
  return { accounts: new Map(accounts.map((account) => [account.userId, account])), entries: [] };
}

export function accountOf({ accounts }: Book, userId: string): Account {
  const account = accounts.get(userId);
  if (!account) throw new Error(`the account of ${userId} is not in this book`);
  return account;
}

export function availableOf({ balance, held }: Account): bigint {
  return balance - held;
}

/** Books one movement: two entries. Whether it may happen was decided before; a count that breaks here is a bug. */
export function move(app: App, book: Book, movement: Movement): void {
  const { kind, userId, amount } = movement;
  if (amount === 0n) return; // A free order moves nothing.
  const account = accountOf(book, userId);
  const movementId = app.random.id();
  const { from, to } = MOVEMENTS[kind];
  const common = { reason: "", ...movement, movementId, traceId: currentContext()?.traceId ?? "" };
  for (const entry of [
    { ...common, side: from, amount: -amount },
    { ...common, side: to, amount },
  ]) {
    if (entry.side === "available" || entry.side === "held") account.balance += entry.amount;
    if (entry.side === "held") account.held += entry.amount;
    book.entries.push(entry);
  }
  if (account.held < 0n || account.balance < account.held)
    throw new Error(
      `${kind} ${amount} of ${userId} for ${movement.causeId} leaves ${account.balance}, ${account.held} held`,
    );
}

/** Writes what was booked. */
export async function closeBook(app: App, tx: Tx, book: Book): Promise<void> {
  if (book.entries.length === 0) return;
  const changed = [...new Set(book.entries.map(({ userId }) => userId))].map((userId) => accountOf(book, userId));
  for (const account of changed) account.version += 1n;
  await saveAccounts(tx.sql, changed);
  insertLedger(tx, book.entries, app.clock.now());
}
