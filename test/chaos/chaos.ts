/**
 * One chaos run: a real broker behind a proxy, clients at work while the nemesis strikes, then calm, and all must drain in
 * bounded time. Answers the history and figures; test/sim's checker and schedule.ts judge it. Every process that it starts
 * it ends.
 */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { check, type Violation } from "../sim/checker/check.ts";
import { Story } from "../sim/checker/story.ts";
import type { Ran } from "../sim/simulate.ts";
import { Beliefs } from "../sim/world/beliefs.ts";
import { Dice } from "../sim/world/dice.ts";
import { ChaosBroker } from "./broker.ts";
import { http } from "./caller.ts";
import { Checker, Consumer, Operator, Producer, Transactor } from "./clients.ts";
import { Endpoint } from "./endpoint.ts";
import { Nemesis } from "./nemesis.ts";
import { CALM, Proxy } from "./proxy.ts";
import { restOf, unrest } from "./rest.ts";
import { checkSchedule } from "./schedule.ts";
import type { SmallDisk } from "./small-disk.ts";
import { drawPlan, PRODUCER_GROUPS, PUSHED, type Scene } from "./scene.ts";

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
  readonly peakBytes: number;
  readonly floodTakenMax: number;
  readonly log: string;
}

const DRAIN_MS_MAX = 120_000;
const DRAIN_LOOK_MS = 250;
const ENDPOINT_TIMEOUT_MS = 1_000;
/** Words of the log that no strike here explains. */
const BUGS = /internal_error|queue\.aborted|queue\.unreadable|uncaught/u;
/** A flush that finds the disk full throws, and its queue starts anew. */
const BUGS_OF_FULL_DISKS = /internal_error|queue\.unreadable|uncaught/u;

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
      nextOp: 1,
      isDraining: false,
      isOver: false,
    };
    await setUp(scene, endpointUrl);
    const nemesis = new Nemesis(scene, dice.fork(), { broker, proxy, endpoint, disk });
    const { rest, drainMs } = await play(scene, dice, { nemesis, seconds, proxy });
    const history = { seed, isCalm: false, groups: plan.groups, events: scene.events, rest };
    const ran = { ...history, errors };
    const violations = check(ran);
    checkSchedule(new Story(ran), scene.checks, (invariant, what) => {
      violations.push({ invariant, what });
    });
    return {
      ran,
      violations,
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

/** Topics and groups are there before anybody works, so that every group sees every message. */
async function setUp(scene: Scene, endpointUrl: string): Promise<void> {
  const put = (path: string, body: object): Promise<unknown> => http(scene, "PUT", path, { body });
  for (const { topic, queues } of scene.plan.topics) await put(`/v1/topics/${topic}`, { queues });
  for (const { topic, group, ordered, maxAttempts, tags } of scene.plan.groups)
    await put(`/v1/topics/${topic}/groups/${group}`, {
      ordered,
      maxAttempts,
      backoff: { delaysMs: [50, 500] },
      ...(tags === undefined ? {} : { filter: { tags } }),
      ...(group === PUSHED
        ? {
            push: { url: `${endpointUrl}/push`, maxMessages: 16, concurrency: 2, timeoutMs: 1_000 },
          }
        : {}),
    });
  const [asked] = PRODUCER_GROUPS;
  const check = { url: `${endpointUrl}/check`, timeoutMs: ENDPOINT_TIMEOUT_MS };
  await put(`/v1/producer-groups/${asked}`, { check });
}

interface Parts {
  readonly nemesis: Nemesis;
  readonly proxy: Proxy;
  readonly seconds: number;
}

async function play(scene: Scene, dice: Dice, { nemesis, proxy, seconds }: Parts) {
  const { plan } = scene;
  const finite: Promise<void>[] = [];
  const endless: Promise<void>[] = [];
  for (let index = 0; index < plan.producers; index++)
    finite.push(new Producer(`p${index}`, scene, dice.fork()).run());
  for (let index = 0; index < plan.transactors; index++)
    finite.push(new Transactor(`x${index}`, scene, dice.fork()).run());
  for (const group of plan.groups)
    for (let index = 0; group.group !== PUSHED && index < plan.consumersPerGroup; index++) {
      const name = `c-${group.topic}-${group.group}-${index}`;
      endless.push(new Consumer(name, scene, dice.fork(), group).run());
    }
  endless.push(new Checker("k", scene, dice.fork()).run());
  const operator = new Operator("o", scene, dice.fork());
  finite.push(operator.run(), nemesis.run());
  const [working, listening] = [Promise.all(finite), Promise.all(endless)];
  // Whoever fails ends the run at once, and what runs is ended with it.
  await Promise.race([pause(seconds * 1_000), working, listening]);
  scene.isDraining = true;
  await Promise.race([working, listening]);
  proxy.weather = CALM;
  const from = performance.now();
  await operator.unpauseAll();
  let why = await unrest(scene);
  while (why !== undefined && performance.now() - from < DRAIN_MS_MAX) {
    await pause(DRAIN_LOOK_MS);
    why = await unrest(scene);
  }
  const drainMs = performance.now() - from;
  scene.isOver = true;
  await listening;
  return { rest: await restOf(scene, why), drainMs };
}
