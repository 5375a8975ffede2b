import { Role } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { Verifier } from "../../../packages/service/caller.ts";
import { unauthenticated } from "../../../packages/service/errors.ts";
import { isServiceName } from "../../../packages/service/wire/tokens.ts";

/** Services speak to each other inside. One of their tokens that comes from outside was stolen, and opens nothing. */
export function forPeople(verifier: Verifier): Verifier {
  return {
    async verify(token) {
      const claims = await verifier.verify(token);
      if (claims.roles.includes(Role.SERVICE) || isServiceName(claims.userId))
        throw unauthenticated("a service's access token is not taken from outside");
      return claims;
    },
  };
}
