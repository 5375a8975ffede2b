import { isUuid } from "../time/ids.ts";
import { invalidField } from "./errors.ts";

/** An id that came in a fact or a job, as PostgreSQL writes it, so that it finds its row in a Map; what is no UUID will never be one, and is parked. */
export function uuid(field: string, id: string): string {
  if (!isUuid(id)) throw invalidField(field, `expected a UUID, found ${JSON.stringify(id)}`);
  return id.toLowerCase();
}
