/**
 * The limits of keys on their sends, as one isolate enforces them: it takes shares out of the namespace's one bucket, so
 * that the limit holds over all isolates, and asks some ten times a second at most. A share is used within a second or
 * lost. It never lets through what the registry did not grant.
 */
import { systemClock, type Clock } from "../platform/clock.ts";
import { callObject } from "../platform/stub.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import {
  registryObjectName,
  type Env,
  type RegistryRpc,
  type SendLimits,
} from "../protocol/rpc.ts";
import type { Principal } from "./principal.ts";

const SHARE_MS = 1_000;
/** A share ahead is at most this part of what the isolate let through in the last second, so that little is lost. */
const AHEAD = 0.1;
const KEYS_MAX = 10_000;

interface Share {
  left: number;
  untilMs: number;
  /** Refused until then, without asking. */
  emptyUntilMs: number;
  /** Let through since `usedSinceMs`, and in the second before. */
  used: number;
  usedBefore: number;
  usedSinceMs: number;
}

type Take = (
  principal: Principal,
  least: number,
  most: number,
) => Promise<Outcome<{ granted: number }>>;

export class SendGate {
  readonly #take: Take;
  readonly #clock: Clock;
  readonly #shares = new Map<string, Share>();

  constructor(take: Take, clock: Clock) {
    this.#take = take;
    this.#clock = clock;
  }

  /** May the key send so many messages now? */
  async admit(principal: Principal, messages: number): Promise<Outcome<undefined>> {
    const { limits } = principal;
    if (limits === undefined) return accept(undefined);
    if (messages > limits.burst) {
      const detail = `The key sends at most ${limits.burst} messages at a time`;
      const facts = { field: "messages", limit: limits.burst, actual: messages };
      return refuse("request_too_large", detail, facts);
    }
    const nowMs = this.#clock.nowMs();
    const share = this.#share(principal, nowMs);
    if (nowMs >= share.untilMs) share.left = 0;
    if (share.left >= messages) return use(share, messages);
    if (nowMs < share.emptyUntilMs) return empty(limits, share.emptyUntilMs - nowMs);
    const least = messages - share.left;
    const most = least + Math.ceil(Math.max(share.used, share.usedBefore) * AHEAD);
    const had = share.left;
    // What is left counts for this request alone: another one that comes meanwhile asks for itself.
    share.left = 0;
    const taken = await this.#take(principal, least, most);
    if (!taken.ok) {
      share.left += had;
      if (taken.code === "rate_limited" && taken.retryAfterMs !== undefined)
        share.emptyUntilMs = this.#clock.nowMs() + Math.min(taken.retryAfterMs, SHARE_MS);
      return taken;
    }
    share.left += had + taken.value.granted;
    share.untilMs = this.#clock.nowMs() + SHARE_MS;
    return use(share, messages);
  }

  #share({ namespace, keyName }: Principal, nowMs: number): Share {
    const name = `${namespace}/${keyName}`;
    let share = this.#shares.get(name);
    if (share === undefined) {
      share = {
        left: 0,
        untilMs: 0,
        emptyUntilMs: 0,
        used: 0,
        usedBefore: 0,
        usedSinceMs: nowMs,
      };
      if (this.#shares.size >= KEYS_MAX) this.#shares.clear();
      this.#shares.set(name, share);
    }
    if (nowMs - share.usedSinceMs >= SHARE_MS) {
      share.usedBefore = nowMs - share.usedSinceMs < 2 * SHARE_MS ? share.used : 0;
      share.used = 0;
      share.usedSinceMs = nowMs;
    }
    return share;
  }
}

function use(share: Share, messages: number): Outcome<undefined> {
  share.left -= messages;
  share.used += messages;
  return accept(undefined);
}

function empty({ sendsPerSecond }: SendLimits, retryAfterMs: number): Refusal {
  const detail = `The key sends at most ${sendsPerSecond} messages a second`;
  return { ...refuse("rate_limited", detail, { limit: sendsPerSecond }), retryAfterMs };
}

/** The gate of one isolate. */
export const sendGate = (env: Pick<Env, "REGISTRY">): SendGate =>
  new SendGate(
    ({ namespace, keyName }, least, most) =>
      callObject(
        () => env.REGISTRY.getByName(registryObjectName(namespace)) as RegistryRpc,
        (registry) => registry.takeSends(keyName, least, most),
      ),
    systemClock,
  );
