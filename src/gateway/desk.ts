/**
 * The sockets that draw from the same leases: all of a shared group, or those of one consumer of a broadcast group. It leases
 * what they have credit for and deals it out when it comes, so that a socket which came meanwhile gets its share: message by
 * message in turn; in an ordered group each lease to one socket, so that a message group's messages come in order to whoever
 * holds them. It never waits for an ack.
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

/** A lease to be asked for. */
interface Ask {
  readonly count: number;
  /** In an ordered group: who gets all of it. */
  readonly session?: Session;
}

export class Desk {
  readonly leaser: Leaser;
  readonly sessions = new Set<Session>();
  readonly #ports: DeskPorts;
  readonly #consumerId: string | undefined;
  #leases = 0;
  /** Messages that leases on their way were asked for, of which nobody knows yet who gets them. */
  #asked = 0;
  #cancelTimer: (() => void) | undefined;

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
      const ask = this.#ask(nowMs);
      if (ask === undefined) return;
      const queue = this.leaser.hints.next(nowMs);
      if (queue === undefined) {
        this.#afterRest(nowMs);
        return;
      }
      this.#leases++;
      this.#reserve(ask, ask.count);
      void this.#lease(queue, ask).finally(() => {
        this.#leases--;
        this.pump();
      });
    }
  }

  /** Queues that could not answer are asked again; each rests by itself. */
  #afterRest(nowMs: number): void {
    const restMs = this.leaser.hints.restMs(nowMs);
    if (restMs === undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#ports.clock.after(restMs, () => {
      this.#cancelTimer = undefined;
      this.pump();
    });
  }

  #ask(nowMs: number): Ask | undefined {
    const free = this.#free(nowMs);
    const [first] = free;
    if (first === undefined) return undefined;
    if (!this.leaser.seat.group.settings.ordered) {
      const room = [...free.values()].reduce((sum, count) => sum + count, -this.#asked);
      return room > 0 ? { count: Math.min(room, LEASE_MESSAGES_MAX) } : undefined;
    }
    const [session, count] = first;
    this.#lastInTurn(session);
    const most = free.size > 1 ? TURN_MESSAGES_MAX : LEASE_MESSAGES_MAX;
    return { count: Math.min(count, most), session };
  }

  #reserve({ session }: Ask, count: number): void {
    if (session === undefined) this.#asked += count;
    else session.reserved += count;
  }

  /** How many messages each may be given, in turn. Of those whose key is to be looked at again none, until it was. */
  #free(nowMs: number): Map<Session, number> {
    const free = new Map<Session, number>();
    for (const session of this.sessions) {
      const count = session.free(nowMs);
      if (count === 0) continue;
      if (session.isTrusted(nowMs)) free.set(session, count);
      else if (!this.leaser.hints.isQuiet) this.#ports.verify(session);
    }
    return free;
  }

  #lastInTurn(session: Session): void {
    if (this.sessions.delete(session)) this.sessions.add(session);
  }

  async #lease(queue: number, ask: Ask): Promise<void> {
    const leased = await this.leaser.lease(queue, {
      maxMessages: ask.count,
      invisibleMs: this.leaser.seat.group.settings.invisibleMs,
      bytesMax: LIMITS.pushBytesMax,
      ...(ask.session?.onePerMessageGroup === true ? { onePerMessageGroup: true } : {}),
      ...(this.#consumerId === undefined ? {} : { consumerId: this.#consumerId }),
    });
    const filled = leased.ok ? await this.leaser.complete(leased.value.messages) : undefined;
    this.#reserve(ask, -ask.count);
    if (filled === undefined) {
      this.leaser.hints.rest(queue, this.#ports.clock.nowMs() + REST_MS);
      return;
    }
    this.#handOut(filled.messages, ask.session);
    filled.end();
  }

  /** To the session that they were leased for, or to whoever has room. */
  #handOut(messages: readonly Delivery[], session: Session | undefined): void {
    const places =
      session === undefined ? this.#deal(messages.length) : messages.map(() => session);
    const shares = new Map<Session | undefined, Delivery[]>();
    for (const [index, message] of messages.entries()) {
      const share = shares.get(places[index]);
      if (share === undefined) shares.set(places[index], [message]);
      else share.push(message);
    }
    for (const [session, share] of shares) {
      const isTaken =
        session !== undefined && this.sessions.has(session) && this.#ports.give(session, share);
      if (!isTaken) this.#ports.release(share.map(({ receipt }) => receipt));
    }
  }

  #deal(count: number): Session[] {
    const places = dealt(this.#free(this.#ports.clock.nowMs()), count);
    const [first] = places;
    // Whoever was served first comes last.
    if (first !== undefined) this.#lastInTurn(first);
    return places;
  }
}
