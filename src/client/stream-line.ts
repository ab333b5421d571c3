/**
 * The receiving end of a stream: one WebSocket at a time, opened again when it breaks, after a pause that grows, with a credit
 * for what the subscription has room for. It never settles a message by itself, and never holds more than its credit.
 *
 * The key is offered as a subprotocol, since browsers cannot set headers. A line that says nothing is asked for a pong now and
 * then, so that one that died unnoticed is given up.
 */
import { type Clock, pause } from "./clock.ts";
import { HalfmqError, isRetryable } from "./error.ts";
import { bodyTexts } from "./json-text.ts";
import type { DeliveredData } from "./message.ts";
import type { ReceiptResult } from "./receipts.ts";
import { backoffMs, type RetryPolicy } from "./retry.ts";
import { OpenFrames, type SettlingVerb } from "./stream-frames.ts";

/** As much of a WebSocket as is used, in Node 22, Workers and browsers. */
export interface Socket {
  /** 1 while it is open. */
  readonly readyState: number;
  send(text: string): void;
  close(code?: number): void;
  addEventListener(type: "open" | "close" | "error", run: () => void): void;
  addEventListener(type: "message", run: (event: { readonly data: unknown }) => void): void;
}

/** Opens a WebSocket: `(url, protocols) => new WebSocket(url, protocols)`. */
export type SocketMaker = (url: string, protocols: readonly string[]) => Socket;

export interface LinePort<M> {
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly open: () => Socket;
  /** Why a socket did not open: throws what is not passing. */
  readonly diagnose: () => Promise<void>;
  readonly message: (data: DeliveredData, bodyText: () => string | undefined) => M;
  readonly onError: (error: unknown) => void;
}

/** What it has room for. */
export interface LineRoom {
  readonly credit: number;
  /** In an ordered group: what is handled at a time has no message group in common, so that a failed message holds the next. */
  readonly onePerMessageGroup: boolean;
}

interface Frame {
  readonly messages?: readonly DeliveredData[];
  readonly results?: readonly ReceiptResult[];
  readonly error?: { readonly code: string; readonly detail: string; readonly status: number };
}

const OPEN = 1;
const OPEN_MS_MAX = 15_000;
const PING_MS = 30_000;
const PONG_MS_MAX = 15_000;
/** Errors after which the same line will not work again. */
const FINAL: ReadonlySet<string> = new Set([
  "group_not_found",
  "topic_not_found",
  "unauthenticated",
  "forbidden",
]);

export class StreamLine<M> {
  readonly #port: LinePort<M>;
  readonly #credit: number;
  readonly #how: { readonly onePerMessageGroup?: true };
  readonly #signal: AbortSignal;
  readonly #frames: OpenFrames;
  readonly #messages: M[] = [];
  #socket: Socket | undefined;
  /** How often in a row a line did not open, or broke before it was any good. */
  #failures = 0;
  #failure: Error | undefined;
  #wake: () => void = () => {};
  #cancelPing: (() => void) | undefined;

  constructor(port: LinePort<M>, { credit, onePerMessageGroup }: LineRoom, signal: AbortSignal) {
    this.#port = port;
    this.#credit = credit;
    this.#how = onePerMessageGroup ? { onePerMessageGroup } : {};
    this.#signal = signal;
    this.#frames = new OpenFrames(port.clock);
    const onAbort = (): void => {
      // Nothing more is wanted; what is in hand is still to be settled here.
      this.#say({ credit: 0 });
      this.#wake();
    };
    signal.addEventListener("abort", onAbort, { once: true });
  }

