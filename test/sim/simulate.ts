/**
 * One seed, from nothing to rest: the plan is drawn, clients work while the nemesis strikes, then faults stop and all must
 * drain in bounded time. Answers the history; it judges nothing.
 */
import { DEFAULTS } from "../../src/protocol/limits.ts";
import { PUSH_DEFAULTS } from "../../src/protocol/topic.ts";
import { EventClock } from "../kit/event-clock.node.ts";
import { emptyBin, WATCHDOG_MS } from "./bin.ts";
import type { NewEvent } from "./actors/actor.ts";
import type { Scene } from "./clients/client.ts";
import { Consumer } from "./clients/consumer.ts";
import { Looker } from "./clients/looker.ts";
import { Operator } from "./clients/operator.ts";
import { notesFor } from "./clients/pushed.ts";
import { Producer } from "./clients/producer.ts";
import { Streamer } from "./clients/streamer.ts";
import { CALENDAR_TOPIC, Ticker } from "./clients/ticker.ts";
import { Checker, PRODUCER_GROUPS, Transactor } from "./clients/transactor.ts";
import type { History, RetentionPlan } from "./history.ts";
import { strike } from "./nemesis.ts";
import {
  CALM,
  drawPlan,
  LATE_MS_MAX,
  type Plan,
  type PlannedGroup,
  retentionsOf,
  viewsOf,
} from "./plan.ts";
import { restOf, runsOf, unrest } from "./rest.ts";
import { Deployment, tameDigests } from "./world/deployment.ts";
import { NAMESPACE } from "./world/wakes.ts";
import { Dice } from "./world/dice.ts";
import { Endpoint } from "./world/endpoint.ts";
import { type Faults, Host } from "./world/host.ts";
import { HONEST, Receiver } from "./world/receiver.ts";

export interface Run {
  readonly seed: number;
  readonly steps: number;
  /** Leaves kinds of strikes and faults out, to see whether a failure needs them. */
  readonly without?: readonly string[];
  /** How bad the platform is beside what the seed says, to provoke what seldom happens. */
  readonly faults?: Partial<Faults>;
}

export interface Ran extends History {
  /** Exceptions that no fault explains: each is a bug. */
  readonly errors: readonly string[];
}

/** All must have drained within this much of invented time after the last fault. */
const DRAIN_MS_MAX = 600_000;
/** The longer it takes, the longer it looks away. */
const DRAIN_LOOK_MS = 1_000;
const DRAIN_LOOK_SHARE = 0.2;
const DRAIN_LOOK_MS_MAX = 10_000;
const PUSH_URL = "https://shop.example/messages";
const PUSH_TIMEOUT_MS = 1_000;
/** Long enough for a schedule that is deleted and does not know it. */
const SILENCE_MS = 10_000;

export async function simulate(run: Run): Promise<Ran> {
  tameDigests();
  const dice = new Dice(run.seed);
  // Beside the seed's own dice, whose draws they must not shift.
  const own = {
    bucket: new Dice(run.seed + 1_000_003),
    features: new Dice(run.seed + 2_000_003),
    lines: new Dice(run.seed + 3_000_003),
    calls: new Dice(run.seed + 4_000_003),
  };
  const drawn = drawPlan(dice, own);
  const whole =
    run.without === undefined || run.without.length === 0 ? drawn : reduced(drawn, run.without);
  const plan =
    run.faults === undefined ? whole : { ...whole, faults: { ...whole.faults, ...run.faults } };
  const clock = new EventClock();
  const errors: string[] = [];
  const note = (error: unknown): void =>
    void errors.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  const host = new Host(clock, dice.fork(), plan.faults, note);
  const events: History["events"][number][] = [];
  const record = (event: NewEvent): void =>
    void events.push({ at: clock.nowMs(), wall: host.wallMs(), ...event });
  const endpoint = new Endpoint(
    clock,
    dice.fork(),
    plan.hostileEndpoints,
    (transactionId, attempt, said) => record({ is: "asked", transactionId, attempt, said }),
  );
  const receiver = new Receiver(
    clock,
    own.features.fork(),
    plan.hostileEndpoints,
    notesFor(record, () => scene.nextOp++, DEFAULTS.invisibleMs),
  );
  const deployment = new Deployment(host, dice.fork(), {
    ringDeltas: plan.ringDeltas,
    inlineBytesMax: plan.inlineBytesMax,
    coldAfterMs: plan.coldAfterMs,
    blockBytes: plan.blockBytes,
    bucketDice: own.bucket,
    hasSchedules: plan.schedules.length > 0,
    sharesCalls: plan.sharesCalls,
    callDice: own.calls,
    post: (question) => endpoint.post(question),
    push: (post) => receiver.post(post),
    onBegun: (transactionId, attempt) => record({ is: "begun", transactionId, attempt }),
    onCommitted: (transactionId) => record({ is: "committed", transactionId }),
  });
  const scene: Scene = {
    plan,
    host,
    deployment,
    endpoint,
    receiver,
    events,
    steps: run.steps,
    nextOp: 1,
    isDraining: false,
    isOver: false,
  };
  try {
    const all = play(scene, dice, own.lines);
    await clock.runUntil(all);
    const isCalm = plan.strikeEveryMs === Infinity && plan.faults === CALM;
    return {
      seed: run.seed,
      isCalm,
      groups: viewsOf(plan.groups),
      fleeting: retentionsOf(plan).map(({ topic }) => topic),
      retentions: retentionsOf(plan),
      events,
      ...(await all),
      errors,
    };
  } finally {
    host.close();
  }
}

