/**
 * What the conformance cases share: the shapes of the wire, names that no other run uses, and waiting for a state of the
 * server. It never sleeps for a fixed time and imports nothing of src: the wire contract is all it knows.
 */
/** A running HalfMQ, wherever it is. */
export interface Target {
  readonly name: string;
  /** The root key, or one with every scope. */
  readonly key: string;
  fetch(path: string, init: RequestInit): Promise<Response>;
  /** Hosts an endpoint that the server can call. */
  listen(answer: Answerer): Promise<Listening>;
  /** Opens a WebSocket; absent where nothing is streamed. */
  readonly connect?: (
    path: string,
    headers: Readonly<Record<string, string>>,
  ) => Promise<Connected>;
  /** Of what is tried at random; absent: the same few tries each time. */
  readonly chance?: { readonly seed?: number; readonly runs?: number };
}

/** An open WebSocket, or what was answered instead. */
export type Connected =
  | { readonly is: "open"; readonly socket: Connection }
  | { readonly is: "refused"; readonly status: number; readonly code?: unknown };

export interface Connection {
  readonly protocol: string;
  /** What the 101 says in `X-Request-Id`. */
  readonly requestId: string | undefined;
  send(frame: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  /** Calls back with each frame, also with those that came before. */
  onFrame(run: (text: string) => void): void;
  /** The code that it was closed with. */
  readonly closed: Promise<number>;
}

export interface Listening {
  readonly url: string;
  close(): Promise<void>;
}

/** A call that the server made. */
export interface Call {
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
  readonly at: number;
}

export interface CallAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type Answerer = (call: Call) => CallAnswer | Promise<CallAnswer>;

export type Json = Readonly<Record<string, unknown>>;

export interface Message {
  readonly id: string;
  readonly topic: string;
  readonly queue: number;
  readonly offset: number;
  readonly body?: unknown;
  readonly bodyBase64?: string;
  readonly contentType?: string;
  readonly tag?: string;
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly messageGroup?: string;
  readonly sentAt: number;
  readonly storedAt: number;
  readonly transactionId?: string;
  readonly deliveryAttempt: number;
  readonly receipt: string;
  readonly invisibleUntil: number;
}

export interface Sent {
  readonly id: string;
  readonly queue: number;
  readonly offset?: number;
  readonly state: "ready" | "delayed" | "duplicate";
  readonly deliverAt?: number;
}

export interface Prepared {
  readonly transactionId: string;
  readonly state: string;
  readonly producerGroup: string;
  readonly check: Json;
  readonly nextCheckAt: number;
  readonly messages: readonly { readonly id: string }[];
}

export interface Transaction extends Prepared {
  readonly topic: string;
  readonly queue: number;
  readonly checks: number;
  readonly lastCheck?: { readonly at: number; readonly outcome: string; readonly status?: number };
  readonly decidedBy?: string;
  readonly preparedAt: number;
  readonly decidedAt?: number;
  readonly repeated?: boolean;
  readonly messages: readonly (Sent & { readonly undeliverable?: boolean })[];
}

export interface Check {
  readonly transactionId: string;
  readonly topic: string;
  readonly queue: number;
  readonly producerGroup: string;
  readonly attempt: number;
  readonly maxChecks: number;
  readonly preparedAt: number;
  readonly messages: readonly Message[];
}

export interface Result {
  readonly receipt: string;
  readonly ok: boolean;
  readonly code?: string;
  readonly invisibleUntil?: number;
}

export interface Stats {
  readonly queues: readonly {
    readonly queue: number;
    readonly firstOffset: number;
    readonly nextOffset: number;
    readonly bytes: number;
    readonly prepared: number;
    readonly delayed: number;
  }[];
  readonly groups: readonly {
    readonly group: string;
    readonly lag: number;
    readonly inFlight: number;
    readonly retrying: number;
    readonly deadLetters: number;
    readonly expired: number;
    readonly oldestUnackedAgeMs: number;
    readonly lastSeenAt?: number;
  }[];
  readonly transactions: Readonly<Record<string, number>>;
}

export interface Options {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is, instead of JSON made of the body. */
  readonly raw?: string;
  /** Sends an Idempotency-Key. */
  readonly once?: string;
}

let names = 0;
const RUN = Math.random().toString(36).slice(2, 8);

/** A name that nobody used before. */
export function unique(stem: string): string {
  names += 1;
  return `${stem}-${RUN}-${names}`;
}

export const SHORT = { timeoutMs: 100, intervalMs: 100, maxChecks: 50 } as const;
/** Nothing is checked during a test. */
export const NEVER = { timeoutMs: 600_000, intervalMs: 600_000, maxChecks: 1 } as const;

const POLL_MS = 20;

/** Asks until there is an answer; the server's state alone ends it, and the deadline only what hangs. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 40_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

/** A promise and what fulfils it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

export function bodies(messages: readonly Message[]): unknown[] {
  return messages.map((message) => message.body);
}

/** Compares without regard to order. */
export function sorted(values: Iterable<unknown>): string[] {
  return [...values].map((value) => JSON.stringify(value)).toSorted();
}

/** What must not be missing. */
export function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing there");
  return value;
}
