import { brokerDatabase } from "../../tests/kit/databases.ts";
import { openDatabase } from "../database/database.ts";
import { createLog } from "../telemetry/log.ts";
import { jobsContract } from "./contract.ts";
import { createEmbeddedJobs } from "./embedded.ts";

const quiet = createLog(() => {});

jobsContract("embedded", async () => {
  const { database, url } = await brokerDatabase();
  return {
    jobs: createEmbeddedJobs(database, quiet),
    reopen: async () => createEmbeddedJobs(openDatabase(url, "again"), quiet),
  };
});
