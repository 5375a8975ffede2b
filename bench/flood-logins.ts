// The process that floods with logins: one network, each from another of its addresses, so many under way at once. Says how they were answered.
const [url = "", ms = "3000"] = process.argv.slice(2);
if (new URL(url).hostname !== "127.0.0.1") throw new Error(`a flood goes to loopback only, found ${url}`);
const AT_ONCE = 250;
const answers: Record<string, number> = {};
const over = performance.now() + Number(ms);
let sent = 0;

async function login(): Promise<void> {
  while (performance.now() < over) {
    const address = `2001:db8:0:7::${(++sent).toString(16)}`;
    const answer = await fetch(`${url}/v1/sessions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-forwarded-for": address },
      body: JSON.stringify({ email: `nobody${sent}@bench.test`, password: "a wrong password" }),
      signal: AbortSignal.timeout(Math.max(1, over - performance.now())),
    }).then(
      async (each) => {
        await each.bytes();
        return String(each.status);
      },
      () => "none",
    );
    answers[answer] = (answers[answer] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, login));
console.log(JSON.stringify(answers));
process.exit(0);
