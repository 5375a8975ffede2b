import { expect, test } from "bun:test";
import { createEdge } from "../../tests/kit/edge.ts";
import { readConfig } from "./config.ts";

test("whom to tell of a way in is at /.well-known/security.txt, where somebody is named", async () => {
  const ask = async (securityContact: string) => {
    const { gateway } = await createEdge({ config: { securityContact } });
    return gateway.fetch(new Request("http://edge/.well-known/security.txt"));
  };
  const named = await ask("mailto:security@shop.example");
  expect(named.headers.get("content-type")).toStartWith("text/plain");
  expect(await named.text()).toMatch(/^Contact: mailto:security@shop\.example\nExpires: 2026-02-04T08:00:00\.000Z\n/);
  expect((await ask("")).status).toBe(404);
});

test.each(["security@shop.example", "http://shop.example", "mailto:a@b\nEncryption: none"])(
  "%j is no contact",
  (contact) => {
    expect(() => readConfig({ SECURITY_CONTACT: contact })).toThrow("SECURITY_CONTACT must be of the form");
  },
);
