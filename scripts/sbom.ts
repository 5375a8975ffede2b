// bun run sbom [path]: what this version is made of, by bun.lock, as a CycloneDX document (https://cyclonedx.org).
import { join } from "node:path";
import { ROOT } from "./tree.ts";

/** A package in bun.lock: name@version, where from, what it depends on, its digest. */
type Locked = [string, string?, object?, string?];

interface Component {
  type: "library";
  "bom-ref": string;
  name: string;
  version: string;
  purl: string;
  hashes?: { alg: "SHA-512"; content: string }[];
}

if (import.meta.main) {
  const text = await Bun.file(join(ROOT, "bun.lock")).text();
  const { name, version } = await Bun.file(join(ROOT, "package.json")).json();
  const document = `${JSON.stringify(sbomOf(text, { name, version }), null, 2)}\n`;
  const [path] = process.argv.slice(2);
  if (path) await Bun.write(path, document);
  else process.stdout.write(document);
}

/** The same for the same bun.lock: no time and no serial number in it. */
export function sbomOf(lock: string, { name, version }: { name: string; version: string }) {
  const { packages } = Bun.JSONC.parse(lock) as { packages: Record<string, Locked> }; // bun.lock's own form.
  const components = new Map(Object.values(packages).map((each) => [each[0], componentOf(each)]));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "application", "bom-ref": `${name}@${version}`, name, version } },
    components: [...components.values()].toSorted((a, b) => (a["bom-ref"] < b["bom-ref"] ? -1 : 1)),
  };
}

function componentOf([reference, ...rest]: Locked): Component {
  const at = reference.lastIndexOf("@");
  const [name, version] = [reference.slice(0, at), reference.slice(at + 1)];
  const digest = rest.find((part): part is string => typeof part === "string" && part.startsWith("sha512-"));
  return {
    type: "library",
    "bom-ref": reference,
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(digest && {
      hashes: [{ alg: "SHA-512", content: Buffer.from(digest.slice("sha512-".length), "base64").toString("hex") }],
    }),
  };
}
