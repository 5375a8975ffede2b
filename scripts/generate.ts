// bun run generate: TypeScript from the protos. With --into <folder> the tree stays as it is (bun run check compares).
import { parseArgs } from "node:util";
import { must } from "./command.ts";
import { ROOT } from "./tree.ts";

/** Every generator run: its template, and the protos it reads. All of buf's own paths are relative to the root. */
const RUNS = [
  { template: "buf.gen.yaml", input: "." },
  { template: "scripts/conformance/buf.gen.yaml", input: "scripts/conformance/proto" },
];

export const GENERATED = ["packages/api/gen", "scripts/conformance/gen"];

export async function generate(into: string = ROOT): Promise<void> {
  await Promise.all(
    RUNS.map(({ template, input }) => must(["buf", "generate", input, "--template", template, "-o", into])),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { into: { type: "string" } } });
  await generate(values.into);
  console.log(`generated ${GENERATED.join(" and ")}`);
}
