// What there is to look at. Of these Grafana's JSON is made (grafana.ts), and each query is run by the tests.
import { DATA } from "./boards/data.ts";
import { PLATFORM } from "./boards/platform.ts";
import { PROMISES } from "./boards/promises.ts";
import { SHOP } from "./boards/shop.ts";
import type { Board } from "./panel.ts";

export const BOARDS: Board[] = [...SHOP, ...PLATFORM, DATA, ...PROMISES];
