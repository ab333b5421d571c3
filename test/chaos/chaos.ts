/**
 * One chaos run: a real broker behind a proxy, clients at work while the nemesis strikes, then calm, and all must drain in
 * bounded time. Answers the history and figures; test/sim's checker and schedule.ts judge it. Every process that it starts
 * it ends.
 */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { check, type Report, type Violation } from "../sim/checker/check.ts";
import { Story } from "../sim/checker/story.ts";
import { nameOf } from "../sim/history.ts";
import type { Ran } from "../sim/simulate.ts";
import { Beliefs } from "../sim/world/beliefs.ts";
import { Dice } from "../sim/world/dice.ts";
import { ChaosBroker } from "./broker.ts";
import { drawSchedules, setSchedules } from "./calendar.ts";
import { checkCatalogue } from "./catalogue.ts";
import { http } from "./clients/caller.ts";
import { Consumer } from "./clients/consumer.ts";
import { Counter } from "./clients/counter.ts";
import { Operator } from "./clients/operator.ts";
import { Producer } from "./clients/producer.ts";
import { Registrar } from "./clients/registrar.ts";
import { Streamer } from "./clients/streamer.ts";
import { Ticker } from "./clients/ticker.ts";
import { Checker, Transactor } from "./clients/transactor.ts";
import { Endpoint } from "./endpoint.ts";
import { Nemesis } from "./nemesis.ts";
import { CALM, Proxy } from "./proxy.ts";
import { calendarOf, restOf, standingsOf, unrest, type Unrest } from "./rest.ts";
import { type ChaosGroup, drawPlan, isFleeting, PRODUCER_GROUPS, type Scene } from "./scene.ts";
import { checkSchedule } from "./schedule.ts";
import type { SmallDisk } from "./small-disk.ts";

export interface ChaosOptions {
  readonly seed: number;
  /** For so long the clients work and the nemesis strikes. */
  readonly seconds: number;
  readonly dataFolder: string;
  /** What the data folder is on, if it is to be filled now and then. */
  readonly disk?: SmallDisk;
}

export interface Chaos {
  readonly ran: Ran;
  readonly violations: readonly Violation[];
  readonly strikes: Readonly<Record<string, number>>;
  readonly habits: Readonly<Record<string, number>>;
  readonly line: Readonly<Record<string, number>>;
  readonly recoveriesMs: readonly number[];
  readonly drainMs: number;
  /** Runs of schedules. */
  readonly runs: number;
  /** Of the catalogue. */
  readonly changes: number;
  readonly peakBytes: number;
  readonly floodTakenMax: number;
  readonly log: string;
}

/** Without anything getting less. */
const STUCK_MS_MAX = 60_000;
const DRAIN_MS_MAX = 600_000;
const DRAIN_LOOK_MS = 250;
/** Nothing is tried twice before the first strike. */
const SETUP_MS_MAX = 60_000;
const ENDPOINT_TIMEOUT_MS = 1_000;
const SERVED_INVISIBLE_MS = 3_000;
/** Words of the log that no strike here explains. */
const BUGS = /internal_error|queue\.aborted|queue\.unreadable|schedule\.failed|uncaught/u;
/** A flush that finds the disk full throws, and its queue starts anew. */
const BUGS_OF_FULL_DISKS = /internal_error|queue\.unreadable|schedule\.failed|uncaught/u;

export async function playChaos(options: ChaosOptions): Promise<Chaos> {
  const { seed, seconds, dataFolder, disk } = options;
  const dice = new Dice(seed);
  const plan = drawPlan(dice);
  const errors: string[] = [];
  const proxy = new Proxy(dice.fork());
  const endpoint = new Endpoint(() => scene, dice.fork());
  const bugs = disk === undefined ? BUGS : BUGS_OF_FULL_DISKS;
  const broker = new ChaosBroker(dataFolder, proxy, (text) => {
    for (const line of text.split("\n")) if (bugs.test(line)) errors.push(line.slice(0, 1_000));
  });
  const [url, endpointUrl] = [await proxy.listen(), await endpoint.listen()];
  let scene: Scene;
  try {
    await broker.start();
    scene = {
      plan,
      url,
      key: broker.key,
      events: [],
      errors,
      beliefs: new Beliefs(),
      checks: [],
      schedules: drawSchedules(),
      catalogue: new Map(),
      nextOp: 1,
      isDraining: false,
      isOver: false,
    };
    await setUp(scene, endpointUrl);
    const nemesis = new Nemesis(scene, dice.fork(), { broker, proxy, endpoint, disk });
    const { rest, calendar, standings, drainMs } = await play(scene, dice, {
      nemesis,
      seconds,
      proxy,
    });
    const fleeting = plan.topics.filter(isFleeting).map(({ topic }) => topic);
    const { groups } = plan;
    const history = { seed, isCalm: false, groups, fleeting, events: scene.events, rest, calendar };
    const ran = { ...history, errors };
    const violations = check(ran);
    const report: Report = (invariant, what) => void violations.push({ invariant, what });
    checkSchedule(new Story(ran), scene.checks, report);
    checkCatalogue(scene.catalogue, standings, report);
    return {
      ran,
      violations,
      runs: calendar.runs.length,
      changes: [...scene.catalogue.values()].reduce((sum, { changes }) => sum + changes, 0),
      strikes: nemesis.counts,
      habits: { ...endpoint.counts, pushes: endpoint.pushes },
      line: proxy.counts,
      recoveriesMs: broker.recoveriesMs,
      drainMs,
      peakBytes: broker.peakBytes((path) => readFileSync(path, "utf8")),
      floodTakenMax: endpoint.floodTakenMax,
      log: broker.log,
    };
  } finally {
    await broker.end();
    await Promise.all([proxy.close(), endpoint.close()]);
  }
}

