/**
 * The pusher of one group: takes leases of what is visible, sends each batch, and tells the queue what became of it. It only
 * delivers: attempts, backoff, dead letters and order are the queue's. It never keeps a message.
 *
 * [P1] At most `concurrency` calls are open, and at most `ratePerSecond` messages go out, for the group as a whole.
 * [P2] Nothing is promised in memory only: as long as it has or may have something to do, its alarm is armed; a lease that
 * is lost with the object runs out at its queue; a queue that it was not told of rings again.
 * [P3] While the endpoint is left alone, nothing is leased but what one try needs, and nothing of that counts unless the
 * endpoint answered.
 * [P4] An endpoint that is to be asked first is not called before it has granted that, and nothing is leased for it.
 */
import { Leaser } from "../leasing/leaser.ts";
import type { Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { PusherRpc, PushRecord, PushState } from "../protocol/rpc.ts";
import type { PushSettings } from "../protocol/topic.ts";
import type { BreakerState } from "./breaker.ts";
import { afterFailure, afterPlea, CLOSED, gateOf } from "./breaker.ts";
import type { Verdict } from "./classify.ts";
import { type Batch, deliver, settle, type Uncounted } from "./deliver.ts";
import { Grants } from "./grants.ts";
import { Pace } from "./pace.ts";
import type { Ports, PushQuestion } from "./ports.ts";

/** When a pusher that has something to do looks again, whatever happened. */
const WATCH_MS = 30_000;
/** After a queue or the registry could not be reached. */
const REST_MS = 1_000;
/** A lease is held longer than the call takes, for getting it and for telling its end. */
const MARGIN_MS = 10_000;
/** Large bodies count until their call has ended and the queue was told, which takes no longer than that. */
const SETTLED_MS_MAX = 60_000;
/** Bytes of messages in calls that are open, beside the first. */
const OPEN_BYTES_MAX = 16 * 1024 * 1024;
/**
 * What was tried in vain comes back after the next tries, so that others are tried meanwhile: a message at which the endpoint
 * breaks must not keep those behind it from showing that it is back.
 */
const TRIES_OF_OTHERS = 3;

interface Gone {
  readonly version: number;
  readonly reason: string;
}

interface Active {
  readonly record: PushRecord;
  readonly push: PushSettings;
  readonly leaser: Leaser;
}

type Seen = Partial<Pick<PushState, "lastCallAt" | "lastSuccessAt" | "lastFailure">>;

export class Pusher implements PusherRpc {
  readonly #ports: Ports;
  #record: PushRecord | undefined;
  #leaser: Leaser | undefined;
  #breaker: BreakerState;
  #pace: Pace;
  readonly #grants: Grants;
  #open = 0;
  #openBytes = 0;
  #armedAt: number | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Memory is young: what a former life knew of the queues is lost. */
  #isYoung = true;
  /** The version whose endpoint said that it is gone, and the registry may not know yet. */
  #gone: Gone | undefined;
  #seen: Seen = {};

  constructor(ports: Ports) {
    const { kept, clock } = ports;
    this.#ports = ports;
    this.#armedAt = ports.armedAt;
    this.#breaker = (kept.get("breaker") as BreakerState | undefined) ?? CLOSED;
    this.#gone = kept.get("gone") as Gone | undefined;
    this.#grants = new Grants(ports);
    this.#pace = new Pace(Infinity, clock.nowMs());
    const record = kept.get("record") as PushRecord | undefined;
    if (record !== undefined) this.#sit(record);
    // It had something to do when it was lost.
    if (this.#armedAt !== undefined) this.#lookEverywhere();
    this.#pump();
  }

  configure(
    record: PushRecord | undefined,
    upTo: { incarnation: number; version: number },
  ): Promise<void> {
    const known = this.#record;
    const isNews =
      known === undefined ||
      known.stamp.incarnation < upTo.incarnation ||
      (known.stamp.incarnation === upTo.incarnation && known.version < upTo.version);
    if (!isNews) return Promise.resolve();
    if (record === undefined) this.#end();
    else this.#adopt(record);
    return Promise.resolve();
  }

  ring(incarnation: number, group: number, queue: number): Promise<void> {
    const leaser = this.#leaser;
    const { stamp, group: known } = this.#record ?? {};
    if (leaser === undefined || stamp?.incarnation !== incarnation || known?.number !== group)
      return Promise.resolve();
    void leaser.rung(queue).then(() => this.#pump());
    return Promise.resolve();
  }

  state(): Promise<PushState | undefined> {
    const record = this.#record;
    if (record === undefined) return Promise.resolve(undefined);
    const gate = gateOf(this.#breaker, this.#ports.clock.nowMs());
    const isDisabled = pushOf(record)?.disabled !== undefined || this.#isGone;
    const state = isDisabled
      ? "disabled"
      : record.group.paused
        ? "paused"
        : gate.is === "closed"
          ? "active"
          : "waiting";
    return Promise.resolve({
      state,
      openCalls: this.#open,
      failures: this.#breaker.failures,
      ...(state === "waiting" ? { nextTryAt: this.#breaker.openUntil } : {}),
      ...this.#seen,
    });
  }

  /** The platform's alarm went off. */
  alarm(): Promise<void> {
    this.#armedAt = undefined;
    if (this.#isYoung) this.#lookEverywhere();
    if (this.#isGone) void this.#tellGone();
    this.#pump();
    return Promise.resolve();
  }

  // ------------------------------------------------------------ what is known

  #adopt(record: PushRecord): void {
    const { kept } = this.#ports;
    const isChanged = this.#record?.version !== record.version;
    kept.put("record", record);
    this.#sit(record);
    // Somebody set it: the endpoint is tried at once.
    if (isChanged) {
      this.#turn(CLOSED);
      this.#lookEverywhere();
    }
    this.#pump();
  }

  #sit(record: PushRecord): void {
    const before = this.#record;
    this.#record = record;
    const isSameGroup =
      before?.stamp.incarnation === record.stamp.incarnation &&
      before.group.number === record.group.number;
    if (this.#leaser === undefined || !isSameGroup) this.#leaser = this.#newLeaser(record);
    else this.#leaser.sit(record);
    this.#keepPace();
  }

  #keepPace(): void {
    const push = this.#record === undefined ? undefined : pushOf(this.#record);
    this.#pace.change(this.#grants.ratePerSecond(push), this.#ports.clock.nowMs());
  }

  #newLeaser(record: PushRecord): Leaser {
    const leaser: Leaser = new Leaser(
      {
        queue: (seat, queue, call) => this.#ports.queue(seat, queue, call),
        bodies: this.#ports.bodies,
        look: () => this.#ports.record(this.#record ?? record),
        changed: (seat) => {
          if (this.#leaser !== leaser) return;
          if (seat === undefined) this.#end();
          else this.#adopt(seat as PushRecord);
        },
      },
      record,
    );
    return leaser;
  }

  #end(): void {
    this.#record = undefined;
    this.#leaser = undefined;
    this.#breaker = CLOSED;
    this.#gone = undefined;
    this.#grants.forget();
    this.#armedAt = undefined;
    this.#ports.erase();
  }

  #lookEverywhere(): void {
    this.#isYoung = false;
    this.#leaser?.hints.ringAll();
  }

  get #isGone(): boolean {
    return this.#gone !== undefined && this.#gone.version === this.#record?.version;
  }

  /** The push as it is to be carried out now; undefined while nothing is to be sent. */
  get #active(): Active | undefined {
    const record = this.#record;
    const leaser = this.#leaser;
    const push = record === undefined ? undefined : pushOf(record);
    if (record === undefined || leaser === undefined || push === undefined) return undefined;
    if (push.disabled !== undefined || record.group.paused || this.#isGone) return undefined;
    return { record, push, leaser };
  }

  // ------------------------------------------------------------ sending

  /** Sends as much as may be sent now, and arms for the rest. Returns at once. [P1] */
  #pump(): void {
    for (;;) {
      const active = this.#active;
      if (active === undefined) return;
      const { push, leaser } = active;
      const nowMs = this.#ports.clock.nowMs();
      if (this.#open > 0 || !leaser.hints.isQuiet) this.#arm(nowMs + WATCH_MS);
      const gate = gateOf(this.#breaker, nowMs);
      if (gate.is === "open") {
        if (!leaser.hints.isQuiet) this.#arm(gate.until);
        return;
      }
      const isProbe = gate.is === "probing";
      if (this.#open >= (isProbe ? 1 : push.concurrency)) return;
      if (this.#open > 0 && this.#openBytes >= OPEN_BYTES_MAX) return;
      const question = this.#grants.missing(push);
      if (question !== undefined) {
        if (!leaser.hints.isQuiet && !this.#grants.isAsking) void this.#ask(active, question);
        return;
      }
      const waitMs = this.#pace.waitMs(nowMs);
      if (waitMs > 0) return leaser.hints.isQuiet ? undefined : this.#later(waitMs);
      const queue = leaser.hints.next(nowMs);
      if (queue === undefined) return this.#later(leaser.hints.restMs(nowMs));
      const count = this.#pace.take(isProbe ? 1 : callSize(push), nowMs);
      this.#open++;
      void this.#send(active, queue, count, isProbe)
        .catch((error: unknown) => this.#ports.log.error("push.bug", { message: String(error) }))
        .finally(() => {
          this.#open--;
          this.#pump();
        });
    }
  }

  /** [P4] A refusal, or no answer, leaves the endpoint alone; what waits keeps its attempts. */
  async #ask(active: Active, question: PushQuestion): Promise<void> {
    const permission = await this.#grants.ask(question);
    if (this.#record?.version === active.record.version) {
      if (permission.is === "granted") this.#keepPace();
      else {
        const { is: _, ...why } = permission;
        this.#learn({ ...active, messages: [] }, { is: "busy", ...why }, this.#ports.clock.nowMs());
      }
    }
    this.#pump();
  }

  async #send(
    { record, push, leaser }: Active,
    queue: number,
    count: number,
    isProbe: boolean,
  ): Promise<void> {
    const { clock } = this.#ports;
    const leased = await leaser.lease(queue, {
      maxMessages: count,
      invisibleMs: leaseMs(record, push),
      bytesMax: LIMITS.pushBytesMax,
    });
    const messages = leased.ok ? leased.value.messages : [];
    this.#pace.giveBack(count - messages.length);
    if (!leased.ok) leaser.hints.rest(queue, clock.nowMs() + REST_MS);
    // The queue may be asked again, for another call.
    this.#pump();
    if (!leased.ok || messages.length === 0) return;
    this.#openBytes += leased.value.bytes;
    const filled = await leaser.complete(messages, push.timeoutMs + SETTLED_MS_MAX);
    try {
      await this.#deliver({ record, push, leaser, messages: filled.messages }, isProbe);
    } finally {
      filled.end();
      this.#openBytes -= leased.value.bytes;
    }
  }

  async #deliver(batch: Batch, isProbe: boolean): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    if (batch.messages.length === 0) return;
    // What changed while the lease was on its way holds for it, too.
    const isOff = this.#active?.record.version !== batch.record.version;
    if (isOff || gateOf(this.#breaker, nowMs).is === "open") return settle(this.#ports, batch, {});
    this.#seen = { ...this.#seen, lastCallAt: nowMs };
    const verdict = await deliver(this.#ports, batch);
    await this.#apply(batch, verdict, isProbe);
  }

  /** [P3] */
  async #apply(batch: Batch, verdict: Verdict, isProbe: boolean): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    const wasOpen = gateOf(this.#breaker, nowMs).is === "open";
    const isCurrent = this.#record?.version === batch.record.version;
    if (isCurrent) this.#learn(batch, verdict, nowMs);
    if (verdict.is === "taken") return settle(this.#ports, batch, verdict);
    const counts =
      verdict.is === "failed" && !(isProbe && verdict.unreachable) && (isProbe || !wasOpen);
    if (counts) return settle(this.#ports, batch, verdict);
    const fates = verdict.is === "failed" ? verdict.fates : undefined;
    const released: Uncounted = fates === undefined ? {} : { fates };
    if (!isProbe || verdict.is === "gone") return settle(this.#ports, batch, released);
    const delayMs = TRIES_OF_OTHERS * Math.max(0, this.#breaker.openUntil - nowMs);
    return settle(this.#ports, batch, { ...released, delayMs });
  }

  #learn(batch: Batch, verdict: Verdict, nowMs: number): void {
    const { random, log } = this.#ports;
    const { topic, namespace, group } = batch.record;
    if (verdict.is === "taken") {
      this.#seen = { ...this.#seen, lastSuccessAt: nowMs };
      this.#turn(CLOSED);
      return;
    }
    const { reason } = verdict;
    const status = verdict.status === undefined ? {} : { status: verdict.status };
    this.#seen = { ...this.#seen, lastFailure: { at: nowMs, reason, ...status } };
    const fields = { namespace, topic, group: group.name, reason, ...status };
    log.info("push.failed", { ...fields, messages: batch.messages.length });
    if (verdict.is === "gone") {
      this.#gone = { version: batch.record.version, reason };
      this.#ports.kept.put("gone", this.#gone);
      log.error("push.disabled", fields);
      void this.#tellGone();
      return;
    }
    const next =
      verdict.is === "busy"
        ? afterPlea(this.#breaker, nowMs, random(), verdict.delayMs)
        : afterFailure(this.#breaker, nowMs, random());
    if (next.openings > 0 && this.#breaker.openings === 0) log.error("push.waiting", fields);
    this.#turn(next);
  }

  /** What is open is kept, so that a lost memory does not try a failing endpoint anew; single failures are not worth a row. */
  #turn(next: BreakerState): void {
    const before = this.#breaker;
    this.#breaker = next;
    if (before.openings === next.openings && before.openUntil === next.openUntil) return;
    this.#ports.kept.put("breaker", next);
  }

  /** The registry must know, so that the queues stop ringing and people see it; the alarm tries again. */
  async #tellGone(): Promise<void> {
    const record = this.#record;
    const gone = this.#gone;
    if (record === undefined || gone === undefined || gone.version !== record.version) return;
    if (pushOf(record)?.disabled !== undefined) return;
    this.#arm(this.#ports.clock.nowMs() + WATCH_MS);
    const outcome: Outcome<unknown> = await this.#ports.disable(record, gone.reason);
    if (!outcome.ok) this.#ports.log.error("push.disable_failed", { code: outcome.code });
  }

  // ------------------------------------------------------------ time

  /** [P2] The alarm is never later than `atMs`; each that is set is a row. */
  #arm(atMs: number): void {
    const nowMs = this.#ports.clock.nowMs();
    if (this.#armedAt !== undefined && this.#armedAt <= atMs && this.#armedAt > nowMs) return;
    this.#armedAt = Math.max(atMs, nowMs);
    this.#ports.setAlarm(this.#armedAt);
  }

  #later(delayMs: number | undefined): void {
    if (delayMs === undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#ports.clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      this.#pump();
    });
  }
}

const pushOf = (record: PushRecord): PushSettings | undefined => record.group.settings.push;

/** An event is a call of its own. */
const callSize = ({ format, maxMessages }: PushSettings): number =>
  format === undefined ? maxMessages : 1;

const leaseMs = (record: PushRecord, { timeoutMs }: PushSettings): number =>
  Math.max(record.group.settings.invisibleMs, timeoutMs + MARGIN_MS);
