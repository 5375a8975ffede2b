import { brokerDatabase } from "../../tests/databases.ts";
import { openDatabase } from "../database/database.ts";
import { createLog } from "../telemetry/log.ts";
import { eventsContract } from "./contract.ts";
import { createEmbeddedEvents } from "./embedded.ts";

const quiet = createLog(() => {});

eventsContract("embedded", async () => {
  const { database, url } = await brokerDatabase();
  const open = (own = database) => createEmbeddedEvents(own, quiet, () => new Date());
  return { events: open(), reopen: async () => open(openDatabase(url, "again")) };
});
