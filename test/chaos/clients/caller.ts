/**
 * A client of a chaos run: it asks by plain fetch, as any program would, or with the published client, and writes down what it
 * saw. Whatever the broker answers with an error must be a problem document, and never say `internal_error`.
 */
import { HalfMQ, isHalfmqError } from "../../../src/client/index.ts";
import { Actor, type Ended, type NewEvent } from "../../sim/actors/actor.ts";
import type { Answer, Request, SentMessage } from "../../sim/history.ts";
import type { Dice } from "../../sim/world/dice.ts";
import { contentOf } from "../../sim/world/mark.ts";
import { isFleeting, note, type Scene } from "../scene.ts";

/** An error that the broker answered. */
class Refused extends Error {
  readonly code: string;
  /** May it have been done all the same? */
  readonly mayBeDone: boolean;

  constructor(code: string, mayBeDone: boolean) {
    super(code);
    this.code = code;
    this.mayBeDone = mayBeDone;
  }
}

interface Asking<T> {
  readonly request: Request;
  /** Rejects with `Refused`, a HalfmqError, or whatever a broken line makes. */
  readonly run: () => Promise<T>;
  readonly answer: (value: T) => Answer;
  /** Times that a failed or lost request is sent again. */
  readonly retries: number;
}

const RETRYABLE: ReadonlySet<string> = new Set(["unavailable", "overloaded", "rate_limited"]);
const PATIENCE_MS = 4_000;
const RETRY_MS_MAX = 400;

export interface Calling {
  readonly body?: unknown;
  readonly once?: string;
  readonly waitMs?: number;
}

/** One request by plain fetch. */
export async function http<T>(
  scene: Scene,
  method: string,
  path: string,
  { body, once, waitMs = 0 }: Calling = {},
): Promise<T> {
  const response = await fetch(`${scene.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${scene.key}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(once === undefined ? {} : { "idempotency-key": once }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(PATIENCE_MS + waitMs),
  });
  const text = await response.text();
  if (response.ok) return (text === "" ? {} : JSON.parse(text)) as T;
  throw refusalIn(scene, `${method} ${path}`, response, text);
}

function refusalIn(scene: Scene, what: string, response: Response, text: string): Error {
  const type = response.headers.get("content-type") ?? "";
  const code = type.startsWith("application/problem+json")
    ? (JSON.parse(text) as { code?: unknown }).code
    : undefined;
  if (typeof code !== "string" || code === "internal_error")
    scene.errors.push(`${what} answered ${response.status}: ${text.slice(0, 500)}`);
  return new Refused(typeof code === "string" ? code : "none", response.status >= 500);
}

/** The broker said no, and nothing of it was done. */
export const isRefused = (error: unknown): error is { readonly code: string } =>
  error instanceof Refused && !error.mayBeDone;

export const clientOf = ({ url, key }: Scene): HalfMQ =>
  new HalfMQ({
    url,
    key,
    timeoutMs: PATIENCE_MS,
    retry: { totalMs: 8_000, initialMs: 50, maxMs: 400 },
  });

export class Caller extends Actor {
  readonly scene: Scene;
  /** The published client; absent: plain fetch. */
  readonly mq: HalfMQ | undefined;

  constructor(name: string, scene: Scene, dice: Dice) {
    super(name, dice);
    this.scene = scene;
    this.mq = dice.chance(0.5) ? clientOf(scene) : undefined;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
  }

  note(event: NewEvent): void {
    note(this.scene, event);
  }

  nextOp(): number {
    return this.scene.nextOp++;
  }

  get goesOn(): boolean {
    return !this.scene.isDraining;
  }

  /** Undefined when it was refused, or nobody knows. */
  async ask<T>({ request, run, answer, retries }: Asking<T>): Promise<T | undefined> {
    const once = (): Promise<Ended<T>> =>
      run().then(
        (value): Ended<T> => ({ is: "ok", value }),
        (error: unknown): Ended<T> => endedBy(error),
      );
    const ended = await this.attempt({ request, once, answer, retries, retryMsMax: RETRY_MS_MAX });
    return ended.is === "ok" ? ended.value : undefined;
  }

  /** A message as it stands in a request. */
  wire(message: SentMessage): Record<string, unknown> & { readonly body: unknown } {
    // Few are long, and fill rows and the log; most are short.
    const padChars = this.dice.chance(0.02) ? this.dice.int(10_000, 200_000) : this.dice.int(0, 60);
    const { body, ...rest } = contentOf(message, padChars);
    return { ...rest, body: "json" in body ? (JSON.parse(body.json) as unknown) : undefined };
  }

  drawMessage(topic: string): SentMessage {
    const { dice } = this;
    const { plan } = this.scene;
    const message = {
      mark: this.fresh(),
      topic,
      tag: dice.pick(["a", "b"]),
      ...(dice.chance(0.7) ? { messageGroup: dice.pick(plan.messageGroups) } : {}),
    };
    // What retention may take is not delayed, so that its offset is known, and repeats nothing.
    if (plan.topics.some((each) => each.topic === topic && isFleeting(each)))
      return { ...message, ...this.#drawEnd() };
    return {
      ...message,
      ...(dice.chance(plan.deduped) ? { dedupId: `d${dice.int(1, 60)}` } : {}),
      ...(dice.chance(plan.delayed) ? { deliverAt: Date.now() + dice.int(0, 5_000) } : {}),
    };
  }

  #drawEnd(): Pick<SentMessage, "ttlMs" | "expiresAt"> {
    const how = this.dice.weighted({ none: 3, ttl: 1, end: 1 });
    if (how === "none") return {};
    const ms = this.dice.int(50, 3_000);
    // An end that is over before it is sent is refused.
    return how === "ttl" ? { ttlMs: ms } : { expiresAt: Date.now() + 20_000 + ms };
  }
}

function endedBy(error: unknown): Ended<never> {
  const refused = refusalOf(error);
  if (refused === undefined) return { is: "lost" };
  const { code, mayBeDone } = refused;
  return { is: "refused", code, mayBeDone, isPassing: RETRYABLE.has(code) };
}

/** Undefined: the line broke, or the client gave up waiting. */
function refusalOf(error: unknown): Refused | undefined {
  if (error instanceof Refused) return error;
  if (!isHalfmqError(error) || error.status === 0) return undefined;
  return new Refused(error.code, error.mayBeDone || error.status >= 500);
}
