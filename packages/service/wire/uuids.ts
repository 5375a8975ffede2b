import { type DescField, type DescMessage, getOption, hasOption, type Message, ScalarType } from "@bufbuild/protobuf";
import { type FieldRules, field as rulesOf } from "../../api/gen/buf/validate/validate_pb.ts";

/** Fields that hold UUIDs, and fields that hold messages with such fields, of one message. */
interface Plan {
  uuids: DescField[];
  inside: { field: DescField; message: DescMessage }[];
}

const plans = new WeakMap<DescMessage, Plan>();

/**
 * Writes every UUID of a valid request as ours are written, in lower case, in place: so that two spellings of one id are one key, one watched
 * thing and one caller's request. What is a UUID follows from the rules of the proto.
 */
export function lowerUuids(desc: DescMessage, message: Message): void {
  const { uuids, inside } = planOf(desc);
  for (const { localName } of uuids) {
    const value: unknown = Reflect.get(message, localName);
    if (typeof value === "string") Reflect.set(message, localName, value.toLowerCase());
    if (Array.isArray(value)) for (const [at, id] of value.entries()) value[at] = String(id).toLowerCase();
  }
  for (const { field, message: part } of inside) {
    const value: unknown = Reflect.get(message, field.localName);
    // A message field holds messages.
    for (const item of Array.isArray(value) ? value : value === undefined ? [] : [value])
      lowerUuids(part, item as Message);
  }
}

function planOf(desc: DescMessage): Plan {
  const known = plans.get(desc);
  if (known) return known;
  const plan: Plan = { uuids: [], inside: [] };
  plans.set(desc, plan); // Before its fields: a message may hold itself.
  for (const field of desc.fields) {
    if (holdsUuids(field)) plan.uuids.push(field);
    if (field.oneof || field.fieldKind === "map" || !field.message) continue;
    const part = planOf(field.message);
    if (part === plan || part.uuids.length + part.inside.length > 0)
      plan.inside.push({ field, message: field.message });
  }
  return plan;
}

function holdsUuids(field: DescField): boolean {
  if (field.scalar !== ScalarType.STRING || field.oneof || !hasOption(field, rulesOf)) return false;
  const rules = getOption(field, rulesOf);
  if (field.fieldKind !== "list") return isUuidRule(rules);
  return rules.type.case === "repeated" && isUuidRule(rules.type.value.items);
}

function isUuidRule(rules: FieldRules | undefined): boolean {
  return (
    rules?.type.case === "string" && rules.type.value.wellKnown.case === "uuid" && rules.type.value.wellKnown.value
  );
}
