// Java programs by their Maven coordinates, copied with all they need into one folder of the cache.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, must } from "../command.ts";
import { find } from "./find.ts";
import type { Need } from "./server.ts";

const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

export const JAVA: Need = {
  name: "java",
  found: () => find("java") !== undefined,
  apt: ["default-jre-headless"],
  brew: "openjdk",
};
export const MAVEN: Need = { name: "mvn", found: () => find("mvn") !== undefined, apt: ["maven"], brew: "maven" };

/** Its logging comes with the jars, its settings from the folder it runs in; what it prints becomes our log. */
export const LOG4J = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4";
export const LOG4J_SETTINGS = `appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{ISO8601} %p %c{1} - %m%n
rootLogger.level=INFO
rootLogger.appenderRef.c.ref=C
`;

export function jarsFolder(name: string): string {
  return join(cacheFolder(), name);
}

/** The folder appears whole or not at all. `leftOut` names jars by how they begin. */
export function jars(name: string, coordinates: string[], leftOut: string[] = []): Need {
  const folder = jarsFolder(name);
  return {
    name: `the jars of ${coordinates[0]}`,
    found: () => existsSync(folder),
    async build() {
      const work = join(cacheFolder(), `maven.${process.pid}`);
      mkdirSync(work, { recursive: true });
      try {
        writeFileSync(join(work, "pom.xml"), pom(coordinates));
        const options = [`-DoutputDirectory=${join(work, "jars")}`, "-DincludeScope=runtime"];
        await must([find("mvn") ?? "mvn", "-q", "-B", "-f", join(work, "pom.xml"), COPY, ...options]);
        for (const jar of new Bun.Glob("*.jar").scanSync(join(work, "jars"))) {
          if (leftOut.some((start) => jar.startsWith(start))) rmSync(join(work, "jars", jar));
        }
        mkdirSync(dirname(folder), { recursive: true });
        renameSync(join(work, "jars"), folder);
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

export function pom(coordinates: string[]): string {
  const dependencies = coordinates.map((coordinate) => {
    const [group, artifact, version] = coordinate.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>bodega</groupId><artifactId>servers</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
${dependencies.join("\n")}
</dependencies></project>
`;
}
