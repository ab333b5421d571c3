/**
 * One socket of a stream: its credit, what it holds, and how fast it speaks. Pure accounting; it sends nothing. What must
 * outlive the memory fits a socket's attachment: the credit, and how many leases it held until when. Their receipts are lost
 * with the memory, so that they end with their leases.
 */
import type { Delivery } from "../core/message.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { KeyMark } from "../protocol/rpc.ts";

/** Frames a second, and how many may come at once. */
const FRAMES_PER_SECOND = 500;
const FRAMES_AT_ONCE = 1_000;

/** A deleted key is refused everywhere within ten seconds. */
const KEY_GOOD_MS = 5_000;

/** What a socket's attachment keeps. */
export interface Attached {
  readonly version: 1;
  readonly consumerId?: string;
  readonly key?: KeyMark;
  readonly credit: number;
  readonly onePerMessageGroup?: boolean;
  readonly held: number;
  readonly heldUntil: number;
}

interface Held {
  readonly until: number;
  readonly bytes: number;
}

export class Session {
  readonly consumerId: string | undefined;
  readonly key: KeyMark | undefined;
  /** Until when the key is believed to be a good one. */
  #goodUntil: number;
  credit: number;
  /** It wants no two messages of a message group at a time. */
  onePerMessageGroup: boolean;
  /** Messages that a lease on its way was asked for. */
  reserved = 0;
  readonly #held = new Map<string, Held>();
  #bytes = 0;
  /** Held since before the memory was lost, by their number alone. */
  #lost: number;
  #lostUntil: number;
  #frames = FRAMES_AT_ONCE;
  #framesAt: number;

  constructor(attached: Attached, nowMs: number) {
    this.consumerId = attached.consumerId;
    this.key = attached.key;
    this.#goodUntil = attached.key === undefined ? Infinity : 0;
    this.credit = attached.credit;
    this.onePerMessageGroup = attached.onePerMessageGroup === true;
    this.#lost = attached.held;
    this.#lostUntil = attached.heldUntil;
    this.#framesAt = nowMs;
  }

  get attached(): Attached {
    const untils = [...this.#held.values()].map(({ until }) => until);
    return {
      version: 1,
      ...(this.consumerId === undefined ? {} : { consumerId: this.consumerId }),
      ...(this.key === undefined ? {} : { key: this.key }),
      credit: this.credit,
      ...(this.onePerMessageGroup ? { onePerMessageGroup: true } : {}),
      held: this.#held.size + this.#lost,
      heldUntil: Math.max(this.#lost > 0 ? this.#lostUntil : 0, ...untils),
    };
  }

  get receipts(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** Its key was good when it was looked at, at that instant. */
  trust(checkedAt: number): void {
    this.#goodUntil = Math.min(checkedAt + KEY_GOOD_MS, this.key?.expiresAt ?? Infinity);
  }

  isTrusted(nowMs: number): boolean {
    return nowMs < this.#goodUntil;
  }

  /** How many messages it may be given now. */
  free(nowMs: number): number {
    this.#forgetLost(nowMs);
    if (this.#bytes >= LIMITS.answerBytesMax) return 0;
    return Math.max(0, this.credit - this.#held.size - this.#lost - this.reserved);
  }

  hold(messages: readonly Delivery[]): void {
    for (const { receipt, invisibleUntil, content } of messages) {
      const { body } = content;
      const bytes =
        "json" in body ? body.json.length : "bytes" in body ? body.bytes.length : body.ref.bytes;
      this.#held.set(receipt, { until: invisibleUntil, bytes });
      this.#bytes += bytes;
    }
  }

  /** It is settled; true when it was held here. */
  settle(receipt: string): boolean {
    const held = this.#held.get(receipt);
    if (held === undefined) {
      if (this.#lost === 0) return false;
      this.#lost--;
      return true;
    }
    this.#held.delete(receipt);
    this.#bytes -= held.bytes;
    return true;
  }

  /** One of those that are held by their number alone is known by its name from then on. */
  extend(receipt: string, until: number): void {
    const held = this.#held.get(receipt);
    if (held === undefined && this.#lost === 0) return;
    if (held === undefined) this.#lost--;
    this.#held.set(receipt, { bytes: held?.bytes ?? 0, until });
  }

  /** Leases that ran out are no longer in flight. Answers when the next one does. */
  expire(nowMs: number): number | undefined {
    this.#forgetLost(nowMs);
    let next = this.#lost > 0 ? this.#lostUntil : Infinity;
    for (const [receipt, { until }] of this.#held) {
      if (until <= nowMs) this.settle(receipt);
      else next = Math.min(next, until);
    }
    return next === Infinity ? undefined : next;
  }

  /** Counts a frame; false when too many came. */
  maySpeak(nowMs: number): boolean {
    const seconds = Math.max(0, nowMs - this.#framesAt) / 1_000;
    this.#frames = Math.min(FRAMES_AT_ONCE, this.#frames + seconds * FRAMES_PER_SECOND);
    this.#framesAt = nowMs;
    if (this.#frames < 1) return false;
    this.#frames--;
    return true;
  }

  #forgetLost(nowMs: number): void {
    if (this.#lostUntil <= nowMs) this.#lost = 0;
  }
}

/** `want` places among sessions, in turn, none more than its share: who gets which message of a lease. */
export function dealt(free: ReadonlyMap<Session, number>, want: number): Session[] {
  const left = new Map(free);
  const places: Session[] = [];
  while (places.length < want && left.size > 0) {
    for (const [session, count] of left) {
      if (places.length >= want) break;
      if (count > 0) places.push(session);
      if (count <= 1) left.delete(session);
      else left.set(session, count - 1);
    }
  }
  return places;
}