  /** What came, at least one message; undefined once the signal is aborted. Rejects for what is not passing. */
  async next(maxMessages: number): Promise<M[] | undefined> {
    while (!this.#signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#messages.length > 0) return this.#messages.splice(0, maxMessages);
      if (this.#socket === undefined) await this.#connect();
      else await this.#news();
    }
    return undefined;
  }

  /** What came and was not asked for any more. */
  last(): Promise<M[]> {
    return Promise.resolve(this.#messages.splice(0));
  }

  /** The results; undefined when the line broke before they came, cannot take more just now, or there is none. */
  settle(
    verb: SettlingVerb,
    receipts: readonly string[],
    how: object = {},
  ): Promise<readonly ReceiptResult[] | undefined> {
    return this.#frames.ask(verb, receipts, () => this.#say({ [verb]: receipts, ...how }));
  }

  /** Says goodbye: what is held is given back. */
  close(): void {
    const socket = this.#socket;
    this.#end(socket);
    socket?.close(1000);
  }

  #say(frame: object): boolean {
    if (this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  // ------------------------------------------------------------ the life of a socket

  /** Opens a socket; not at once after one that failed or broke, so that clients do not come back all together. */
  async #connect(): Promise<void> {
    const { clock, retry } = this.#port;
    if (this.#failures > 0) {
      const delayMs = backoffMs(retry, this.#failures, clock.random());
      await pause(clock, delayMs, this.#signal).catch(() => {});
      if (this.#signal.aborted) return;
    }
    const socket = this.#port.open();
    if (await this.#opened(socket)) {
      this.#take(socket);
      return;
    }
    socket.close();
    if (!this.#signal.aborted) await this.#unopened();
  }

  async #unopened(): Promise<void> {
    this.#failures++;
    try {
      await this.#port.diagnose();
      this.#port.onError(broken("the stream could not be opened"));
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!isRetryable(error)) throw error;
      this.#port.onError(error);
    }
  }

  /** False when it does not open in time, or is not wanted any more. */
  #opened(socket: Socket): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (opened: boolean): void => {
        cancel();
        this.#signal.removeEventListener("abort", isNot);
        resolve(opened);
      };
      const isNot = (): void => end(false);
      const cancel = this.#port.clock.after(OPEN_MS_MAX, isNot);
      socket.addEventListener("open", () => end(true));
      socket.addEventListener("error", isNot);
      socket.addEventListener("close", isNot);
      this.#signal.addEventListener("abort", isNot, { once: true });
    });
  }

  #take(socket: Socket): void {
    this.#socket = socket;
    const onEnd = (): void => this.#lose(socket, broken("the stream broke off"));
    // It may have closed before anybody listened.
    if (socket.readyState !== OPEN) {
      onEnd();
      return;
    }
    socket.addEventListener("close", onEnd);
    socket.addEventListener("error", onEnd);
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.#socket) return;
      this.#failures = 0;
      this.#ping();
      if (data !== "pong") this.#hear(socket, data);
    });
    this.#say({ credit: this.#signal.aborted ? 0 : this.#credit, ...this.#how });
    this.#ping();
  }

  /** The line broke, or is given up. */
  #lose(socket: Socket | undefined, why: HalfmqError): void {
    if (socket === undefined || socket !== this.#socket) return;
    this.#failures++;
    this.#end(socket);
    socket.close();
    if (!this.#signal.aborted && this.#failure === undefined) this.#port.onError(why);
  }

  #end(socket: Socket | undefined): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#cancelPing?.();
    // Leases of what came and was not begun are gone with the line.
    this.#messages.length = 0;
    this.#frames.end();
    this.#wake();
  }

  /** The line was heard of; when it is silent for long, it is asked. */
  #ping(): void {
    const socket = this.#socket;
    const { clock } = this.#port;
    this.#cancelPing?.();
    this.#cancelPing = clock.after(PING_MS, () => {
      if (socket?.readyState === OPEN) socket.send("ping");
      this.#cancelPing = clock.after(PONG_MS_MAX, () => {
        this.#lose(socket, broken("the stream fell silent"));
      });
    });
  }

  // ------------------------------------------------------------ what it says

  #hear(socket: Socket, data: unknown): void {
    const text = String(data);
    const frame = parseFrame(text);
    if (frame === undefined) {
      const detail = "the stream said something that is not the broker's";
      this.#lose(socket, new HalfmqError({ code: "unexpected_answer", detail, retryable: true }));
      return;
    }
    const { messages = [], results, error } = frame;
    let texts: readonly (string | undefined)[] | undefined;
    for (const [index, each] of messages.entries()) {
      const bodyText = (): string | undefined => (texts ??= bodyTexts(text, "messages"))[index];
      this.#messages.push(this.#port.message(each, bodyText));
    }
    // More than there is room for come only after leases that were lost: the oldest are the next to be lost.
    this.#messages.splice(0, this.#messages.length - this.#credit);
    if (results !== undefined) this.#frames.answered(results);
    if (error !== undefined) this.#refused(new HalfmqError(error));
    this.#wake();
  }

  #refused(error: HalfmqError): void {
    if (FINAL.has(error.code)) this.#failure = error;
    else this.#port.onError(error);
  }
}

function parseFrame(text: string): Frame | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    return typeof frame === "object" && frame !== null ? frame : undefined;
  } catch {
    return undefined;
  }
}

function broken(detail: string): HalfmqError {
  return new HalfmqError({ code: "network_error", detail, retryable: true });
}

/** The runtime's own WebSocket. */
export const runtimeSocket: SocketMaker = (url, protocols) => {
  const { WebSocket: Maker } = globalThis as { WebSocket?: new (...of: unknown[]) => Socket };
  if (Maker === undefined) throw new TypeError("this runtime has no WebSocket: give one");
  return new Maker(url, protocols);
};
