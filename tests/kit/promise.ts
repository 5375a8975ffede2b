import { testUnless } from "./test-unless.ts";

/** Why an adapter cannot keep a promise, or be asked to here: by the promise's title, or for all of them. */
export type Skip = Record<string, string> | string | undefined;

/** Declares what an adapter of a port owes. The run's table of contracts reads the names of these tests (scripts/test/contracts.ts). */
export function promisesOf(port: string, adapter: string, skip: Skip = {}) {
  return (title: string, check: () => Promise<void>): void => {
    const reason = typeof skip === "string" ? skip : skip[title];
    testUnless(reason)(`${port} × ${adapter}: ${title}`, check);
  };
}
