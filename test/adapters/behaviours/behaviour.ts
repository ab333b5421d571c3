/** What a behaviour of the broker is to the suite, and what several of them do. */
import { expect } from "vitest";
import { there } from "../../conformance/kit.ts";
import type { Capability, Got, Making, Sending, Through } from "../through/through.ts";

interface Behaviour {
  /** Without any of these it cannot be shown. */
  readonly needs?: readonly Capability[];
  readonly making?: (has: Has) => Making;
  readonly run: (queue: Through, more: More) => Promise<void>;
}

/** By what they say. */
export type Behaviours = Readonly<Record<string, Behaviour>>;

export type Has = (what: Capability) => boolean;

interface More {
  readonly has: Has;
  /** A second queue, made as the first. */
  readonly another: () => Promise<Through>;
}

/** Longer than any test. */
export const LONG_SECONDS = 600;
/** As long as the test must wait for its end. */
export const SHORT_SECONDS = 1;
/** More than anything takes that comes at all. */
export const PATIENCE_SECONDS = 20;

/** Where a delivery can fail only by its lease's end, leases are short. */
export const failing =
  (more: Making) =>
  (has: Has): Making => ({
    invisibleSeconds: has("giving back") ? LONG_SECONDS : SHORT_SECONDS,
    ...more,
  });

/** The delivery fails as the door has it: given back, or its lease runs out by itself. */
export async function fail(queue: Through, has: Has, { handle }: Got): Promise<void> {
  if (has("giving back")) await queue.giveBack(handle);
}

export async function one(queue: Pick<Through, "receive">): Promise<Got> {
  return there((await queue.receive(PATIENCE_SECONDS))[0]);
}

/** So many, in the order in which they come; each is acked as it comes. */
export async function drain(
  queue: Pick<Through, "ack" | "receive">,
  count: number,
): Promise<Got[]> {
  const all: Got[] = [];
  while (all.length < count) {
    const got = await queue.receive(PATIENCE_SECONDS);
    if (got.length === 0) break;
    all.push(...got);
    expect(await queue.ack(...got.map(({ handle }) => handle))).toEqual([]);
  }
  return all;
}

export const bodies = (messages: readonly Got[]): (string | Uint8Array)[] =>
  messages.map(({ body }) => body);

/** Its first letter is its message group. */
export const ofGroup = (body: string): Sending => ({
  body,
  messageGroup: body.slice(0, 1),
  dedupId: body,
});
