/**
 * Puts large bodies in the place of the references to them, as messages leave the broker. What is in memory at a time is
 * bounded. A body that cannot be had leaves its reference standing, with the reason; what follows from it is the caller's.
 */
import { decodeText } from "../core/bytes.ts";
import { decodeEntry, encodeEntry } from "../core/entry.ts";
import type { Delivery, Message } from "../core/message.ts";
import { decodeRecord, encodeRecord, frame, readRecordHead, unframe } from "../core/record.ts";
import type { Body, BodyFault } from "../core/record.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { CheckBegun, Env } from "../protocol/rpc.ts";
import { bodyStore, type BodyStore } from "./bucket.ts";
import { Turnstile } from "./turnstile.ts";

/** Bytes of large bodies that one object, or one isolate of the Worker, holds at a time; in an answer they are Base64 besides. */
const HELD_BYTES_MAX = 16 * 1024 * 1024;
const TURN_MS_MAX = 5_000;
/** What a bucket that is out of reach has is asked for again after this. */
const AWAY_MS = 2_000;

export interface Filled<M extends Message> {
  readonly messages: readonly M[];
  /** To be called once they are not held any more. */
  readonly end: () => void;
}

const NOTHING_HELD = (): void => undefined;

const refBytes = ({ body }: { readonly body: Body }): number =>
  "ref" in body ? body.ref.bytes : 0;

/** Bytes of the bodies that are still to be fetched. */
export const largeBytesOf = (messages: readonly Message[]): number =>
  messages.reduce((sum, { content }) => sum + refBytes(content), 0);

export class LargeBodies {
  /** Absent: there is no bucket, and every body in it is `body_unavailable`. */
  readonly store: BodyStore | undefined;
  /** A larger body goes to the bucket. */
  readonly inlineBytesMax: number;
  readonly #turnstile: Turnstile;

  constructor(
    clock: Clock,
    store: BodyStore | undefined,
    inlineBytesMax: number = LIMITS.bodyBytesMax,
  ) {
    this.store = store;
    this.inlineBytesMax = inlineBytesMax;
    const bounds = { bytesMax: HELD_BYTES_MAX, waitMsMax: TURN_MS_MAX };
    this.#turnstile = new Turnstile(clock, bounds);
  }

  /** `heldMsMax`: for how long they may be held; absent: for as long as a request takes. */
  async complete<M extends Message>(
    messages: readonly M[],
    heldMsMax?: number,
  ): Promise<Filled<M>> {
    const bytes = largeBytesOf(messages);
    if (bytes === 0) return { messages, end: NOTHING_HELD };
    const leave = await this.#turnstile.enter(bytes, heldMsMax);
    const isIn = leave !== undefined;
    const filled = await Promise.all(
      messages.map(async (message) => {
        const { content } = message;
        const body = await this.#bodyOf(content.body, isIn);
        return body === content.body ? message : { ...message, content: { ...content, body } };
      }),
    );
    return { messages: filled, end: leave ?? NOTHING_HELD };
  }

  /** The same for the messages of a check, which travel encoded. */
  async completeCheck(check: CheckBegun): Promise<{ check: CheckBegun; end: () => void }> {
    const entries = unframe(check.entries);
    const bytes = largeBytesIn(check.entries);
    if (bytes === 0) return { check, end: NOTHING_HELD };
    const leave = await this.#turnstile.enter(bytes);
    const isIn = leave !== undefined;
    const filled = await Promise.all(
      entries.map(async (each) => {
        const { largeBytes: _, record, ...entry } = decodeEntry(each);
        const content = decodeRecord(record);
        const body = await this.#bodyOf(content.body, isIn);
        return encodeEntry({ ...entry, record: encodeRecord({ ...content, body }) });
      }),
    );
    return { check: { ...check, entries: frame(filled) }, end: leave ?? NOTHING_HELD };
  }

  async #bodyOf(body: Body, isIn: boolean): Promise<Body> {
    if (!("ref" in body)) return body;
    const found = isIn ? await this.store?.get(body.ref) : undefined;
    if (!(found instanceof Uint8Array)) return { ...body, fault: found ?? "body_unavailable" };
    return body.isJson ? { json: decodeText(found) } : { bytes: found };
  }
}

/** Those of a deployment. */
export const largeBodiesOf = ({ BODIES }: Pick<Env, "BODIES">): LargeBodies =>
  new LargeBodies(systemClock, BODIES === undefined ? undefined : bodyStore(BODIES));

/** Bytes of large bodies that framed entries refer to. */
export const largeBytesIn = (entries: Uint8Array): number =>
  unframe(entries).reduce(
    (sum, entry) => sum + (readRecordHead(decodeEntry(entry).record).bodyRef?.bytes ?? 0),
    0,
  );

/** What is said of a lease whose message is not handed out. */
export type HowToSettle =
  | {
      readonly verb: "nack";
      readonly reason: BodyFault;
      readonly retry: false;
      /** The queue gives it back for `delayMs`, until it has been missing for long enough. */
      readonly missing?: true;
      readonly delayMs?: number;
    }
  | { readonly verb: "release"; readonly delayMs: number };

export interface FilledDeliveries extends Filled<Delivery> {
  /** Messages whose bodies are damaged: dead letters by now. */
  readonly lost: number;
  /** Messages that were given back, because the bucket is out of reach; or has them not, and the queue decides. */
  readonly away: number;
}

/** Leased messages with their bodies. One without is never handed out: it is given back for a while, or is a dead letter. */
export async function fillDeliveries(
  bodies: LargeBodies,
  leased: readonly Delivery[],
  settle: (receipts: readonly string[], how: HowToSettle) => Promise<unknown>,
  heldMsMax?: number,
): Promise<FilledDeliveries> {
  if (largeBytesOf(leased) === 0) return { messages: leased, end: NOTHING_HELD, lost: 0, away: 0 };
  const { messages, end } = await bodies.complete(leased, heldMsMax);
  // What is given back holds those behind it in its message group: they came as one batch, in order.
  const held = new Set<string>();
  const bad = Map.groupBy(messages, (message) => {
    const { body, messageGroup } = message.content;
    const place = messageGroup === undefined ? undefined : `${message.queue} ${messageGroup}`;
    const fault =
      place !== undefined && held.has(place)
        ? "body_unavailable"
        : "ref" in body
          ? (body.fault ?? "body_unavailable")
          : undefined;
    const mayComeBack = fault === "body_unavailable" || fault === "body_missing";
    if (mayComeBack && place !== undefined) held.add(place);
    return fault;
  });
  const whole = bad.get(undefined) ?? [];
  bad.delete(undefined);
  await Promise.all(
    Array.from(bad, ([fault = "body_unavailable", some]) => {
      const receipts = some.map(({ receipt }) => receipt);
      return settle(receipts, howToSettle(fault));
    }),
  );
  const countOf = (fault: BodyFault): number => bad.get(fault)?.length ?? 0;
  const away = countOf("body_unavailable") + countOf("body_missing");
  return { messages: whole, end, away, lost: messages.length - whole.length - away };
}

function howToSettle(fault: BodyFault): HowToSettle {
  if (fault === "body_unavailable") return { verb: "release", delayMs: AWAY_MS };
  const dead = { verb: "nack", reason: fault, retry: false } as const;
  return fault === "body_missing" ? { ...dead, missing: true, delayMs: AWAY_MS } : dead;
}
