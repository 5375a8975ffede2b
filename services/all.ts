import type { Service } from "../packages/service/service.ts";

export type Environment = Record<string, string | undefined>;

/** Every service by name, loaded when it is to run. The environment is read here and nowhere below. */
const SERVICES: Record<string, (env: Environment) => Promise<Service>> = {
  auth: async (env) => (await import("./auth/service.ts")).auth((await import("./auth/config.ts")).readConfig(env)),
  product: async (env) =>
    (await import("./product/service.ts")).product((await import("./product/config.ts")).readConfig(env)),
  stock: async () => (await import("./stock/service.ts")).stock(),
  order: async () => (await import("./order/service.ts")).order(),
  payment: async (env) =>
    (await import("./payment/service.ts")).payment((await import("./payment/config.ts")).readConfig(env)),
  points: async () => (await import("./points/service.ts")).points(),
  kitchen: async (env) =>
    (await import("./kitchen/service.ts")).kitchen((await import("./kitchen/config.ts")).readConfig(env)),
  mail: async (env) => (await import("./mail/service.ts")).mail((await import("./mail/config.ts")).readConfig(env)),
};

export const SERVICE_NAMES = Object.keys(SERVICES);

export function loadServices(names: string[], env: Environment): Promise<Service[]> {
  return Promise.all(
    names.map((name) => {
      const load = SERVICES[name];
      if (!load) throw new Error(`there is no service ${name}: expected one of ${SERVICE_NAMES.join(", ")}`);
      return load(env);
    }),
  );
}
