import { randomUUID } from "node:crypto";
import { locksContract } from "./contract.ts";
import { createEmbeddedLocks } from "./embedded.ts";

locksContract("embedded", async () => createEmbeddedLocks(() => performance.now(), randomUUID));
