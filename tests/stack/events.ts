// What befalls a stack under load, and what a customer may notice of it.
import type { Swarm } from "./swarm.ts";

export interface Event {
  /** For STACK_EVENTS. */
  name: string;
  /** For the table. */
  what: string;
  /** Which requests must not fail: all of them; those that place orders; or none, where a part that is there once is away. */
  spares: "all" | "orders" | "none";
  /** How long nobody may have waited longer for, asking again all the while. */
  stallMsMax?: number;
  /** What it needs of the stack, before its requests are counted. */
  prepare?(swarm: Swarm): Promise<void>;
  /** Resolves when the stack is as it was before; throws where something went another way than it has to. */
  strike(swarm: Swarm): Promise<void>;
  /** The stack is away in between: no timer can be kept then. */
  outage?: boolean;
}

/** Of the edge and of what an order goes through. */
const TWICE = { gateway: 2, order: 2, stock: 2, payment: 2 };
/** All that a customer waits for. */
const PATH_TWICE = { ...TWICE, auth: 2, product: 2, pg: 2 };
const FIRST = "node1";
const ONCE = { gateway: 1, order: 1, stock: 1, payment: 1 };

const EVERYWHERE: Event[] = [
  {
    name: "upgrade",
    what: "every service updated to another image",
    spares: "all",
    async strike(swarm) {
      const image = await swarm.variant("next", "LABEL next=1");
      await swarm.stack(["upgrade"], { BODEGA_IMAGE: image });
      await expectImage(swarm, image, ["gateway", "order", "mail"]);
    },
  },
  {
    name: "broken",
    what: "an image that does not start, rolled back",
    spares: "all",
    async strike(swarm) {
      const services = ["gateway", "order"];
      const before = await swarm.imageOf("order");
      const image = await swarm.variant("broken", 'ENTRYPOINT ["bun", "-e", "process.exit(1)"]');
      const states = await swarm.update(services, image);
      if (states.some((state) => state !== "rollback_completed"))
        throw new Error(`expected rollbacks of ${services.join(", ")}, found ${states.join(", ")}`);
      await expectImage(swarm, before, services);
      await swarm.ready();
    },
  },
  {
    name: "scale",
    what: "edge and orders from 2 to 5 and back",
    spares: "all",
    prepare: (swarm) => swarm.scale(TWICE),
    async strike(swarm) {
      await swarm.scale({ gateway: 5, order: 5 });
      await swarm.scale({ gateway: 2, order: 2 });
    },
  },
  {
    name: "kill",
    what: "a task of each of order, stock, payment and the edge killed",
    spares: "orders",
    prepare: (swarm) => swarm.scale(TWICE),
    async strike(swarm) {
      for (const service of Object.keys(TWICE)) {
        await swarm.signal(service);
        await swarm.ready();
      }
    },
  },
  {
    name: "reload",
    what: "HAProxy reloaded",
    spares: "all",
    // What a master process of HAProxy takes for "read your configuration again".
    strike: (swarm) => swarm.signal("haproxy", "USR2"),
  },
];

/** Of a cluster with replicas. */
const MEMBERS: Event = {
  name: "members",
  what: "PostgreSQL's members updated, the leader last and after a switchover",
  spares: "all",
  prepare: (swarm) => swarm.replicated(),
  async strike(swarm) {
    const before = await swarm.leader();
    await swarm.stack(["upgrade"], { BODEGA_IMAGE: await swarm.imageOf("order"), PG_MEMORY: "800M" });
    const after = await swarm.leader();
    if (after === before) throw new Error(`expected ${before} to hand over before it was updated, it leads`);
  },
};

/** Each comes back before the next goes: with two away a queue or a topic has no majority. */
const BROKERS: Event = {
  name: "brokers",
  what: "the nodes of Kafka and RabbitMQ updated, one at a time",
  spares: "all",
  strike: async (swarm) =>
    swarm.stack(["upgrade"], {
      BODEGA_IMAGE: await swarm.imageOf("order"),
      // As MEMBERS left it.
      PG_MEMORY: "800M",
      KAFKA_MEMORY: "800M",
      RABBITMQ_MEMORY: "544M",
    }),
};

