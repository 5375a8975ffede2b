import { expect, test } from "bun:test";
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromJson,
  getOption,
  hasOption,
  type JsonValue,
  setExtension,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { allServices } from "../../../tests/kit/edge.ts";
import { SetRolesRequestSchema } from "../../api/gen/bodega/auth/v1/auth_pb.ts";
import { PlaceOrderRequestSchema } from "../../api/gen/bodega/order/v1/order_pb.ts";
import { CreateProductRequestSchema } from "../../api/gen/bodega/product/v1/product_pb.ts";
import { FieldRulesSchema, field as rulesOf } from "../../api/gen/buf/validate/validate_pb.ts";
import { findTooLong } from "./list-bounds.ts";

test("a list is too long from one more than its proto allows", () => {
  const lines = (length: number) => create(PlaceOrderRequestSchema, { lines: Array.from({ length }, () => ({})) });
  expect(findTooLong(PlaceOrderRequestSchema, lines(100))).toBeUndefined();
  expect(findTooLong(PlaceOrderRequestSchema, lines(101))).toEqual({ field: "lines", itemsMax: 100 });
  const roles = create(SetRolesRequestSchema, { roles: [1, 1, 1, 1, 1] });
  expect(findTooLong(SetRolesRequestSchema, roles)).toEqual({ field: "roles", itemsMax: 4 });
  expect(findTooLong(CreateProductRequestSchema, create(CreateProductRequestSchema))).toBeUndefined();
});

test("a list in a message in a list is found, with its whole path", () => {
  const menu = describeMenu();
  const courses = [{ dishes: ["soup"] }, { dishes: ["fish", "meat"] }, { dishes: ["a", "b", "c"] }];
  const read = (json: JsonValue) => findTooLong(menu, fromJson(menu, json));
  expect(read({ courses: courses.slice(0, 2) })).toBeUndefined();
  expect(read({ courses })).toEqual({ field: "courses[2].dishes", itemsMax: 2 });
  expect(read({ menu: { menu: { courses } } })).toEqual({ field: "menu.menu.courses[2].dishes", itemsMax: 2 });
  expect(read({ courses: [...courses, ...courses] })).toEqual({ field: "courses", itemsMax: 3 });
});

/** A menu has up to 3 courses of up to 2 dishes, and perhaps a menu of its own. */
function describeMenu(): DescMessage {
  const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;
  const list = (maxItems: bigint) => {
    const options = create(FieldOptionsSchema);
    setExtension(options, rulesOf, create(FieldRulesSchema, { type: { case: "repeated", value: { maxItems } } }));
    return { number: 1, label: REPEATED, options };
  };
  const { STRING, MESSAGE } = FieldDescriptorProto_Type;
  const courses = { ...list(3n), name: "courses", type: MESSAGE, typeName: ".Course" };
  const menu = { number: 2, label: OPTIONAL, name: "menu", type: MESSAGE, typeName: ".Menu" };
  const dishes = { ...list(2n), name: "dishes", type: STRING };
  const messageType = [
    { name: "Menu", field: [courses, menu] },
    { name: "Course", field: [dishes] },
  ];
  const file = create(FileDescriptorProtoSchema, { name: "menu.proto", syntax: "proto3", messageType });
  const found = createFileRegistry(file, () => undefined).getMessage("Menu");
  if (!found) throw new Error("expected a menu in its own file");
  return found;
}

test("every list in a request has a bound in its proto", async () => {
  const unbounded: string[] = [];
  const visit = (desc: DescMessage, seen: DescMessage[]) => {
    for (const field of desc.fields) {
      const rules = hasOption(field, rulesOf) ? getOption(field, rulesOf).type : undefined;
      if (field.fieldKind === "list" && !(rules?.case === "repeated" && rules.value.maxItems > 0n))
        unbounded.push(`${desc.typeName}.${field.name}`);
      if (field.message && !seen.includes(field.message)) visit(field.message, [...seen, field.message]);
    }
  };
  const inputs = (await allServices()).flatMap(({ methods }) => methods.map(({ input }) => input));
  for (const input of inputs) visit(input, [input]);
  expect(unbounded).toEqual([]);
});
