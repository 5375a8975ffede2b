import { ActivityService } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import { forDays, forever } from "../../packages/database/retention.ts";
import { answers, onAny, service } from "../../packages/service/service.ts";
import { countFacts } from "./count-facts.ts";
import { getDay } from "./get-day.ts";
import { listDays } from "./list-days.ts";
import { rebuildDay } from "./rebuild-day.ts";
import { watchToday } from "./watch-today.ts";

/** How much of everything has happened. */
export const activity = () =>
  service<undefined>({
    name: "activity",
    config: undefined,
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("counts", "a few rows a quarter of an hour"),
      forever("takings", "a few rows a quarter of an hour"),
      forDays(
        1,
        "rebuilt_facts",
        { id: "rebuild_id" },
        "a rebuild takes minutes; this is what is left of one that was killed",
      ),
    ],
    answers: [answers(ActivityService, { getDay, listDays, watchToday, rebuildDay })],
    hears: [onAny(countFacts)],
    does: [],
  });