async function play(
  scene: Scene,
  dice: Dice,
  lines: Dice,
): Promise<Pick<History, "rest" | "calendar">> {
  const { plan, host, endpoint, receiver, deployment } = scene;
  await setUp(scene);
  host.faults = plan.faults;
  const working = new Set<Promise<void>>();
  const start = (client: { run(): Promise<void> }): Promise<void> => {
    const done = client.run();
    working.add(done);
    return done;
  };
  const operator = new Operator("o", scene, dice.fork());
  const finite: Promise<void>[] = [];
  for (let index = 0; index < plan.producers; index++)
    finite.push(start(new Producer(`p${index}`, scene, dice.fork())));
  for (let index = 0; index < plan.transactors; index++)
    finite.push(start(new Transactor(`x${index}`, scene, dice.fork())));
  for (const group of viewsOf(plan.groups.filter(isPolled)))
    for (let index = 0; index < plan.consumersPerGroup; index++) {
      const { topic, consumerId: consumer } = group;
      const name = `c-${topic}-${group.group}-${consumer === undefined ? "" : `${consumer}-`}${index}`;
      void start(new Consumer(name, scene, dice.fork(), group));
    }
  for (const streamer of streamersOf(scene, lines)) void start(streamer);
  void start(new Checker("k", scene, dice.fork()));
  for (const { topic } of retentionsOf(plan)) {
    const looker = new Looker("l", scene, dice.fork());
    void start({ run: () => looker.run(topic) });
  }
  const operating = start(operator);
  const tickers = plan.schedules.map(
    (planned) => new Ticker(planned.name, scene, lines.fork(), planned),
  );
  const ticking = tickers.map(start);
  const striking = strike(scene, dice.fork());
  await Promise.all(finite);
  scene.isDraining = true;
  await Promise.all([operating, striking, ...ticking]);
  host.faults = CALM;
  if (host.mendClock() > 0)
    scene.events.push({ at: host.clock.nowMs(), wall: host.wallMs(), is: "fault", fault: "clock" });
  for (const name of host.names(false)) host.failIn(name, Infinity);
  endpoint.habits = {
    honest: 1,
    slow: 0,
    hangs: 0,
    fails: 0,
    garbage: 0,
    undecided: 0,
    mistaken: 0,
    other: 0,
    flips: 0,
  };
  receiver.habits = HONEST;
  // What was sent twice and got stuck arrives before all goes on, and before it is counted.
  await host.clock.pause(LATE_MS_MAX);
  await operator.unpauseAll();
  if (plan.pacedRedrives) await operator.redriveAll();
  const why = await drain(scene);
  scene.isOver = true;
  await Promise.all(working);
  const rests = await Promise.all(tickers.map((ticker) => ticker.end()));
  await deployment.watchdog();
  await emptyBin(scene);
  const rest = await restOf(scene, why);
  if (tickers.length === 0) return { rest };
  await host.clock.pause(SILENCE_MS);
  const schedules = tickers.flatMap(({ seen }) => seen);
  return { rest, calendar: { schedules, runs: await runsOf(scene), rests } };
}

const isPolled = ({ push, stream }: PlannedGroup): boolean =>
  push === undefined && stream === undefined;

function streamersOf(scene: Scene, dice: Dice): Streamer[] {
  return scene.plan.groups.flatMap((planned) => {
    const { stream } = planned;
    if (stream === undefined) return [];
    const { sockets, invisibleMs } = stream;
    return viewsOf([planned]).flatMap((view) =>
      Array.from({ length: sockets }, (_, index) => {
        const name = `l-${view.consumerId ?? ""}${index}`;
        return new Streamer(name, scene, dice.fork(), { view, invisibleMs });
      }),
    );
  });
}

