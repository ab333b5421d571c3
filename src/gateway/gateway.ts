/**
 * The gateway of one group: hands what is visible to the sockets that have credit, and their acks to the queues. It is a
 * consumer like any other: it decides nothing, and keeps no message.
 *
 * [S1] A socket holds at most as many unsettled messages as its credit says.
 * [S2] A message that was leased and could not be given is released at once, uncounted; so are those of a socket that says
 * goodbye. Those of a socket that broke off count as failed deliveries, visible at once: nobody knows what became of them.
 * [S3] Nothing is lost with the memory: a socket keeps its credit and how many it holds; their leases run out at the queue.
 * The queues ring while somebody listens, which queue 0 keeps; and every few minutes all are asked.
 */
import { type Delivery, deliveryJson } from "../core/message.ts";
import { problemOf } from "../core/problem.ts";
import { resultsOf } from "../core/results.ts";
import { Leaser } from "../leasing/leaser.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { GroupSeat, KeyMark } from "../protocol/rpc.ts";
import { Desk } from "./desk.ts";
import { type Frame, parseFrame } from "./frames.ts";
import type { Ports, Socket } from "./ports.ts";
import { type Attached, Session } from "./session.ts";

/** UTF-16 units of a frame that is looked at. */
const FRAME_CHARS_MAX = 256 * 1024;
/** Frames of one socket that wait for a queue. */
const PENDING_MAX = 256;
/** All queues are asked so often, whatever rang. */
const LOOK_AROUND_MS = 5 * 60_000;
const EXPIRE_SPACING_MS = 100;

/** Close codes of RFC 6455. */
const CLOSE = { goingAway: 1001, policy: 1008, tooBig: 1009 } as const;
const GOODBYES: ReadonlySet<number> = new Set([1000, 1001]);

interface Seated {
  readonly session: Session;
  readonly desk: Desk;
  pending: number;
  /** A look at its key that is under way. */
  checking: Promise<Outcome<boolean>> | undefined;
}

