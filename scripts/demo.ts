// bun run demo: a day in the life of some orders, on a private copy that lives 3600 times as fast.
import { demo } from "./demo/story.ts";

process.exitCode = await demo();
