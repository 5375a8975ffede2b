// bun run observe up|down|status|env|pictures: what sees Bodega, beside `bun dev`. generate: what is made of observability/*.ts.
import { join } from "node:path";
import { generateObservability } from "../observability/generate.ts";
import { createAsk } from "./observe/ask.ts";
import { down, status, up } from "./observe/life.ts";
import { drawPictures } from "./observe/pictures.ts";
import { PROMETHEUS, USUAL } from "./observe/programs.ts";
import { install } from "./servers/install.ts";
import { ROOT } from "./tree.ts";

const USAGE = `bun run observe <command>

  install   Prometheus, if it is not there; nothing is started
  up        collector, Tempo, Loki, Prometheus and Alertmanager beside \`bun dev\`; the first time all but Prometheus are built
  env       what \`bun dev\` needs to be seen, for the shell: eval "$(bun run observe env)"
  status    which of them run
  pictures <folder> [<minutes>]
            the panels of observability/pictures.ts over the last minutes (20) as PNGs, by Chromium
  down      ends them, and forgets what they have seen
  generate  dashboards and rules from observability/*.ts`;

const MINUTES = 20;
const FOLDER = join(ROOT, ".observe");
const { OPS_PORT, SMTP_PORT, PAGER_URL } = process.env;

const COMMANDS: Record<string, (...words: string[]) => Promise<unknown> | unknown> = {
  generate: generateObservability,
  install: () =>
    install(
      [PROMETHEUS].filter(({ found }) => !found()),
      (line) => console.error(line),
    ),
  async up() {
    const shop = { opsPorts: [OPS_PORT || "9091"], smtpPort: SMTP_PORT || "1025", pagerUrl: PAGER_URL };
    await up({ folder: FOLDER, ports: USUAL, ...shop }, (line) => console.error(line));
    const at = {
      Tempo: USUAL.TEMPO_HTTP,
      Loki: USUAL.LOKI_HTTP,
      Prometheus: USUAL.PROMETHEUS,
      Alertmanager: USUAL.ALERTMANAGER,
    };
    console.error(
      Object.entries(at)
        .map(([name, port]) => `${name} http://127.0.0.1:${port}`)
        .join(", "),
    );
  },
  async pictures(folder, minutes = String(MINUTES)) {
    if (!folder || !(Number(minutes) > 0)) throw new Error("expected a folder, and perhaps how many minutes");
    const end = Math.floor(Date.now() / 1_000);
    const ask = createAsk("", "", `http://127.0.0.1:${USUAL.PROMETHEUS}`);
    console.log((await drawPictures(ask, { start: end - Number(minutes) * 60, end }, folder)).join("\n"));
  },
  down: () => down(FOLDER),
  status: () => console.log(status(FOLDER).join("\n") || "none of them runs: bun run observe up"),
  env: () => console.log(`export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${USUAL.COLLECTOR_HTTP}`),
};

const [name = "", ...words] = process.argv.slice(2);
const command = COMMANDS[name];
if (command) await command(...words);
else {
  console.error(USAGE);
  process.exitCode = name === "" ? 0 : 2;
}