const COLD: Event = {
  name: "cold",
  what: "the whole stack down, and up again with its volumes",
  spares: "none",
  outage: true,
  async strike(swarm) {
    await swarm.stack(["down"]);
    await swarm.stack(["up"]);
  },
};

/** Of a PostgreSQL cluster, which must have a replica that can take the lead. */
function lead(whose: string, cluster: string, replicas: Record<string, number> = {}): Event[] {
  async function prepare(swarm: Swarm) {
    await swarm.scale(replicas);
    await swarm.replicated(cluster);
  }
  return [
    {
      name: "switchover",
      what: `${whose} primary handed over to a replica`,
      spares: "all",
      prepare,
      strike: (swarm) => swarm.switchover(cluster),
    },
    {
      name: "postgres",
      what: `${whose} primary killed`,
      spares: "none",
      stallMsMax: 15_000,
      prepare,
      async strike(swarm) {
        await swarm.signal(await swarm.leader(cluster));
        await swarm.ready();
        await swarm.leader(cluster);
      },
    },
  ];
}

const ALL = ["PostgreSQL's", "patroni"] as const;

/** Of a swarm of three, each with a member of every cluster: the one where PostgreSQL's primary is goes, with one of whatever is there twice, and is back. */
function without(
  event: Pick<Event, "name" | "what" | "spares">,
  go: (swarm: Swarm, node: string) => Promise<void>,
): Event {
  return {
    ...event,
    async prepare(swarm) {
      await swarm.scale(PATH_TWICE);
      await swarm.spread(Object.keys(PATH_TWICE));
      await swarm.replicated();
      // By that node the customers come in.
      if ((await nodeOfLeader(swarm)) === FIRST) await swarm.switchover();
    },
    async strike(swarm) {
      const node = await nodeOfLeader(swarm);
      await go(swarm, node);
      await swarm.mend(node);
    },
  };
}

async function nodeOfLeader(swarm: Swarm): Promise<string> {
  return (await swarm.leader()).replace("patroni-", "node");
}

const NODES: Event[] = [
  without({ name: "drain", what: "the primary's node of three drained, and back", spares: "orders" }, (swarm, node) =>
    swarm.stack(["drain", node]),
  ),
  without({ name: "cut", what: "the primary's node of three cut off, and back", spares: "none" }, (swarm, node) =>
    swarm.cut(node),
  ),
];

/** In this order; `small` is one of each, and beside it `clusters` has three clusters of PostgreSQL, `debezium` Kafka Connect. */
export function eventsOf(mode: string): Event[] {
  if (mode === "clusters") return lead("the orders'", "patroni-order");
  if (mode === "nodes") return NODES;
  if (mode === "debezium") return [killed("connect", "Kafka Connect", "all")];
  if (mode === "small")
    return [
      ...EVERYWHERE,
      ...lead(...ALL, { "patroni-2": 1 }),
      { ...COLD, prepare: (swarm) => swarm.scale({ ...ONCE, "patroni-2": 0 }) },
    ];
  return [
    ...EVERYWHERE,
    ...lead(...ALL),
    MEMBERS,
    BROKERS,
    ...["kafka-2", "rabbitmq-2", "redis-1"].map((member) => killed(member, member, "all")),
    COLD,
  ];
}

function killed(service: string, what: string, spares: Event["spares"]): Event {
  return {
    name: service.replace(/-\d$/, ""),
    what: `${what} killed`,
    spares,
    async strike(swarm) {
      await swarm.signal(service);
      await swarm.ready();
    },
  };
}

async function expectImage(swarm: Swarm, image: string, services: string[]): Promise<void> {
  for (const service of services) {
    const found = await swarm.imageOf(service);
    if (found !== image) throw new Error(`expected ${service} to run ${image}, found ${found}`);
  }
}