/** Topics and groups are there before anybody works, so that every group sees every message. */
async function setUp(scene: Scene): Promise<void> {
  const { plan, deployment, host } = scene;
  host.faults = CALM;
  const sure = async (verb: Parameters<Deployment["request"]>[0]): Promise<void> => {
    const outcome = await deployment.request(verb);
    if (!outcome.ok) throw new Error(`the scene cannot be set: ${outcome.code}: ${outcome.detail}`);
  };
  for (const { topic, queues } of plan.topics) {
    const kept = retentionsOf(plan).find((each) => each.topic === topic);
    const retention = kept === undefined ? {} : settingsOfRetention(kept);
    await sure((broker) =>
      broker.putTopic({ namespace: NAMESPACE, topic }, { queues, ...retention }),
    );
  }
  if (plan.schedules.length > 0)
    await sure((broker) =>
      broker.putTopic({ namespace: NAMESPACE, topic: CALENDAR_TOPIC }, { queues: 1 }),
    );
  for (const planned of plan.groups) {
    const { topic, group } = planned;
    await sure((broker) =>
      broker.putGroup({ namespace: NAMESPACE, topic, group }, settingsOf(planned)),
    );
  }
  const [asked] = PRODUCER_GROUPS;
  const check = { url: "https://shop.example/check", timeoutMs: 1_000 };
  await sure((broker) => broker.putProducerGroup(NAMESPACE, asked, { check }));
}

const settingsOfRetention = ({ retentionMs, retentionBytes }: RetentionPlan) => ({
  retentionMs,
  ...(retentionBytes === Infinity ? {} : { retentionBytes }),
});

const settingsOf = ({ ordered, maxAttempts, tags, consumers, push, stream }: PlannedGroup) => ({
  ordered,
  maxAttempts,
  backoff: { delaysMs: [50, 500] },
  ...(tags === undefined ? {} : { filter: { tags } }),
  ...(consumers === undefined ? {} : { mode: "broadcast" as const }),
  ...(stream === undefined ? {} : { invisibleMs: stream.invisibleMs }),
  ...(push === undefined
    ? {}
    : { push: { ...PUSH_DEFAULTS, url: PUSH_URL, timeoutMs: PUSH_TIMEOUT_MS, ...push } }),
});

/** Lets time pass until nothing is on its way any more; answers what still was when the time was up. */
async function drain(scene: Scene): Promise<string | undefined> {
  const from = scene.host.clock.nowMs();
  const until = from + DRAIN_MS_MAX;
  let pokeAt = from;
  for (;;) {
    if (scene.host.clock.nowMs() >= pokeAt) {
      await scene.deployment.watchdog();
      pokeAt += WATCHDOG_MS;
    }
    const tookMs = scene.host.clock.nowMs() - from;
    const lookMs = Math.max(DRAIN_LOOK_MS, DRAIN_LOOK_SHARE * tookMs);
    await scene.host.clock.pause(Math.min(lookMs, DRAIN_LOOK_MS_MAX));
    const why = await unrest(scene);
    if (why === undefined || scene.host.clock.nowMs() > until) return why;
  }
}

function reduced(plan: Plan, without: readonly string[]): Plan {
  const left = new Set(without);
  const lessened = <T extends object>(of: T): T =>
    Object.fromEntries(
      Object.entries(of).map(([name, value]) => [name, left.has(name) ? 0 : (value as unknown)]),
    ) as T;
  const strikes = lessened(plan.strikes);
  const isCalm = Object.values(strikes).every((weight) => weight === 0);
  return {
    ...plan,
    strikes,
    faults: lessened(plan.faults),
    ...(isCalm ? { strikeEveryMs: Infinity } : {}),
    transactors: left.has("transactors") ? 0 : plan.transactors,
    delayed: left.has("delayed") ? 0 : plan.delayed,
    groups: plan.groups.filter(
      ({ consumers, push, stream }) =>
        !(left.has("broadcast") && consumers !== undefined) &&
        !(left.has("push") && push !== undefined) &&
        !(left.has("stream") && stream !== undefined),
    ),
    ...(left.has("retention") ? { retention: undefined, mortal: 0 } : {}),
    ...(left.has("ttl") ? { mortal: 0 } : {}),
    pacedRedrives: plan.pacedRedrives && !left.has("pacedRedrives"),
    deduped: left.has("deduped") ? 0 : plan.deduped,
    seeks: plan.seeks && !left.has("seeks"),
    schedules: left.has("schedules") ? [] : plan.schedules,
    hostileEndpoints: plan.hostileEndpoints && !left.has("hostileEndpoints"),
  };
}