/** Topics, groups and schedules are there before anybody works, so that every group sees every message. */
async function setUp(scene: Scene, endpointUrl: string): Promise<void> {
  const put = (path: string, body: object): Promise<unknown> =>
    http(scene, "PUT", path, { body, waitMs: SETUP_MS_MAX });
  for (const { topic, queues, retentionBytes } of scene.plan.topics)
    await put(`/v1/topics/${topic}`, {
      queues,
      ...(retentionBytes === undefined ? {} : { retentionBytes }),
    });
  for (const group of scene.plan.groups)
    await put(`/v1/topics/${group.topic}/groups/${group.group}`, settingsOf(group, endpointUrl));
  const [asked] = PRODUCER_GROUPS;
  const check = { url: `${endpointUrl}/check`, timeoutMs: ENDPOINT_TIMEOUT_MS };
  await put(`/v1/producer-groups/${asked}`, { check });
  await setSchedules(scene, SETUP_MS_MAX);
}

function settingsOf(
  { ordered, maxAttempts, tags, consumerId, by }: ChaosGroup,
  endpointUrl: string,
): object {
  const push = { url: `${endpointUrl}/push`, maxMessages: 16, concurrency: 2, timeoutMs: 1_000 };
  return {
    ordered,
    maxAttempts,
    backoff: { delaysMs: [50, 500] },
    ...(tags === undefined ? {} : { filter: { tags } }),
    ...(consumerId === undefined ? {} : { mode: "broadcast" }),
    // Nobody asks for these leases; what a killed server had given out waits for their end.
    ...(by === "stream" || by === "push" ? { invisibleMs: SERVED_INVISIBLE_MS } : {}),
    ...(by === "push" ? { push } : {}),
  };
}

/** Of a group as many as it has; a push needs none. */
function consumersOf(scene: Scene, dice: Dice): Promise<void>[] {
  return scene.plan.groups.flatMap((group) => {
    if (group.by === "push") return [];
    const Kind = group.by === "stream" ? Streamer : Consumer;
    return Array.from({ length: group.consumers }, (_, index) =>
      new Kind(`c-${nameOf(group)}-${index}`, scene, dice.fork(), group).run(),
    );
  });
}

interface Parts {
  readonly nemesis: Nemesis;
  readonly proxy: Proxy;
  readonly seconds: number;
}

async function play(scene: Scene, dice: Dice, { nemesis, proxy, seconds }: Parts) {
  const { plan } = scene;
  const operator = new Operator("o", scene, dice.fork());
  const working = Promise.all([
    ...each(plan.producers, (index) => new Producer(`p${index}`, scene, dice.fork()).run()),
    ...each(plan.counters, (index) => new Counter(`n${index}`, scene, dice.fork()).run()),
    ...each(plan.transactors, (index) => new Transactor(`x${index}`, scene, dice.fork()).run()),
    new Ticker("s", scene, dice.fork()).run(),
    new Registrar("r", scene, dice.fork()).run(),
    operator.run(),
    nemesis.run(),
  ]);
  const checker = new Checker("k", scene, dice.fork());
  const listening = Promise.all([...consumersOf(scene, dice), checker.run()]);
  // Whoever fails ends the run at once, and what runs is ended with it.
  await Promise.race([pause(seconds * 1_000), working, listening]);
  scene.isDraining = true;
  await Promise.race([working, listening]);
  proxy.weather = CALM;
  const from = performance.now();
  await operator.settle();
  const left = await drain(scene);
  const drainMs = performance.now() - from;
  scene.isOver = true;
  await listening;
  const rest = await restOf(scene, left?.why);
  const calendar = await calendarOf(scene);
  return { rest, calendar, standings: await standingsOf(scene), drainMs };
}

const each = (count: number, run: (index: number) => Promise<void>): Promise<void>[] =>
  Array.from({ length: count }, (_, index) => run(index));

/** Until nothing is left; or until nothing gets less, however slow the machine is. */
async function drain(scene: Scene): Promise<Unrest | undefined> {
  const from = performance.now();
  let least = Infinity;
  let leastAt = from;
  for (;;) {
    const left = await unrest(scene);
    if (left === undefined) return undefined;
    const now = performance.now();
    if (left.left < least) [least, leastAt] = [left.left, now];
    if (now - leastAt > STUCK_MS_MAX || now - from > DRAIN_MS_MAX) return left;
    await pause(DRAIN_LOOK_MS);
  }
}
