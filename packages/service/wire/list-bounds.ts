import { type DescField, type DescMessage, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import { field as rulesOf } from "../../api/gen/buf/validate/validate_pb.ts";

export interface TooLong {
  /** Path of the list, such as lines. */
  field: string;
  itemsMax: number;
}

interface Plan {
  lists: { field: DescField; itemsMax: number }[];
  /** Fields that hold messages with lists of their own. */
  inside: { field: DescField; message: DescMessage }[];
}

const plans = new WeakMap<DescMessage, Plan>();

/**
 * The first list that has more items than its proto allows. The validator says so too, but only after it has looked at every item: a list of half a
 * million empty ones, which is one MiB, would hold up everybody else for seconds, and be answered with a complaint about each.
 */
export function findTooLong(desc: DescMessage, message: Message): TooLong | undefined {
  const { lists, inside } = planOf(desc);
  for (const { field, itemsMax } of lists)
    if (itemsOf(message, field).length > itemsMax) return { field: field.name, itemsMax };
  for (const { field, message: part } of inside) {
    for (const [at, item] of itemsOf(message, field).entries()) {
      const found = findTooLong(part, item as Message); // A message field holds messages.
      if (found)
        return { ...found, field: `${field.name}${field.fieldKind === "list" ? `[${at}]` : ""}.${found.field}` };
    }
  }
  return undefined;
}

function itemsOf(message: Message, field: DescField): unknown[] {
  const value: unknown = Reflect.get(message, field.localName);
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}

function planOf(desc: DescMessage): Plan {
  const known = plans.get(desc);
  if (known) return known;
  const plan: Plan = { lists: [], inside: [] };
  plans.set(desc, plan); // Before its fields: a message may hold itself.
  for (const field of desc.fields) {
    const itemsMax = itemsMaxOf(field);
    if (itemsMax !== undefined) plan.lists.push({ field, itemsMax });
    if (field.oneof || field.fieldKind === "map" || !field.message) continue;
    const part = planOf(field.message);
    if (part === plan || part.lists.length + part.inside.length > 0)
      plan.inside.push({ field, message: field.message });
  }
  return plan;
}

function itemsMaxOf(field: DescField): number | undefined {
  if (field.fieldKind !== "list" || !hasOption(field, rulesOf)) return undefined;
  const { type } = getOption(field, rulesOf);
  return type.case === "repeated" && type.value.maxItems > 0n ? Number(type.value.maxItems) : undefined;
}
