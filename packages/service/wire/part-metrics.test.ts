import { expect, test } from "bun:test";
import type { Inspection } from "../../telemetry/inspection.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { showParts } from "./part-metrics.ts";

const slots = (heldBytes: number): Inspection => ({
  found: "1 slot",
  figures: { slots: [{ slot: "relay", kind: "logical", active: heldBytes === 0, heldBytes }] },
  troubles: heldBytes === 0 ? [] : [{ says: "slot relay is not active", fix: "start its reader" }],
});

test("how parts are is shown, asked for now and then; of one that falls silent nothing old", async () => {
  const metrics = createMetrics();
  let nowMs = 0;
  let heldBytes = 0;
  let looks = 0;
  let silent = false;
  const parts = {
    slots: async () => {
      looks += 1;
      return slots(heldBytes);
    },
    locks: async (): Promise<Inspection> => {
      if (silent) throw new Error("no answer");
      return { found: "Redis", figures: { nodes: [{ usedBytes: 7 }], silent: 0, version: "8" }, troubles: [] };
    },
  };
  showParts(parts, metrics, () => nowMs);
  const shown = async () => (await metrics.expose()).body.split("\n").filter((line) => /^bodega_part_/.test(line));
  const well = await shown();
  expect(well.toSorted()).toEqual(
    [
      'bodega_part_answers{part="slots"} 1',
      'bodega_part_answers{part="locks"} 1',
      'bodega_part_troubles{part="slots"} 0',
      'bodega_part_troubles{part="locks"} 0',
      'bodega_part_count{part="slots",of="",figure="slots"} 1',
      'bodega_part_bytes{part="slots",of="relay",figure="heldBytes"} 0',
      'bodega_part_count{part="locks",of="",figure="nodes"} 1',
      'bodega_part_count{part="locks",of="",figure="silent"} 0',
      'bodega_part_bytes{part="locks",of="0",figure="usedBytes"} 7',
    ].toSorted(),
  );
  heldBytes = 2_000;
  silent = true;
  expect(await shown()).toEqual(well);
  expect(looks).toBe(1);
  nowMs = 10_000;
  expect((await shown()).toSorted()).toEqual(
    [
      'bodega_part_answers{part="slots"} 1',
      'bodega_part_answers{part="locks"} 0',
      'bodega_part_troubles{part="slots"} 1',
      'bodega_part_troubles{part="locks"} 0',
      'bodega_part_count{part="slots",of="",figure="slots"} 1',
      'bodega_part_bytes{part="slots",of="relay",figure="heldBytes"} 2000',
    ].toSorted(),
  );
  silent = false;
  expect(await shown()).toContain('bodega_part_answers{part="locks"} 1');
  expect(looks).toBe(2);
});
