// What a row of access-table.ts says, and what rows there must be.
import type { DescMethod, DescService, JsonObject } from "@bufbuild/protobuf";
import type { Shop } from "./shop.ts";

export interface Row {
  /** `owner`: of what the request is about; others are told there is no such thing. `service`: not to be had at the edge. */
  who: "anyone" | "signed in" | "owner" | "kitchen" | "admin" | "service";
  /** A request that is good; made anew for every call. */
  request(shop: Shop): JsonObject | Promise<JsonObject>;
  /** The same request about an id that nobody has; missing where the request is about no single thing. */
  nobodys?(shop: Shop): JsonObject;
  /** The reason that even who may call is refused with here: such as for a code that was never mailed. */
  refusal?: string;
  /** Not even admins do this in the owner's place. */
  notForAdmins?: true;
}

const nameOf = ({ parent, name }: DescMethod) => `${parent.name}.${name}`;
const methodIn = (key: string) => key.split(" ")[0] ?? "";

/** What is wrong with the table itself, in sentences: RPCs nobody thought about, and rows about RPCs that are no more. */
export function gaps(services: DescService[], table: Record<string, Row>): string[] {
  const methods = new Set(services.flatMap((service) => service.methods.map(nameOf)));
  const rows = new Set(Object.keys(table).map(methodIn));
  return [
    ...[...methods]
      .filter((name) => !rows.has(name))
      .map((name) => `${name} has no row: say in tests/edge/access-table.ts who may call it`),
    ...[...rows]
      .filter((name) => !methods.has(name))
      .map((name) => `${name} has a row, but no service has such a method`),
  ];
}

export function rowsOf(services: DescService[], table: Record<string, Row>) {
  const methods = new Map(services.flatMap((service) => service.methods.map((method) => [nameOf(method), method])));
  return Object.entries(table).flatMap(([name, row]) => {
    const method = methods.get(methodIn(name));
    return method ? [{ name, method, row }] : [];
  });
}
