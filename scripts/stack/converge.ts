// Waits until a deployment is through, and knows whether it went well: a rollback ends a service update as quietly as success does.
import { type Engine, of, type Service, type Task } from "./engine.ts";

const LOOK_MS = 500;
/** For a moment after a deployment all is as before it. */
const READY_LOOKS = 4;
const FAILED_UPDATES = ["rollback_completed", "rollback_paused", "paused"];
const LINES_TOLD = 8;

export interface Row {
  name: string;
  running: number;
  desired: number;
  state: "ready" | "waiting" | "failed";
  /** Why it waits, where the Engine says so. */
  reason: string;
}

/** How it is with each service, of a deployment that began at `since` by the Engine's clock. */
export function rowsOf(services: Service[], tasks: Task[], since: string): Row[] {
  return services.map((service) => {
    const own = tasks.filter(({ ServiceID }) => ServiceID === service.ID);
    const { RunningTasks: running, DesiredTasks: desired } = service.ServiceStatus;
    const { State: update = "", StartedAt: began = "", Message: message = "" } = service.UpdateStatus ?? {};
    // What an earlier deployment left behind says nothing of this one.
    const fresh = began > since ? update : "";
    const pending = own.find(({ DesiredState, Status }) => DesiredState === "running" && Status.State === "pending");
    const done = endsByItself(service) ? ended(own) : running >= desired;
    const failed = FAILED_UPDATES.includes(fresh);
    const moving = fresh === "updating" || fresh === "rollback_started";
    return {
      name: service.Spec.Name,
      running,
      desired,
      state: failed ? "failed" : done && !moving ? "ready" : "waiting",
      reason: failed ? message : (pending?.Status.Err ?? (done ? "" : (worst(own)?.Status.Err ?? ""))),
    };
  });
}

/** Such as provision. */
function endsByItself({ Spec }: Service): boolean {
  return Spec.TaskTemplate.RestartPolicy?.Condition === "on-failure";
}

function ended(tasks: Task[]): boolean {
  const newest = tasks.toSorted((a, b) => b.CreatedAt.localeCompare(a.CreatedAt))[0];
  return newest?.Status.State === "complete" && newest.DesiredState !== "running";
}

/** The newest that went wrong. One that was unhealthy and ended well when it was told to is "complete", and not wanted any more. */
function worst(tasks: Task[]): Task | undefined {
  const wrong = tasks.filter(
    ({ DesiredState, Status: { State } }) =>
      ["failed", "rejected"].includes(State) ||
      (DesiredState === "shutdown" && ["complete", "shutdown"].includes(State)),
  );
  return wrong.toSorted((a, b) => b.CreatedAt.localeCompare(a.CreatedAt))[0];
}

export interface Waiting {
  stack: string;
  since: string;
  msMax: number;
  /** Only of these services. */
  services?: string[];
  /** Told of every change. */
  tell: (rows: Row[]) => void;
}

/** Resolves when all is ready. Throws an Error that names the task that failed, with its last lines. */
export async function converge(engine: Engine, { stack, since, msMax, services: names, tell }: Waiting): Promise<void> {
  let told = "";
  let looksReady = 0;
  for (const patience = AbortSignal.timeout(msMax); ; await Bun.sleep(LOOK_MS)) {
    const all = await engine.get<Service[]>("/services", { ...of(stack), status: "true" });
    const services = all.filter(({ Spec }) => !names || names.some((name) => Spec.Name === `${stack}_${name}`));
    const tasks = await engine.get<Task[]>("/tasks", of(stack));
    const rows = rowsOf(services, tasks, since);
    const text = JSON.stringify(rows);
    if (text !== told) tell(rows);
    told = text;
    const failed = rows.find(({ state }) => state === "failed");
    if (failed) throw new Error(await explain(engine, services, tasks, since, failed));
    looksReady = rows.length > 0 && rows.every(({ state }) => state === "ready") ? looksReady + 1 : 0;
    if (looksReady === READY_LOOKS) return;
    const waiting = rows.find(({ state }) => state === "waiting");
    if (patience.aborted && waiting)
      throw new Error(`not ready after ${msMax / 1_000} s\n${await explain(engine, services, tasks, since, waiting)}`);
  }
}

async function explain(engine: Engine, services: Service[], tasks: Task[], since: string, row: Row): Promise<string> {
  const service = services.find(({ Spec }) => Spec.Name === row.name);
  const task = worst(tasks.filter(({ ServiceID, CreatedAt }) => ServiceID === service?.ID && CreatedAt > since));
  const head = `${row.name} is at ${row.running} of ${row.desired}${row.reason ? `: ${row.reason}` : ""}`;
  if (!task) return head;
  const { ContainerSpec } = task.Spec;
  const { Err = task.Status.State, ContainerStatus } = task.Status;
  const lines = await engine.lastLines(task.ID, LINES_TOLD);
  const named = `${row.name}.${task.Slot ?? 0} (${ContainerSpec.Image}): ${Err}, exit code ${ContainerStatus?.ExitCode ?? "none"}`;
  return [head, named, ...lines.map((line) => `  ${line}`)].join("\n");
}
