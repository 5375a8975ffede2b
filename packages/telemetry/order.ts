/** The order that a message is about, by the name that every proto gives it. */
export function orderOf(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  if ("orderId" in body && typeof body.orderId === "string" && body.orderId) return body.orderId;
  return "order" in body ? orderOf(body.order) : undefined;
}
