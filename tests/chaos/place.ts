import { join } from "node:path";
import { type Environment, freePorts } from "../../scripts/copy/ports.ts";
import { postgresIn } from "../../scripts/copy/postgres.ts";
import { scratchFolder } from "../kit/scratch.ts";
import { TIME_SCALE } from "./load.ts";
import { ADMIN } from "./shop.ts";

/** Where a program runs that is killed and started again. */
export interface Place {
  /** Holds its data and its log. */
  folder: string;
  dataDir: string;
  logFile: string;
  env: Environment;
  /** The edge. */
  base: string;
  mailUrl: string;
}

export async function newPlace(): Promise<Place> {
  const folder = scratchFolder("bodega-chaos-");
  const dataDir = join(folder, "data");
  const ports = await freePorts();
  const env = {
    ...ports,
    DATA_DIR: dataDir,
    TIME_SCALE: String(TIME_SCALE),
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMITS: "off",
    DEMO: "on",
    KITCHEN_STAFF: "on",
  };
  const [base, mailUrl] = [`http://127.0.0.1:${ports["PORT"]}`, `http://127.0.0.1:${ports["MAIL_PORT"]}`];
  return { folder, dataDir, logFile: join(folder, "log"), env, base, mailUrl };
}

/** The services' databases in a folder of data, for an operator. */
export function urlsIn(dataDir: string): (service: string) => string {
  const { urlOf } = postgresIn(dataDir);
  return (service) => urlOf(`bodega_${service}`);
}
