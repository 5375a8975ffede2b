import { describe, expect, test } from "bun:test";
import { ownFiles } from "../tree.ts";
import { testRooms } from "./test-rooms.ts";

const BAD: [path: string, text: string][] = [
  ["bench/stack.ts", 'import { carriedBy } from "../tests/chaos/state.ts";'],
  ["scripts/demo.ts", 'import { startSystem } from "../tests/kit/system.ts";'],
  ["scripts/copy/start.ts", 'import { startStack } from "../../bench/stack.ts";'],
  ["services/order/order.ts", 'import { eventually } from "../../tests/kit/eventually.ts";'],
  ["services/order/order.test.ts", 'import { halfDone } from "../../tests/stories/points.ts";'],
  ["packages/jobs/contract.ts", 'import { startProgram } from "../../tests/chaos/program.ts";'],
  ["tests/kit/system.ts", 'import { realPorts } from "../servers/real-ports.ts";'],
  ["tests/stories/life.test.ts", 'import { say } from "../chaos/books.ts";'],
  ["tests/chaos/books.ts", 'import { createProcesses } from "../apart/processes.ts";'],
  ["clients/cli/main.ts", 'import { freePorts } from "../copy/ports.ts";'],
  ["clients/cli/main.ts", 'import { refused } from "../../packages/service/errors.ts";'],
  ["clients/edge/edge.ts", 'import { main } from "../cli/main.ts";'],
];
const GOOD: [path: string, text: string][] = [
  ["services/order/order.test.ts", 'import { startSystem } from "../../tests/kit/system.ts";'],
  ["packages/jobs/contract.ts", 'import { eventually } from "../../tests/kit/eventually.ts";'],
  ["scripts/test.ts", 'import { startTestPostgres } from "../tests/kit/postgres.ts";'],
  ["scripts/servers/servers.test.ts", 'import { testUnless } from "../../tests/kit/test-unless.ts";'],
  ["bench/stack.ts", 'import { startCopy } from "../scripts/copy/start.ts"; import { sql } from "../packages/a.ts";'],
  ["tests/stories/life.test.ts", 'import { place } from "../kit/customers.ts"; import { a } from "./a.ts";'],
  [
    "clients/cli/main.ts",
    'import { openEdge } from "../edge/edge.ts"; import { moneyText } from "../../packages/api/money.ts";',
  ],
  ["clients/edge/edge.test.ts", 'import { startSystem } from "../../tests/kit/system.ts";'],
  ["tests/stories/life.test.ts", 'import { openEdge } from "../../clients/edge/edge.ts";'],
  ["tests/nemesis/faults.ts", 'import type { Dice } from "../chaos/dice.ts";'],
];

describe("tests share by their kit, and nothing else imports tests", () => {
  test.each(BAD)("%s: finds %s", (path, text) => expect(testRooms({ path, text })).toHaveLength(1));
  test.each(GOOD)("%s: lets pass %s", (path, text) => expect(testRooms({ path, text })).toEqual([]));
  test("in the whole tree", async () => expect((await ownFiles()).flatMap(testRooms)).toEqual([]));
});
