import { hostname } from "node:os";

/** Names this process among those that answer for the same service. In containers every process may be number 1: the host's name tells them apart. */
export const INSTANCE = `${hostname()}/${process.pid}`;
