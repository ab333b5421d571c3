/**
 * The way to the broker: one request, its answer as JSON, its refusal as a HalfmqError, sent again while that can help.
 * It follows no redirect, so that the key never reaches another host, and it never gives a repeated POST another key.
 */
import { type Clock, pause, reasonOf } from "./clock.ts";
import { errorOfAnswer, HalfmqError } from "./error.ts";
import { toBase64 } from "./base64.ts";
import { nextDelayMs, type RetryPolicy } from "./retry.ts";

/** What the client hands to `fetch`. */
export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
  readonly redirect: "manual";
}

/** The part of `fetch` that the client uses. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

/** What any call may be told beside its own arguments. */
export interface CallOptions {
  /** Gives the call up: it rejects with the signal's reason. What was sent already may still be done. */
  readonly signal?: AbortSignal;
}

/** What a call that is made once, however often it is sent, may be told. */
export interface WriteOptions extends CallOptions {
  /**
   * The `Idempotency-Key` of the call, 1–128 characters. Give one of your own (an order's number, say) to make the call safe
   * across a restart of your process as well; the broker remembers it for at least ten minutes.
   * The same key with other contents is refused: `idempotency_key_reused`. Default: a new random one for each call.
   */
  readonly idempotencyKey?: string;
  /** W3C trace context that travels with the messages. Default none. */
  readonly traceparent?: string;
}

export interface Call extends WriteOptions {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Encoded, with its query string. */
  readonly path: string;
  /** Anything that JSON can say; absent: no body. */
  readonly json?: unknown;
  /** A body that is JSON text already; goes before `json`. */
  readonly text?: string;
  /** How long the broker may hold the answer back. */
  readonly waitMs?: number;
  /** Beside those of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** False for the rare request that does more when it comes twice: then it is sent again only after a plain 429. */
  readonly repeatable?: boolean;
}

export interface Answer<T> {
  readonly value: T;
  /** As it came: `JSON.parse` rounds large numbers. */
  readonly text: string;
}

export interface HttpSettings {
  /** Without a slash at its end. */
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
}

interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export class Http {
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly #settings: HttpSettings;

  constructor(settings: HttpSettings) {
    this.#settings = settings;
    this.clock = settings.clock;
    this.retry = settings.retry;
  }

  /** The answer's JSON. Rejects with a HalfmqError, or with the signal's reason. */
  async call<T>(call: Call): Promise<T> {
    return (await this.answer<T>(call)).value;
  }

  /** The answer's JSON beside its text. */
  async answer<T>(call: Call): Promise<Answer<T>> {
    const startedAt = this.clock.now();
    let mayBeDone = false;
    for (let attempts = 1; ; attempts++) {
      try {
        const raw = await this.#attempt(call);
        if (raw.status >= 200 && raw.status < 300) return parse<T>(raw, attempts);
        throw errorOfAnswer(raw, attempts, this.clock.now());
      } catch (error) {
        const failure = this.#asError(error, call, attempts, mayBeDone);
        mayBeDone = failure instanceof HalfmqError && failure.mayBeDone;
        const elapsedMs = this.clock.now() - startedAt;
        const delayMs = this.#delayAfter(failure, call, elapsedMs);
        if (delayMs === undefined) throw failure;
        await pause(this.clock, delayMs, call.signal);
      }
    }
  }

  /** The open answer of an endless one (Server-Sent Events). Its caller reads it and sees to the retries. */
  async open(call: Call, accept: string): Promise<Response> {
    const { fetch } = this.#settings;
    const signal = call.signal ?? new AbortController().signal;
    try {
      const response = await fetch(this.#url(call), this.#init(call, signal, accept));
      if (response.ok) return response;
      const { status, headers } = response;
      throw errorOfAnswer({ status, headers, text: await response.text() }, 1, this.clock.now());
    } catch (error) {
      throw this.#asError(error, call, 1, false);
    }
  }

  async #attempt(call: Call): Promise<RawAnswer> {
    call.signal?.throwIfAborted();
    const { fetch, timeoutMs } = this.#settings;
    const controller = new AbortController();
    const allMs = timeoutMs + (call.waitMs ?? 0);
    const cancel = this.clock.after(allMs, () => {
      const detail = `no answer within ${allMs} ms`;
      controller.abort(new HalfmqError({ code: "timeout", detail, retryable: true }));
    });
    const onAbort = (): void => controller.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const response = await fetch(this.#url(call), this.#init(call, controller.signal));
      // The body is part of the attempt: an answer that breaks off is none.
      return { status: response.status, headers: response.headers, text: await response.text() };
    } catch (error) {
      throw controller.signal.aborted ? reasonOf(controller.signal) : error;
    } finally {
      cancel();
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Where a WebSocket goes, and the subprotocols that show the key: browsers cannot set headers. */
  socket(path: string): { readonly url: string; readonly protocols: readonly string[] } {
    const { base, headers } = this.#settings;
    const key = (headers["authorization"] ?? "").replace(/^Bearer /u, "");
    const namespace = headers["halfmq-namespace"];
    const text = toBase64(new TextEncoder().encode(key));
    const url = `${base.replace(/^http/u, "ws")}${path}`;
    const shown = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const protocols = ["halfmq", `halfmq.bearer.${shown}`];
    if (namespace !== undefined) protocols.push(`halfmq.namespace.${namespace}`);
    return { url, protocols };
  }

  #url(call: Call): string {
    return this.#settings.base + call.path;
  }

  #init(call: Call, signal: AbortSignal, accept = "application/json"): FetchInit {
    const text = call.text ?? (call.json === undefined ? undefined : JSON.stringify(call.json));
    const headers: Record<string, string> = { ...this.#settings.headers, ...call.headers, accept };
    if (text !== undefined) headers["content-type"] = "application/json";
    if (call.idempotencyKey !== undefined) headers["idempotency-key"] = call.idempotencyKey;
    if (call.traceparent !== undefined) headers["traceparent"] = call.traceparent;
    const init = { method: call.method, headers, signal, redirect: "manual" } as const;
    return text === undefined ? init : { ...init, body: text };
  }

  /** What was thrown, as what the caller shall see: a HalfmqError, or the reason of its own signal. */
  #asError(error: unknown, call: Call, attempts: number, wasLost: boolean): Error {
    if (call.signal?.aborted === true) return reasonOf(call.signal);
    if (error instanceof HalfmqError) {
      return error.with({ attempts, mayBeDone: wasLost || error.mayBeDone });
    }
    const detail = `the broker at ${this.#settings.base} cannot be reached: ${String(error)}`;
    return new HalfmqError({
      code: "network_error",
      detail,
      retryable: true,
      attempts,
      cause: error,
    });
  }

  #delayAfter(failure: Error, call: Call, elapsedMs: number): number | undefined {
    if (!(failure instanceof HalfmqError) || !failure.retryable) return undefined;
    if (call.repeatable === false && failure.status !== 429) return undefined;
    const { attempts, retryAfterMs } = failure;
    const random = this.clock.random();
    return nextDelayMs(this.retry, { attempts, elapsedMs, retryAfterMs, random });
  }
}

function parse<T>(raw: RawAnswer, attempts: number): Answer<T> {
  try {
    const value = (raw.text === "" ? {} : JSON.parse(raw.text)) as T;
    return { value, text: raw.text };
  } catch (cause) {
    throw new HalfmqError({
      code: "unexpected_answer",
      detail: `the answer has status ${raw.status} and is not JSON`,
      status: raw.status,
      requestId: raw.headers.get("x-request-id") ?? undefined,
      attempts,
      cause,
    });
  }
}