export class Gateway {
  readonly #ports: Ports;
  readonly #sockets = new Map<Socket, Seated>();
  /** By consumerId; one under "" where the group is shared. */
  readonly #desks = new Map<string, Desk>();
  #seat: GroupSeat | undefined;
  /** Sockets that are let in and not there yet: queues may ring for them before they join. */
  #joining = 0;
  /** What a former life knew of the queues is lost. */
  #isYoung = true;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#seat = ports.keptSeat();
    if (this.#seat === undefined) {
      // Nobody knows what they are of: whoever is at the other end comes again.
      for (const socket of ports.sockets()) socket.close(CLOSE.goingAway, "unavailable");
      return;
    }
    for (const socket of ports.sockets()) this.#place(socket, socket.attached());
    this.#watchLeases();
  }

  /** Whether another socket may join, which it then does at once; the group is known and its queues ring from then on. */
  async admit(at: Parameters<Ports["seat"]>[0]): Promise<Outcome<true>> {
    if (this.#sockets.size >= LIMITS.streamsMax) {
      const facts = { limit: LIMITS.streamsMax, actual: this.#sockets.size + 1 };
      return refuse("too_many_waiters", "Too many streams of this group are open", facts);
    }
    if (this.#seat === undefined || this.#sockets.size === 0) {
      const found = await this.#ports.seat(at);
      if (!found.ok) return found;
      if (found.value === undefined) return gone(at.group);
      this.#sit(found.value);
    }
    this.#joining++;
    const outcome = await this.#listen();
    if (outcome.ok) return outcome;
    this.#joining--;
    this.#eraseIfLeft();
    return outcome;
  }

  /** The socket that was admitted is open and accepted. */
  join(
    socket: Socket,
    {
      consumerId,
      key,
    }: { readonly consumerId?: string | undefined; readonly key?: KeyMark | undefined },
  ): void {
    const attached: Attached = {
      version: 1,
      ...(consumerId === undefined ? {} : { consumerId }),
      ...(key === undefined ? {} : { key }),
      credit: 0,
      held: 0,
      heldUntil: 0,
    };
    this.#joining--;
    // The group may have gone since it was admitted.
    if (this.#seat === undefined) {
      this.#refuse(socket, refuse("group_not_found", "The group is gone"));
      socket.close(CLOSE.goingAway, "group_not_found");
      return;
    }
    socket.attach(attached);
    this.#place(socket, attached);
    this.#ports.setAlarm(this.#ports.clock.nowMs() + LOOK_AROUND_MS);
  }

  /** A queue has something. False: nobody listens here any more. */
  async ring(incarnation: number, group: number, queue: number): Promise<boolean> {
    const seat = this.#seat;
    const isOurs = seat?.stamp.incarnation === incarnation && seat.group.number === group;
    if (!isOurs || this.#isLeft) return false;
    this.#isYoung = false;
    for (const desk of this.#desks.values()) {
      void desk.leaser.rung(queue).then(() => desk.pump());
    }
    return Promise.resolve(true);
  }

  /** The group is gone: whoever listens is told. */
  async ended(incarnation: number, group: number): Promise<void> {
    const seat = this.#seat;
    if (seat?.stamp.incarnation !== incarnation || seat.group.number !== group) return;
    this.#end(gone(seat.group.name));
    return Promise.resolve();
  }

  async hear(socket: Socket, frame: string | ArrayBuffer): Promise<void> {
    const seated = this.#sockets.get(socket);
    if (seated === undefined) return;
    if (!seated.session.maySpeak(this.#ports.clock.nowMs())) {
      this.#refuse(socket, refuse("rate_limited", "Too many frames a second"));
      socket.close(CLOSE.policy, "rate_limited");
      return this.leave(socket, CLOSE.policy);
    }
    if (typeof frame !== "string")
      return this.#refuse(socket, refuse("invalid_request", "A frame is text, not bytes"));
    if (frame.length > FRAME_CHARS_MAX) {
      const facts = { limit: FRAME_CHARS_MAX, actual: frame.length };
      this.#refuse(socket, refuse("request_too_large", "The frame is too large", facts));
      socket.close(CLOSE.tooBig, "request_too_large");
      return this.leave(socket, CLOSE.tooBig);
    }
    if (!(await this.#isTrusted(socket, seated))) return undefined;
    const said = parseFrame(frame);
    if (!said.ok) return this.#refuse(socket, said);
    if (said.value.verb === "credit") this.#credit(socket, seated, said.value);
    else await this.#settle(socket, seated, said.value);
  }

  /** The socket is closed, or broke off. [S2] */
  async leave(socket: Socket, code: number): Promise<void> {
    const seated = this.#sockets.get(socket);
    if (seated === undefined) return;
    this.#sockets.delete(socket);
    const { session, desk } = seated;
    desk.sessions.delete(session);
    if (desk.sessions.size === 0) this.#desks.delete(session.consumerId ?? "");
    const receipts = session.receipts;
    if (receipts.length > 0)
      await desk.leaser.settle(
        receipts,
        GOODBYES.has(code)
          ? { verb: "release" }
          : { verb: "nack", delayMs: 0, reason: "connection_lost" },
      );
    this.#watchLeases();
    this.#eraseIfLeft();
  }

  /** The platform's alarm went off. */
  alarm(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    this.#ports.setAlarm(this.#ports.clock.nowMs() + LOOK_AROUND_MS);
    this.#lookEverywhere();
    return Promise.resolve();
  }

  // ------------------------------------------------------------ what is known

  /** Nobody is here, or about to be. */
  get #isLeft(): boolean {
    return this.#sockets.size + this.#joining === 0;
  }

  /** Whoever is about to join counts on the seat. */
  #eraseIfLeft(): void {
    if (this.#isLeft) this.#ports.erase();
  }

  #sit(seat: GroupSeat): void {
    this.#seat = seat;
    this.#ports.keepSeat(seat);
    for (const desk of this.#desks.values()) desk.leaser.sit(seat);
  }

  async #listen(): Promise<Outcome<true>> {
    const seat = this.#seat;
    if (seat === undefined) return refuse("unavailable", "The group is not known yet");
    const leaser = this.#newLeaser(seat);
    const outcome = await leaser.listen();
    return outcome.ok ? accept(true) : outcome;
  }

  #newLeaser(seat: GroupSeat): Leaser {
    return new Leaser(
      {
        queue: (known, queue, call) => this.#ports.queue(known, queue, call),
        bodies: this.#ports.bodies,
        look: ({ namespace, topic, group }) =>
          this.#ports.seat({ namespace, topic, group: group.name }),
        changed: (found) => {
          const isSame =
            found !== undefined &&
            found.stamp.incarnation === seat.stamp.incarnation &&
            found.group.number === seat.group.number;
          if (isSame) this.#sit(found);
          else this.#end(gone(seat.group.name));
        },
      },
      seat,
    );
  }

  #place(socket: Socket, attached: Attached): void {
    const seat = this.#seat;
    if (seat === undefined) return;
    const key = attached.consumerId ?? "";
    let desk = this.#desks.get(key);
    if (desk === undefined) {
      desk = new Desk(this.#newLeaser(seat), attached.consumerId, {
        clock: this.#ports.clock,
        verify: (one) => void this.#verify(one),
        give: (session, messages) => this.#give(session, messages),
        release: (receipts) => void desk?.leaser.settle(receipts, { verb: "release" }),
      });
      this.#desks.set(key, desk);
      desk.leaser.hints.ringAll();
    }
    const session = new Session(attached, this.#ports.clock.nowMs());
    desk.sessions.add(session);
    this.#sockets.set(socket, { session, desk, pending: 0, checking: undefined });
  }

  #end(why: Refusal): void {
    for (const socket of this.#sockets.keys()) {
      this.#refuse(socket, why);
      socket.close(CLOSE.goingAway, why.code);
    }
    this.#sockets.clear();
    this.#desks.clear();
    this.#seat = undefined;
    this.#ports.erase();
  }

  #lookEverywhere(): void {
    this.#isYoung = false;
    for (const desk of this.#desks.values()) {
      desk.leaser.hints.ringAll();
      desk.pump();
    }
  }

  // ------------------------------------------------------------ keys

  async #verify(session: Session): Promise<void> {
    const found = this.#find(session);
    if (found !== undefined && (await this.#isTrusted(...found))) found[1].desk.pump();
  }

  /** False: the socket was told, or the key could not be looked at, and nothing is done for it. */
  async #isTrusted(socket: Socket, seated: Seated): Promise<boolean> {
    const { session } = seated;
    const seat = this.#seat;
    const nowMs = this.#ports.clock.nowMs();
    if (session.isTrusted(nowMs)) return true;
    if (seat === undefined || session.key === undefined) return false;
    seated.checking ??= this.#ports.isGood(seat.namespace, session.key);
    const good = await seated.checking;
    seated.checking = undefined;
    if (!this.#sockets.has(socket)) return false;
    if (!good.ok) {
      this.#refuse(socket, good);
      return false;
    }
    if (good.value) session.trust(nowMs);
    if (session.isTrusted(this.#ports.clock.nowMs())) return true;
    this.#refuse(socket, refuse("unauthenticated", "The key is no longer a good one"));
    socket.close(CLOSE.policy, "unauthenticated");
    await this.leave(socket, CLOSE.goingAway);
    return false;
  }

  #find(session: Session): readonly [Socket, Seated] | undefined {
    return [...this.#sockets].find(([, seated]) => seated.session === session);
  }

  // ------------------------------------------------------------ messages and acks

  #give(session: Session, messages: readonly Delivery[]): boolean {
    const found = this.#find(session);
    if (found === undefined) return false;
    const [socket] = found;
    session.hold(messages);
    this.#attach(socket, session);
    socket.send(`{"messages":[${messages.map(deliveryJson).join(",")}]}`);
    this.#watchLeases();
    return true;
  }

  #credit(
    socket: Socket,
    { session, desk }: Seated,
    { credit, onePerMessageGroup = false }: Extract<Frame, { verb: "credit" }>,
  ): void {
    session.credit = credit;
    session.onePerMessageGroup = onePerMessageGroup;
    this.#attach(socket, session);
    if (this.#isYoung) this.#lookEverywhere();
    else desk.pump();
  }

  async #settle(socket: Socket, seated: Seated, frame: Exclude<Frame, { verb: "credit" }>) {
    const { session, desk } = seated;
    if (seated.pending >= PENDING_MAX)
      return this.#refuse(socket, refuse("overloaded", "Too many frames wait for their answer"));
    seated.pending++;
    const { receipts, ...how } = frame;
    const outcome = await desk.leaser.settle(receipts, how);
    seated.pending--;
    if (!this.#sockets.has(socket)) return;
    if (!outcome.ok) return this.#refuse(socket, outcome);
    for (const result of outcome.value) {
      if (frame.verb !== "extend") {
        // Of a receipt that is no longer good nothing is held either.
        if (result.ok || result.code === "receipt_expired") session.settle(result.receipt);
      } else if (result.ok && result.extended !== undefined)
        session.extend(result.receipt, result.extended.invisibleUntil);
    }
    this.#attach(socket, session);
    socket.send(JSON.stringify(resultsOf(outcome.value)));
    this.#watchLeases();
    if (frame.verb !== "extend") desk.pump();
  }

  #attach(socket: Socket, session: Session): void {
    socket.attach(session.attached);
  }

  #refuse(socket: Socket, refusal: Refusal): void {
    socket.send(JSON.stringify({ error: problemOf(refusal) }));
  }

  /** Leases that run out free their credit. The timer also keeps the memory, as long as something is held. */
  #watchLeases(): void {
    const nowMs = this.#ports.clock.nowMs();
    let next = Infinity;
    for (const { session } of this.#sockets.values())
      next = Math.min(next, session.expire(nowMs) ?? Infinity);
    if (next === this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = next;
    // Nothing is held: nothing keeps the object awake.
    if (next === Infinity) return;
    this.#cancelTimer = this.#ports.clock.after(Math.max(EXPIRE_SPACING_MS, next - nowMs), () => {
      this.#timerAt = Infinity;
      this.#watchLeases();
      for (const desk of this.#desks.values()) desk.pump();
    });
  }
}

const gone = (group: string): Refusal => refuse("group_not_found", "The group is gone", { group });
