// What the servers need of the machine: named with the command that brings it, or brought.
import { find } from "./find.ts";
import { kindOf } from "./kinds.ts";
import type { Say } from "./life.ts";
import type { KindName } from "./ports.ts";
import type { Need } from "./server.ts";

export function missing(kinds: KindName[]): Need[] {
  return [...new Set(kinds.flatMap((kind) => kindOf(kind).needs))].filter((need) => !need.found());
}

/** Why servers of these kinds cannot be run here; undefined when they can. What can be built without an installation is no reason. */
export function notInstalled(kinds: KindName[]): string | undefined {
  const needs = missing(kinds).filter(({ build }) => !build);
  if (needs.length === 0) return undefined;
  const how = ({ apt = [] }: Need) => (apt.length > 0 ? `: apt-get install ${apt.join(" ")}` : "");
  return needs.map((need) => `${need.name} is not installed${how(need)}`).join(", ");
}

/** One sentence per way of getting it. */
export function advice(needs: Need[]): string {
  const packages = aptOf(needs);
  const brews = [...new Set(needs.flatMap(({ brew }) => brew ?? []))];
  const builds = needs.flatMap(({ name, build }) => (build ? name : []));
  const ways = [
    packages.length > 0 && `sudo apt-get install --no-install-recommends ${packages.join(" ")}   (Debian, Ubuntu)`,
    brews.length > 0 && `brew install ${brews.join(" ")}   (macOS)`,
    `bun run servers up --install   (does it: ${[...packages, ...builds].join(", ")})`,
  ];
  return `Missing: ${needs.map(({ name }) => name).join(", ")}. Either of:\n${ways
    .filter(Boolean)
    .map((way) => `  ${way}`)
    .join("\n")}`;
}

export async function install(needs: Need[], say: Say): Promise<void> {
  const packages = aptOf(needs);
  if (packages.length > 0) {
    if (!find("apt-get")) throw new Error(`Only apt-get is known here. ${advice(needs)}`);
    say(`installing ${packages.join(" ")}`);
    await shell(aptScript(packages));
  }
  for (const need of needs) {
    if (!need.build) continue;
    say(`fetching ${need.name}`);
    await need.build();
  }
  const still = needs.filter((need) => !need.found());
  if (still.length > 0) throw new Error(`installed, and still not found: ${still.map(({ name }) => name).join(", ")}`);
}

/** Debian starts every daemon it installs, on its default port, unless a policy says no. */
export function aptScript(packages: string[]): string {
  const apt = "DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=180";
  return `set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod 755 $policy
fi
said=0
$policy any start > /dev/null || said=$?
[ $said = 101 ] || { echo "$policy lets daemons start (it says $said, not 101): nothing was installed" >&2; exit 1; }
${apt} update
${apt} install -y --no-install-recommends ${packages.join(" ")}
`;
}

async function shell(script: string): Promise<void> {
  const sudo = process.getuid?.() === 0 ? [] : ["sudo"];
  // Its progress is ours; stdout stays free for what a command prints.
  const child = Bun.spawn([...sudo, "sh", "-c", `exec 1>&2\n${script}`], { stdio: ["inherit", "ignore", "inherit"] });
  const code = await child.exited;
  if (code !== 0) throw new Error(`the installation ended with ${code} (see above)`);
}

function aptOf(needs: Need[]): string[] {
  return [...new Set(needs.flatMap(({ apt }) => apt ?? []))];
}
