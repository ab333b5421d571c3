/**
 * A call of the broker: one request, its answer as JSON, its refusal as a HalfmqError, sent again while that can help. How a
 * request travels is a transport's matter. It never gives a repeated POST another key.
 */
import { type Clock, pause, reasonOf } from "./clock.ts";
import { errorOfAnswer, HalfmqError } from "./error.ts";
import { nextDelayMs, type RetryPolicy } from "./retry.ts";

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
  /** In its place once an attempt may have been done. */
  readonly jsonAgain?: unknown;
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

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** One way to the broker. What it throws is trouble on the way; a refusal is an answer. */
export interface Transport {
  /** Where the broker is, for people. */
  readonly place: string;
  /** One request and the whole of its answer. */
  readonly attempt: (call: Call, signal: AbortSignal) => Promise<RawAnswer>;
  /** The open answer of an endless one. */
  readonly open: (call: Call, signal: AbortSignal, accept: string) => Promise<Response>;
  /** Absent: it carries no WebSockets. */
  readonly socket?: (path: string) => SocketAddress;
}

export interface SocketAddress {
  readonly url: string;
  readonly protocols: readonly string[];
}

export interface HttpSettings {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
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
        const isAgain = mayBeDone && call.jsonAgain !== undefined;
        const raw = await this.#attempt(isAgain ? { ...call, json: call.jsonAgain } : call);
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
    const { transport } = this.#settings;
    const signal = call.signal ?? new AbortController().signal;
    try {
      const response = await transport.open(call, signal, accept);
      if (response.ok) return response;
      const { status, headers } = response;
      throw errorOfAnswer({ status, headers, text: await response.text() }, 1, this.clock.now());
    } catch (error) {
      throw this.#asError(error, call, 1, false);
    }
  }

  async #attempt(call: Call): Promise<RawAnswer> {
    call.signal?.throwIfAborted();
    const { transport, timeoutMs } = this.#settings;
    const controller = new AbortController();
    const allMs = timeoutMs + (call.waitMs ?? 0);
    const cancel = this.clock.after(allMs, () => {
      const detail = `no answer within ${allMs} ms`;
      controller.abort(new HalfmqError({ code: "timeout", detail, retryable: true }));
    });
    const onAbort = (): void => controller.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await transport.attempt(call, controller.signal);
    } catch (error) {
      throw controller.signal.aborted ? reasonOf(controller.signal) : error;
    } finally {
      cancel();
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Where a WebSocket goes, and the subprotocols that show who asks. Throws a TypeError over a binding, which has none. */
  socket(path: string): SocketAddress {
    const address = this.#settings.transport.socket?.(path);
    if (address === undefined) throw new TypeError("a stream needs a client with a URL");
    return address;
  }

  /** What was thrown, as what the caller shall see: a HalfmqError, or the reason of its own signal. */
  #asError(error: unknown, call: Call, attempts: number, wasLost: boolean): Error {
    if (call.signal?.aborted === true) return reasonOf(call.signal);
    if (error instanceof HalfmqError) {
      return error.with({ attempts, mayBeDone: wasLost || error.mayBeDone });
    }
    const detail = `the broker at ${this.#settings.transport.place} cannot be reached: ${String(error)}`;
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
