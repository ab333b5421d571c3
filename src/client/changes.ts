/**
 * `GET /v1/changes` as an async iterator: Server-Sent Events, taken up again with `Last-Event-ID` when the line breaks.
 * It never keeps more than one event.
 */
import { type Clock, pause } from "./clock.ts";
import { LIMITS } from "../protocol/limits.ts";
import { HalfmqError, isRetryable } from "./error.ts";
import type { CallOptions, Http } from "./http.ts";
import { backoffMs } from "./retry.ts";

/** Longer than the broker is ever silent. */
const SILENCE_MS_MAX = 2 * LIMITS.waitMsMax + 5_000;

/** Something changed: a topic, a group, a producer group or a route. */
export interface Change<T = unknown> {
  /** The event's name; "message" when it has none. */
  readonly event: string;
  /** The event's JSON. */
  readonly data: T;
  readonly id: string | undefined;
}

/** How changes are followed. */
export interface ChangesOptions extends CallOptions {
  /** Hears of each break of the line before it is taken up again. Default: nothing. */
  readonly onError?: (error: unknown) => void;
}

/** Endless until the loop is left or the signal aborted. Throws what is not passing: `unauthenticated`, `forbidden`… */
export async function* changes<T>(
  http: Http,
  options: ChangesOptions = {},
): AsyncGenerator<Change<T>, void, undefined> {
  let lastId: string | undefined;
  const isAborted = (): boolean => options.signal?.aborted === true;
  for (let failures = 0; !isAborted();) {
    try {
      for await (const change of oneLine<T>(http, lastId, options.signal)) {
        failures = 0;
        lastId = change.id ?? lastId;
        yield change;
      }
      failures++;
    } catch (error) {
      if (isAborted()) return;
      if (!isRetryable(error)) throw error;
      options.onError?.(error);
      failures++;
    }
    const delayMs = backoffMs(http.retry, failures, http.clock.random());
    await pause(http.clock, delayMs, options.signal).catch(() => {});
  }
}

async function* oneLine<T>(
  http: Http,
  lastId: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Change<T>, void, undefined> {
  const controller = new AbortController();
  const silence = new Silence(http.clock, () => {
    const detail = `the stream of changes was silent for ${SILENCE_MS_MAX} ms`;
    controller.abort(new HalfmqError({ code: "timeout", detail, retryable: true }));
  });
  const onAbort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    const call = { method: "GET", path: "/v1/changes", signal: controller.signal } as const;
    const response = await http.open(
      lastId === undefined ? call : { ...call, headers: { "last-event-id": lastId } },
      "text/event-stream",
    );
    for await (const block of blocks(response, () => silence.broken())) {
      const change = parseBlock<T>(block);
      if (change !== undefined) yield change;
    }
  } finally {
    silence.end();
    signal?.removeEventListener("abort", onAbort);
    // Leaving the loop hangs up.
    controller.abort();
  }
}

/** Watches that something comes: the broker says something every 20 s, so that a line that is dead is noticed. */
class Silence {
  readonly #clock: Clock;
  readonly #onSilence: () => void;
  #cancel: () => void;

  constructor(clock: Clock, onSilence: () => void) {
    this.#clock = clock;
    this.#onSilence = onSilence;
    this.#cancel = clock.after(SILENCE_MS_MAX, onSilence);
  }

  broken(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(SILENCE_MS_MAX, this.#onSilence);
  }

  end(): void {
    this.#cancel();
  }
}

async function* blocks(
  response: Response,
  onBytes: () => void,
): AsyncGenerator<string, void, undefined> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await read(reader);
    if (done) return;
    onBytes();
    text += decoder.decode(value as Uint8Array, { stream: true });
    const parts = text.replaceAll("\r\n", "\n").split("\n\n");
    text = parts.pop() ?? "";
    yield* parts;
  }
}

async function read(reader: {
  read(): Promise<{ done: boolean; value?: unknown }>;
}): Promise<{ done: boolean; value?: unknown }> {
  try {
    return await reader.read();
  } catch (cause) {
    const detail = "the stream of changes broke off";
    throw new HalfmqError({ code: "network_error", detail, retryable: true, cause });
  }
}

function parseBlock<T>(block: string): Change<T> | undefined {
  let event = "message";
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /u, "");
    if (field === "event") event = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { event, id, data: JSON.parse(data.join("\n")) as T };
}
