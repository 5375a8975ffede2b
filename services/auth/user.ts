import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Role, RoleSchema, type UserSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";

export interface UserRow {
  user_id: string;
  email: string;
  display_name: string;
  roles: string[];
  created_at: Date;
  verified_at: Date | null;
}

/** One mailbox, one user: what identifies a user is the address without case and outer space. */
export function normaliseEmail(email: string): string {
  return email.trim().toLowerCase();
}

/** What stands for an address where the address itself need not be known. */
export function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

export function toUser(row: UserRow): MessageInitShape<typeof UserSchema> {
  return {
    userId: row.user_id,
    email: row.email,
    displayName: row.display_name,
    roles: rolesOf(row.roles),
    verified: row.verified_at !== null,
    createdAt: timestampFromDate(row.created_at),
  };
}

export function rolesOf(names: string[]): Role[] {
  return names.map((name) => {
    const role = RoleSchema.values.find((value) => value.name === name);
    if (!role) throw new Error(`the database holds a role ${name}, which the API does not know`);
    return role.number as Role; // One of the enum's own values.
  });
}

export function roleNames(roles: readonly Role[]): string[] {
  return [...roles]
    .sort((a, b) => a - b)
    .map((role) => {
      const name = RoleSchema.value[role]?.name;
      if (!name) throw new Error(`there is no role ${role}`);
      return name;
    });
}
