#!/usr/bin/env bun
import { argv, env, stderr, stdin, stdout } from "node:process";
import { Exit } from "./exit.ts";
import { run } from "./program.ts";

// Who reads may have read enough, as `head` has: nobody is there to be told more.
for (const stream of [stdout, stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(Exit.DONE);
  });

process.exitCode = await run(argv.slice(2), { env, stdin, stdout, stderr });
