import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "../api/gen/bodega/auth/v1/auth_pb.ts";
import { Access, access } from "../api/gen/bodega/type/v1/access_pb.ts";
import { networkOf } from "./address.ts";
import { refused, unauthenticated } from "./errors.ts";

/** Who calls, and what. */
export interface Caller {
  /** Empty when nobody is signed in. */
  userId: string;
  roles: readonly Role[];
  admin: boolean;
  rpc: DescMethod;
  /** The access token as it came, to call another service on the caller's behalf. */
  token: string;
  /** The client's network address as the edge saw it; empty for calls between services. */
  address: string;
  /** The network it is in: what throttles count by. */
  network: string;
  /** Whether auth signed the token: a user's, and not a service's own. */
  fromAuth: boolean;
}

/** What comes with a call besides its message, and what goes back besides the answer. */
export interface CallContext {
  headers: Headers;
  signal: AbortSignal;
  /** What a handler sets here is sent with its answer; left out by wires that have no place for it. */
  answer?: { headers: Headers; trailers: Headers };
}

export interface Claims {
  userId: string;
  roles: Role[];
  expiresAt: Date;
  /** Signed by auth, which therefore knows what the user may today. */
  fromAuth: boolean;
}

export interface Verifier {
  /** Refuses with UNAUTHENTICATED what is not a valid access token of this platform. */
  verify(token: string): Promise<Claims>;
}

/** Whose rows the caller may see: of one user, or, for admins and the platform's own services, null: everybody's. */
export function ownerOf({ userId, roles, admin }: Caller): string | null {
  return admin || roles.includes(Role.SERVICE) ? null : userId;
}

/** The caller of a request, by its bearer token and the edge's word on where it comes from. */
export async function identify(
  verifier: Verifier,
  rpc: DescMethod,
  headers: Headers,
  address = "",
  network = networkOf(address),
): Promise<Caller> {
  const shown = await tokenOf(verifier, rpc, headers);
  const { userId = "", roles = [], fromAuth = false } = shown?.claims ?? {};
  return withRoles({ userId, roles, admin: false, rpc, token: shown?.token ?? "", address, network, fromAuth }, roles);
}

/**
 * The access token of a request and what it claims; undefined when there is none. One that is not good is refused, but by an RPC that is for anyone it is
 * taken for none: docs/decisions/0011-a-bad-token-is-no-token-where-none-is-needed.md
 */
export async function tokenOf(verifier: Verifier, rpc: DescMethod, headers: Headers): Promise<Shown | undefined> {
  try {
    const token = bearer(headers);
    return token ? { token, claims: await verifier.verify(token) } : undefined;
  } catch (error) {
    const notGood = error instanceof ConnectError && error.code === Code.Unauthenticated;
    if (notGood && ruleOf(rpc) === Access.ANYONE) return undefined;
    throw error;
  }
}

interface Shown {
  token: string;
  claims: Claims;
}

/** Refuses who may not call the RPC at all. What belongs to whom is decided in the handler's SQL. */
export function authorize(caller: Caller): void {
  const rule = ruleOf(caller.rpc);
  if (rule === Access.ANYONE) return;
  if (!caller.userId) throw unauthenticated(`${caller.rpc.name} needs an access token: Authorization: Bearer <token>`);
  if (!allowed(rule, caller)) {
    throw refused(Code.PermissionDenied, "PERMISSION_DENIED", `${caller.rpc.name} is for ${AUDIENCE[rule]}`);
  }
}

export function withRoles(caller: Caller, roles: readonly Role[]): Caller {
  return { ...caller, roles, admin: roles.includes(Role.ADMIN) };
}

const POWERFUL: Role[] = [Role.ADMIN, Role.KITCHEN];
const RULES_OF_POWER: Access[] = [Access.ADMIN, Access.KITCHEN, Access.OWNER];

/**
 * Whether the call changes something, and is allowed by a role that may have been taken away since the token was signed. Such calls ask for the roles of today. Reads go
 * by the token: with it they end in ten minutes, but what was changed stays changed.
 */
export function usesPower({ rpc, roles, fromAuth }: Caller): boolean {
  const acts = rpc.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return fromAuth && acts && RULES_OF_POWER.includes(ruleOf(rpc)) && POWERFUL.some((role) => roles.includes(role));
}

const rules = new Map<DescMethod, Access>();

/** Whether an RPC answers strangers. */
export function isForAnyone(rpc: DescMethod): boolean {
  return ruleOf(rpc) === Access.ANYONE;
}

/** Each method's rule is decoded once: decoding an option costs more than the rest of the check. */
function ruleOf(rpc: DescMethod): Access {
  const known = rules.get(rpc);
  if (known !== undefined) return known;
  const rule = hasOption(rpc, access) ? getOption(rpc, access) : Access.UNSPECIFIED;
  rules.set(rpc, rule);
  return rule;
}

function allowed(rule: Access, { roles, admin }: Caller): boolean {
  switch (rule) {
    case Access.SIGNED_IN:
    case Access.OWNER:
      return true;
    case Access.KITCHEN:
      return admin || roles.includes(Role.KITCHEN);
    case Access.ADMIN:
      return admin;
    case Access.SERVICE:
      return roles.includes(Role.SERVICE);
    default:
      return false;
  }
}

const AUDIENCE: Record<Access, string> = {
  [Access.UNSPECIFIED]: "nobody: it has no access rule",
  [Access.ANYONE]: "anyone",
  [Access.SIGNED_IN]: "signed-in users",
  [Access.OWNER]: "its owner",
  [Access.KITCHEN]: "the kitchen",
  [Access.ADMIN]: "admins",
  [Access.SERVICE]: "services",
};

const BEARER = /^Bearer +([\w.~+/=-]+)$/i;

export function bearer(headers: Headers): string {
  const header = headers.get("authorization");
  if (header === null) return "";
  const token = BEARER.exec(header)?.[1];
  if (!token) throw unauthenticated("the Authorization header is not of the form: Bearer <token>");
  return token;
}
