/**
 * The sockets that draw from the same leases: all of a shared group, or those of one consumer of a broadcast group. It leases
 * what they have credit for and deals it out: message by message in turn; in an ordered group each lease to one socket, so
 * that a message group's messages come in order to whoever holds them. It never waits for an ack.
 */
import type { Delivery } from "../core/message.ts";
import type { Leaser } from "../leasing/leaser.ts";
import type { Clock } from "../platform/clock.ts";
import { LIMITS } from "../protocol/limits.ts";
import { dealt, type Session } from "./session.ts";

/** Queues that are asked at a time. */
const LEASES_MAX = 4;
/** Messages of one lease; with several sockets the next one is soon. */
const LEASE_MESSAGES_MAX = 256;
/** Of one lease in an ordered group with several sockets: so large are the turns. */
const TURN_MESSAGES_MAX = 16;
/** After a queue could not be reached. */
const REST_MS = 1_000;

export interface DeskPorts {
  readonly clock: Clock;
  /** Gives a session its messages; false when its socket is gone. */
  give(session: Session, messages: readonly Delivery[]): boolean;
  /** Looks at the session's key again, and pumps when it is good. */
  verify(session: Session): void;
  /** Leases that nobody took. */
  release(receipts: readonly string[]): void;
}

export class Desk {
  readonly leaser: Leaser;
  readonly sessions = new Set<Session>();
  readonly #ports: DeskPorts;
  readonly #consumerId: string | undefined;
  #leases = 0;
  #restUntil = 0;

  constructor(leaser: Leaser, consumerId: string | undefined, ports: DeskPorts) {
    this.leaser = leaser;
    this.#consumerId = consumerId;
    this.#ports = ports;
  }

  /** Leases as much as there is credit for. Returns at once. */
  pump(): void {
    const { clock } = this.#ports;
    while (this.#leases < LEASES_MAX) {
      const nowMs = clock.nowMs();
      if (nowMs < this.#restUntil) {
        clock.after(this.#restUntil - nowMs, () => this.pump());
        return;
      }
      const places = this.#places(nowMs);
      if (places.length === 0) return;
      const queue = this.leaser.hints.next();
      if (queue === undefined) return;
      for (const session of places) session.reserved++;
      this.#leases++;
      void this.#lease(queue, places).finally(() => {
        this.#leases--;
        this.pump();
      });
    }
  }

  #places(nowMs: number): Session[] {
    const free = new Map<Session, number>();
    for (const session of this.sessions) {
      const count = session.free(nowMs);
      if (count === 0) continue;
      if (session.isTrusted(nowMs)) free.set(session, count);
      else if (!this.leaser.hints.isQuiet) this.#ports.verify(session);
    }
    const [first] = free;
    if (first === undefined) return [];
    // Whoever was served last comes last.
    const [turn] = first;
    this.sessions.delete(turn);
    this.sessions.add(turn);
    if (!this.leaser.seat.group.settings.ordered) return dealt(free, LEASE_MESSAGES_MAX);
    const [session, count] = first;
    const most = free.size > 1 ? TURN_MESSAGES_MAX : LEASE_MESSAGES_MAX;
    return Array.from({ length: Math.min(count, most) }, () => session);
  }

  async #lease(queue: number, places: readonly Session[]): Promise<void> {
    const leased = await this.leaser.lease(queue, {
      maxMessages: places.length,
      invisibleMs: this.leaser.seat.group.settings.invisibleMs,
      bytesMax: LIMITS.pushBytesMax,
      ...(this.#consumerId === undefined ? {} : { consumerId: this.#consumerId }),
    });
    for (const session of places) session.reserved--;
    if (!leased.ok) {
      this.#restUntil = this.#ports.clock.nowMs() + REST_MS;
      return;
    }
    const shares = new Map<Session, Delivery[]>();
    for (const [index, message] of leased.value.messages.entries()) {
      const session = places[index];
      if (session === undefined) continue;
      const share = shares.get(session);
      if (share === undefined) shares.set(session, [message]);
      else share.push(message);
    }
    for (const [session, messages] of shares) {
      const isTaken = this.sessions.has(session) && this.#ports.give(session, messages);
      if (!isTaken) this.#ports.release(messages.map(({ receipt }) => receipt));
    }
  }
}
