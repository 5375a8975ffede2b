// Seed 0's load test, as its author wrote it, against POST /v1/sums: k6 run -e BASE_URL=http://127.0.0.1:8080 tests/seeds/k6-http.js
// Run it with RATE_LIMITS=off: fifteen users come from one address here.
import { check, sleep } from "k6";
import http from "k6/http";

const BASE_URL = __ENV.BASE_URL || "http://127.0.0.1:8080";

export const options = {
  scenarios: {
    constant: { executor: "constant-vus", vus: 5, duration: "10s" },
    ramp: {
      executor: "ramping-vus",
      startVUs: 0,
      startTime: "10s",
      stages: [
        { duration: "30s", target: 15 },
        { duration: "90s", target: 15 },
        { duration: "30s", target: 0 },
      ],
    },
  },
  thresholds: {
    checks: ["rate>0.95"],
    http_req_duration: ["p(95)<600"],
  },
};

export default function () {
  const [a, b] = [random(), random()];
  const body = JSON.stringify({ a, b });
  const res = http.post(`${BASE_URL}/v1/sums`, body, { headers: { "content-type": "application/json" } });
  check(res, {
    "is answered": ({ status }) => status === 200,
    // 64-bit numbers are strings in protobuf's JSON.
    "is the sum": (answer) => answer.json("sum") === String(a + b),
    "names its instance": (answer) => answer.json("instance") !== "",
  });
  sleep(0.1);
}

function random() {
  return Math.floor(Math.random() * 1_000_000);
}
