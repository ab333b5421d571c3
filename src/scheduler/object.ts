/**
 * The Durable Object of a namespace's schedules: a shell that gives the scheduler its storage, alarm and ports. Every public
 * method answers over RPC; it never decides anything.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { base64url, randomBytes } from "../platform/random.ts";
import { callObject } from "../platform/stub.ts";
import type { Env, ScheduleSenderRpc, SchedulerRpc } from "../protocol/rpc.ts";
import type { Ports } from "./ports.ts";
import { Scheduler } from "./scheduler.ts";

/** Longer than a send takes to give up. */
const SEND_TIMEOUT_MS = 30_000;
const ID_BYTES = 18;

type Rpc<K extends keyof SchedulerRpc> = ReturnType<SchedulerRpc[K]>;
type Args<K extends keyof SchedulerRpc> = Parameters<SchedulerRpc[K]>;

export class SchedulerObject extends DurableObject<Env> implements SchedulerRpc {
  #scheduler!: Scheduler;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const armedAt = (await ctx.storage.getAlarm()) ?? undefined;
      this.#scheduler = new Scheduler(ctx.storage, portsOf(ctx, armedAt));
    });
  }

  override alarm(): void {
    this.#scheduler.alarm();
  }

  admits(...args: Args<"admits">): Rpc<"admits"> {
    return this.#scheduler.admits(...args);
  }

  put(...args: Args<"put">): Rpc<"put"> {
    return this.#scheduler.put(...args);
  }

  get(...args: Args<"get">): Rpc<"get"> {
    return this.#scheduler.get(...args);
  }

  list(...args: Args<"list">): Rpc<"list"> {
    return this.#scheduler.list(...args);
  }

  pause(...args: Args<"pause">): Rpc<"pause"> {
    return this.#scheduler.pause(...args);
  }

  delete(...args: Args<"delete">): Rpc<"delete"> {
    return this.#scheduler.delete(...args);
  }

  async poke(): Rpc<"poke"> {
    this.#scheduler.poke((await this.ctx.storage.getAlarm()) ?? undefined);
  }
}

function portsOf(ctx: DurableObjectState, armedAt: number | undefined): Ports {
  const namespace = ctx.id.name;
  if (namespace === undefined) throw new Error("a scheduler is reached by its name only");
  return {
    namespace,
    send: (firing) =>
      callObject(
        () => ctx.exports.ScheduleSender as unknown as ScheduleSenderRpc,
        (sender) => sender.send(firing),
        { attemptsMax: 1, timeoutMs: SEND_TIMEOUT_MS },
      ),
    armedAt,
    setAlarm: (atMs) => void ctx.storage.setAlarm(atMs),
    newId: () => base64url(randomBytes(ID_BYTES)),
    clock: systemClock,
    log,
  };
}
