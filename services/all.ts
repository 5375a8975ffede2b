import type { Service } from "../packages/service/service.ts";
import type { Environment } from "../packages/service/variables.ts";

type Define = (env: Environment) => Service;

/**
 * Every service, loaded when it is to run. One line is all that it takes to add one: its database, role, relay, worker, OpsService, its routes and
 * pages at the edge and the variables with its name follow from what it declares.
 */
const SERVICES: Record<string, () => Promise<Define>> = {
  auth: async () => (await import("./auth/service.ts")).auth,
  product: async () => (await import("./product/service.ts")).product,
  stock: async () => (await import("./stock/service.ts")).stock,
  order: async () => (await import("./order/service.ts")).order,
  payment: async () => (await import("./payment/service.ts")).payment,
  points: async () => (await import("./points/service.ts")).points,
  kitchen: async () => (await import("./kitchen/service.ts")).kitchen,
  canary: async () => (await import("./canary/service.ts")).canary,
  mail: async () => (await import("./mail/service.ts")).mail,
  activity: async () => (await import("./activity/service.ts")).activity,
  eventlog: async () => (await import("./eventlog/service.ts")).eventlog,
};

export const SERVICE_NAMES = Object.keys(SERVICES);

/** Services as `env` configures them; throws an Error with a sentence about a variable that makes no sense. */
export function loadServices(names: string[], env: Environment): Promise<Service[]> {
  return Promise.all(
    names.map(async (name) => {
      const load = SERVICES[name];
      if (!load) throw new Error(`there is no service ${name}: expected one of ${SERVICE_NAMES.join(", ")}`);
      return (await load())(env);
    }),
  );
}

/** What every service declares, without its configuration: for who only needs to know what there is. */
export function declarations(): Promise<Service[]> {
  return loadServices(SERVICE_NAMES, {});
}

/** The database of the embedded brokers. */
export const BROKER = "broker";
