import { describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { describeService } from "../../tests/kit/fake-service.ts";
import { Role } from "../api/gen/bodega/auth/v1/auth_pb.ts";
import { Access } from "../api/gen/bodega/type/v1/access_pb.ts";
import type { Verifier } from "./caller.ts";
import { identify } from "./caller.ts";
import { unauthenticated } from "./errors.ts";

const [browse, order] = describeService([
  { name: "Browse", access: Access.ANYONE },
  { name: "Order", access: Access.SIGNED_IN },
]).methods;
if (!browse || !order) throw new Error("expected the two methods just described");

const verifier: Verifier = {
  async verify(token) {
    if (token === "unheard") throw new Error("the keys cannot be fetched");
    if (token !== "good") throw unauthenticated("the access token is not valid: it has expired");
    return { userId: "ann", roles: [Role.ADMIN], expiresAt: new Date(8.64e15), fromAuth: true };
  },
};
const headersOf = (authorization?: string) => new Headers(authorization === undefined ? {} : { authorization });
const BAD = ["Bearer expired", "Bearer", "Bearer two words", "Basic YW5uOnNlY3JldA==", ""];

describe("an RPC that is for anyone", () => {
  test("takes a bad token for none: nobody calls, and nothing bad is passed on", async () => {
    for (const header of [undefined, ...BAD])
      expect(await identify(verifier, browse, headersOf(header), "203.0.113.1")).toEqual({
        userId: "",
        roles: [],
        admin: false,
        fromAuth: false,
        rpc: browse,
        token: "",
        address: "203.0.113.1",
        network: "203.0.113.1",
      });
  });

  test("knows who shows a good one", async () => {
    expect(await identify(verifier, browse, headersOf("bearer good"))).toMatchObject({ userId: "ann", token: "good" });
  });

  test("does not take a token for bad that nobody could look at", async () => {
    const outcome = await identify(verifier, browse, headersOf("Bearer unheard")).catch((error: unknown) => error);
    expect(outcome).toEqual(new Error("the keys cannot be fetched"));
  });
});

test("every other RPC refuses a bad token, and says what is wrong with it", async () => {
  for (const header of BAD) {
    const outcome = await identify(verifier, order, headersOf(header)).catch(ConnectError.from);
    expect(outcome).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: expect.stringMatching(/is not (?:valid: it has expired|of the form: Bearer <token>)$/),
    });
  }
});
