import { test } from "bun:test";

/** `test`, or where there is a reason one that is skipped, and says why. */
export function testUnless(reason: string | undefined) {
  return (title: string, work: () => Promise<void>): void => {
    if (reason) test.skip(`${title} (${reason})`, work);
    else test(title, work);
  };
}
