/**
 * Sets schedules, pauses them, sets them anew, deletes them and sets them again, one thing after the other, and writes down when.
 * What it asks for is surely done when it goes on, and can surely not be done once more.
 */
import type { Broker } from "../../../src/broker/broker.ts";
import type { Outcome } from "../../../src/protocol/errors.ts";
import type { Calendar, CalendarRest, SeenSchedule } from "../checker/calendar.ts";
import type { Request } from "../history.ts";
import { LATE_MS_MAX, type PlannedSchedule } from "../plan.ts";
import type { Dice } from "../world/dice.ts";
import { contentOf } from "../world/mark.ts";
import { NAMESPACE } from "../world/wakes.ts";
import { Client, type Scene } from "./client.ts";

/** Nobody receives from it: what it has is what was run. */
export const CALENDAR_TOPIC = "calendar";
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

type Asked = SeenSchedule["set"];
type Verb = Extract<Request, { readonly is: "schedule" }>["verb"];
type Seen = SeenSchedule & { readonly pauses: SeenSchedule["pauses"][number][] };

export class Ticker extends Client {
  readonly #planned: PlannedSchedule;
  readonly #seen: Seen[] = [];

  constructor(name: string, scene: Scene, dice: Dice, planned: PlannedSchedule) {
    super(name, scene, dice);
    this.#planned = planned;
  }

  async run(): Promise<void> {
    await this.#put();
    while (!this.scene.isDraining) {
      await this.pause(this.dice.roll() * 2 * this.#stepMs);
      if (this.scene.isDraining) return;
      const what = this.dice.weighted({ nothing: 1, pauses: 2, changes: 1, anew: 1 });
      if (what === "pauses") await this.#pause();
      else if (what === "changes") await this.#put();
      else if (what === "anew") {
        await this.#delete();
        await this.pause(this.dice.roll() * this.#stepMs);
        await this.#put();
      }
    }
  }

  /** How far it is; then it is deleted, and comes no further. */
  async end(): Promise<CalendarRest> {
    const { name } = this.#planned;
    const outcome = await this.scene.deployment.request((broker) =>
      broker.schedule(NAMESPACE, name),
    );
    if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
    const { nextRunAt = Infinity, pendingRun } = outcome.value;
    const wall = this.scene.host.wallMs();
    const pending = pendingRun === undefined ? {} : { pending: pendingRun.scheduledAt };
    const rest = { name: this.#last.name, nextRunAt, wall, ...pending };
    await this.#delete();
    return rest;
  }

  get seen(): Calendar["schedules"] {
    return this.#seen;
  }

  get #last(): Seen {
    const last = this.#seen.at(-1);
    if (last === undefined) throw new Error("nothing was set");
    return last;
  }

  get #stepMs(): number {
    return Math.max(...this.#planned.stepsMs);
  }

  /** With another distance between its runs each time, so that it begins anew, and something else to send. */
  async #put(): Promise<void> {
    const { name, stepsMs, missed } = this.#planned;
    const stepMs = stepsMs[this.#seen.length % stepsMs.length] ?? SECOND_MS;
    const mark = this.fresh();
    const content = contentOf({ mark, topic: CALENDAR_TOPIC }, this.dice.int(0, 60));
    const rule = { topic: CALENDAR_TOPIC, cron: cronOf(stepMs), timeZone: "UTC", missed };
    const set = await this.#surely("put", { mark, stepMs }, (broker) =>
      broker.putSchedule(NAMESPACE, name, rule, content),
    );
    this.#endLast(set);
    this.#seen.push({ name: mark, stepMs, missed, pauses: [], set });
  }

  async #delete(): Promise<void> {
    const { name } = this.#planned;
    this.#endLast(
      await this.#surely("delete", {}, (broker) => broker.deleteSchedule(NAMESPACE, name)),
    );
  }

  #endLast(ended: Asked): void {
    const last = this.#seen.pop();
    if (last !== undefined) this.#seen.push(last.ended === undefined ? { ...last, ended } : last);
  }

  async #pause(): Promise<void> {
    const { name } = this.#planned;
    const say = (paused: boolean): Promise<Asked> =>
      this.#surely(paused ? "pause" : "resume", {}, (broker) =>
        broker.pauseSchedule(NAMESPACE, name, paused),
      );
    const paused = await say(true);
    await this.pause(this.dice.roll() * 4 * this.#stepMs);
    const resumed = await say(false);
    this.#last.pauses.push({
      from: paused.from,
      surelyFrom: paused.to,
      surelyTo: resumed.from,
      to: resumed.to,
    });
  }

  async #surely<T>(
    verb: Verb,
    what: { readonly mark?: string; readonly stepMs?: number },
    run: (broker: Broker) => Promise<Outcome<T>>,
  ): Promise<Asked> {
    const { host } = this.scene;
    const from = host.wallMs();
    for (;;) {
      const ended = await this.ask({
        request: { is: "schedule", name: this.#planned.name, verb, ...what },
        run,
        answer: () => ({ is: "done" }),
        retries: 0,
        patienceMs: LATE_MS_MAX,
      });
      const isGone = ended.is === "refused" && ended.code === "schedule_not_found";
      if (ended.is === "ok" || (isGone && verb === "delete")) return { from, to: host.wallMs() };
      await this.pause(LATE_MS_MAX);
    }
  }
}

const cronOf = (stepMs: number): string =>
  stepMs < MINUTE_MS ? `*/${stepMs / SECOND_MS} * * * * *` : `*/${stepMs / MINUTE_MS} * * * *`;
