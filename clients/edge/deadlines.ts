// fetch with deadlines of ours: a call has one for the whole of its answer, a stream one for each silence. What is late is DEADLINE_EXCEEDED.
import { Code, ConnectError } from "@connectrpc/connect";

export interface Deadlines {
  callMs: number;
  silenceMs: number;
}

export function fetchWithin({ callMs, silenceMs }: Deadlines, options: { keepalive: boolean }): typeof fetch {
  const fetchIt = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const isStream = new Headers(init.headers).get("content-type")?.startsWith("application/connect+") ?? false;
    const watch = startWatch(isStream ? silenceMs : callMs, init.signal);
    try {
      // Bun has a deadline of its own, of five minutes.
      const sent = { ...init, ...options, signal: watch.signal, timeout: false } as BunFetchRequestInit;
      const answer = await fetch(input, sent);
      if (isStream && answer.body) return new Response(heard(answer.body, watch), answer);
      const whole = new Response(await answer.bytes(), answer);
      watch.end();
      return whole;
    } catch (error) {
      throw watch.end() ?? error;
    }
  };
  return fetchIt as typeof fetch; // Bun's has a member preconnect, which no transport asks for.
}

interface Watch {
  signal: AbortSignal;
  /** Something came: the time begins anew. */
  again(): void;
  /** Stops it; the refusal when it was too late already. */
  end(): ConnectError | undefined;
}

function startWatch(ms: number, callers: AbortSignal | null | undefined): Watch {
  const late = new AbortController();
  let refusal: ConnectError | undefined;
  const expire = () => {
    refusal = new ConnectError(`nothing came within ${ms} ms`, Code.DeadlineExceeded);
    late.abort(refusal);
  };
  let timer = setTimeout(expire, ms);
  // Who has hung up waits for nothing more.
  callers?.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return {
    signal: callers ? AbortSignal.any([callers, late.signal]) : late.signal,
    again() {
      clearTimeout(timer);
      timer = setTimeout(expire, ms);
    },
    end() {
      clearTimeout(timer);
      return refusal;
    },
  };
}

function heard(body: ReadableStream<Uint8Array>, watch: Watch): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          watch.end();
          controller.close();
        } else {
          watch.again();
          controller.enqueue(value);
        }
      } catch (error) {
        controller.error(watch.end() ?? error);
      }
    },
    async cancel(reason) {
      watch.end();
      await reader.cancel(reason);
    },
  });
}
