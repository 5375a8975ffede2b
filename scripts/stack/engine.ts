// The Docker Engine, asked over its socket: `docker stack deploy` itself says nothing of how a deployment went.
const DEFAULT = "unix:///var/run/docker.sock";
/** Of a log's frames: the stream it was written to, three zeros, the length. */
const FRAME_HEAD_BYTES = 8;

export interface Engine {
  get<T>(path: string, query?: Record<string, string>): Promise<T>;
  /** The last lines of a task, on whatever node it is. */
  lastLines(taskId: string, count: number): Promise<string[]>;
}

/** Only what is used of the Engine's answers. */
export interface Service {
  ID: string;
  Spec: {
    Name: string;
    Labels: Record<string, string>;
    TaskTemplate: { ContainerSpec: { Image: string }; RestartPolicy?: { Condition?: string } };
  };
  UpdateStatus?: { State?: string; StartedAt?: string; Message?: string };
  ServiceStatus: { RunningTasks: number; DesiredTasks: number };
}

export interface Task {
  ID: string;
  ServiceID: string;
  NodeID?: string;
  Slot?: number;
  CreatedAt: string;
  DesiredState: string;
  Status: { State: string; Err?: string; ContainerStatus?: { ContainerID?: string; ExitCode?: number } };
  Spec: { ContainerSpec: { Image: string } };
}

export interface Node {
  ID: string;
  Spec: { Labels: Record<string, string>; Availability: string };
  Description: { Hostname: string; Resources: { NanoCPUs: number; MemoryBytes: number } };
  Status: { State: string };
}

export function openEngine(host = process.env["DOCKER_HOST"] || DEFAULT): Engine {
  const [, unix = ""] = /^unix:\/\/(\/.+)$/.exec(host) ?? [];
  if (!unix) throw new Error(`DOCKER_HOST must be a socket such as ${DEFAULT}, found ${host}`);

  async function ask(path: string, query: Record<string, string>): Promise<Response> {
    const url = `http://engine${path}?${new URLSearchParams(query)}`;
    const answer = await fetch(url, { unix }).catch((error: unknown) => {
      throw new Error(`no Docker Engine answers at ${unix}: is dockerd running?`, { cause: error });
    });
    if (answer.ok) return answer;
    throw new Error(`the Docker Engine answered ${answer.status} to ${path}: ${await answer.text()}`);
  }

  return {
    // What the Engine's API promises for that path.
    get: async <T>(path: string, query = {}) => (await (await ask(path, query)).json()) as T,
    async lastLines(taskId, count) {
      const query = { stdout: "1", stderr: "1", tail: String(count) };
      return linesIn(Buffer.from(await (await ask(`/tasks/${taskId}/logs`, query)).arrayBuffer()));
    },
  };
}

export function linesIn(log: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at + FRAME_HEAD_BYTES <= log.length; ) {
    const end = at + FRAME_HEAD_BYTES + log.readUInt32BE(at + 4);
    lines.push(
      ...log
        .subarray(at + FRAME_HEAD_BYTES, end)
        .toString()
        .trimEnd()
        .split("\n"),
    );
    at = end;
  }
  return lines;
}

/** What belongs to a stack. */
export function of(stack: string): Record<string, string> {
  return { filters: JSON.stringify({ label: [labelOf(stack)] }) };
}

/** On everything that is a stack's. */
export function labelOf(stack: string): string {
  return `com.docker.stack.namespace=${stack}`;
}
