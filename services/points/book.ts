import type { App, Tx } from "../../packages/service/app.ts";
import { type Account, type Entry, MOVEMENTS, type Movement } from "./ledger.ts";
import { insertEmptyAccounts, insertLedger, lockAccounts, saveAccounts } from "./store.ts";

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
  return { accounts: new Map(accounts.map((account) => [account.user_id, account])), entries: [] };
}

export function accountOf({ accounts }: Book, userId: string): Account {
  const account = accounts.get(userId);
  if (!account) throw new Error(`the account of ${userId} is not in this book`);
  return account;
}

export function availableOf({ balance, held }: Account): bigint {
  return balance - held;
}

/** Books one movement, on account of what `tx` is for: two entries. Whether it may happen was decided before; a count that breaks here is a bug. */
export function move(app: App, tx: Tx, book: Book, movement: Movement): void {
  const { kind, userId, amount } = movement;
  if (amount === 0n) return; // A free order moves nothing.
  const account = accountOf(book, userId);
  const movementId = app.random.id();
  const { from, to } = MOVEMENTS[kind];
  const common = { reason: "", ...movement, movementId, traceId: tx.context.traceId };
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
  const entries = book.entries.map((entry) => ({ ...entry, version: accountOf(book, entry.userId).version }));
  insertLedger(tx, entries, app.clock.now());
}
