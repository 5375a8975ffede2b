import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { HeartbeatSchema } from "../../api/gen/bodega/type/v1/heartbeat_pb.ts";
import { unlessLate } from "../../time/wait.ts";

/** How long a stream is silent at most. Proxies cut what says nothing for longer, and clients cannot tell silence from a dead line. */
export const HEARTBEAT_MS = 10_000;

/** Makes a stream's heartbeat at a time; undefined for a method whose messages have no field for one. */
export function heartbeatOf({ output }: DescMethod): ((at: Date) => Message) | undefined {
  const field = output.fields.find(({ message }) => message?.typeName === HeartbeatSchema.typeName);
  if (!field) return undefined;
  return (at) => create(output, { [field.localName]: create(HeartbeatSchema, { at: timestampFromDate(at) }) });
}

/** What is awaited, after as many heartbeats as it takes. */
export async function* breathing<T>(
  coming: Promise<T>,
  heartbeat: (() => Message) | undefined,
  heartbeatMs: number,
): AsyncGenerator<Message, T> {
  if (!heartbeat) return await coming;
  const boxed = coming.then((value) => ({ value }));
  for (;;) {
    const here = await unlessLate(heartbeatMs, boxed);
    if (here) return here.value;
    yield heartbeat();
  }
}
