/** A broker that answers what the test tells it, behind a fake `fetch`. It keeps every request that it saw. */
import { HalfMQ, type HalfMQOptions } from "../../src/client/index.ts";
import type { FetchInit } from "../../src/client/fetch-transport.ts";
import { FakeClock } from "./fake-clock.node.ts";

export interface Seen {
  readonly method: string;
  /** With its query string. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it knows to be there
  readonly json: any;
  readonly at: number;
  readonly init: FetchInit;
}

export interface Reply {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Record<string, string>;
}

export type Answering = (request: Seen) => Reply | Promise<Reply>;

export const URL_OF_BROKER = "http://broker.test";

export class FakeBroker {
  readonly clock = new FakeClock();
  readonly requests: Seen[] = [];
  readonly #routes = new Map<string, Answering>();

  /** Answers a route, its query string apart; a later one replaces an earlier. */
  on(route: string, answering: Answering): this {
    this.#routes.set(route, answering);
    return this;
  }

  /** Answers a route by the given replies one after the other, the last one for ever. An Error is a broken line. */
  script(route: string, ...replies: readonly (Reply | Error)[]): this {
    let next = 0;
    return this.on(route, () => {
      const reply = replies[Math.min(next++, replies.length - 1)] ?? {};
      if (reply instanceof Error) throw reply;
      return reply;
    });
  }

  of(route: string): Seen[] {
    return this.requests.filter((each) => `${each.method} ${pathname(each)}` === route);
  }

  client(options: Partial<HalfMQOptions> = {}): HalfMQ {
    const { clock, fetch } = this;
    return new HalfMQ({ url: URL_OF_BROKER, key: "key", clock, fetch, ...options });
  }

  readonly fetch = async (url: string, init: FetchInit): Promise<Response> => {
    const { method, headers, body: text = "" } = init;
    const path = url.slice(URL_OF_BROKER.length);
    const json: unknown = text === "" ? undefined : JSON.parse(text);
    const seen: Seen = { method, path, headers, text, json, at: this.clock.now(), init };
    this.requests.push(seen);
    init.signal.throwIfAborted();
    const answering = this.#routes.get(`${method} ${pathname(seen)}`);
    if (answering === undefined) throw new Error(`the fake broker has no ${method} ${path}`);
    const reply = await Promise.race([answering(seen), aborted(init.signal)]);
    const { status = 200, headers: replyHeaders = {} } = reply;
    return new Response(reply.text ?? JSON.stringify(reply.json ?? {}), {
      status,
      headers: replyHeaders,
    });
  };
}

/** A refusal as the broker words it. */
export function problem(
  status: number,
  code: string,
  more: Record<string, unknown> & { retryAfter?: string | number | undefined } = {},
): Reply {
  const { retryAfter, ...facts } = more;
  const headers: Record<string, string> = {
    "content-type": "application/problem+json",
    "x-request-id": "request-1",
  };
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  const retryable = status === 429 || status >= 500;
  const detail = `refused with ${code}`;
  return {
    status,
    headers,
    json: { type: "about:blank", title: code, status, detail, code, retryable, ...facts },
  };
}

/** An answer that never comes. */
export const silence = (): Promise<Reply> => new Promise(() => {});

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function pathname(seen: Seen): string {
  return seen.path.split("?")[0] ?? "";
}
