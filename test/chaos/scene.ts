/** What all parts of a chaos run share, and how they write down what they saw: the history of test/sim, with real clocks. */
import type { NewEvent } from "../sim/actors/actor.ts";
import type { Event, GroupPlan } from "../sim/history.ts";
import type { Beliefs } from "../sim/world/beliefs.ts";
import type { Dice } from "../sim/world/dice.ts";
import type { ChaosSchedule } from "./calendar.ts";
import type { Named } from "./catalogue.ts";

export interface ChaosTopic {
  readonly topic: string;
  readonly queues: number;
  /** Step by step; as many as `queues`: never. */
  readonly growsTo: number;
  /** Beyond which its oldest messages go, read or not. */
  readonly retentionBytes?: number;
}

/** Of a broadcast group, each consumer by itself. */
export interface ChaosGroup extends GroupPlan {
  /** How its messages come. `late`: by receives, which begin only when all work is over. */
  readonly by: "receive" | "late" | "stream" | "push";
  readonly consumers: number;
  /** Weight of the messages that are given back, among some 65. */
  readonly nacked: number;
  readonly isSought: boolean;
}

export interface ChaosPlan {
  readonly topics: readonly ChaosTopic[];
  readonly groups: readonly ChaosGroup[];
  readonly messageGroups: readonly string[];
  readonly producers: number;
  /** Producers that count. */
  readonly counters: number;
  readonly transactors: number;
  readonly restMsMax: number;
  readonly batchMax: number;
  readonly invisibleMsMax: number;
  /** Probabilities. */
  readonly delayed: number;
  readonly deduped: number;
  readonly check: {
    readonly timeoutMs: number;
    readonly intervalMs: number;
    readonly maxChecks: number;
  };
}

export interface SeenCheck {
  readonly transactionId: string;
  readonly attempt: number;
  readonly at: number;
  readonly wall: number;
}

export interface Scene {
  readonly plan: ChaosPlan;
  /** Of the proxy. */
  readonly url: string;
  readonly key: string;
  readonly events: Event[];
  /** What no fault explains: each is a bug. */
  readonly errors: string[];
  readonly beliefs: Beliefs;
  /** Checks as the webhook saw them come. */
  readonly checks: SeenCheck[];
  readonly schedules: readonly ChaosSchedule[];
  /** Names of topics and keys that come and go, as paths. */
  readonly catalogue: Map<string, Named>;
  nextOp: number;
  isDraining: boolean;
  isOver: boolean;
}

/** `polls` looks into its mailbox; `asked` is asked by webhook. */
export const PRODUCER_GROUPS = ["asked", "polls"] as const;
/** The group whose messages are pushed to an endpoint. */
export const PUSHED = "pushed";

/** `atMs`: when it began, if that was not now. */
export function note(scene: Scene, event: NewEvent, atMs = performance.now()): void {
  scene.events.push({ at: atMs, wall: Date.now() - (performance.now() - atMs), ...event });
}

export const isFleeting = ({ retentionBytes }: ChaosTopic): boolean => retentionBytes !== undefined;

export function drawPlan(dice: Dice): ChaosPlan {
  return {
    topics: drawTopics(dice),
    groups: drawGroups(dice),
    messageGroups: Array.from({ length: dice.int(1, 5) }, (_, index) => `k${index}`),
    producers: dice.int(3, 6),
    counters: dice.int(1, 2),
    transactors: dice.int(3, 6),
    restMsMax: 30,
    batchMax: dice.chance(0.5) ? 1 : dice.int(2, 8),
    invisibleMsMax: dice.int(500, 4_000),
    delayed: dice.roll() * 0.3,
    deduped: dice.roll() * 0.3,
    check: {
      timeoutMs: dice.int(300, 1_500),
      intervalMs: dice.int(300, 1_500),
      maxChecks: dice.int(3, 8),
    },
  };
}

/** One may grow, one grows more often than not, and one lets its messages go. */
function drawTopics(dice: Dice): ChaosTopic[] {
  const growing = (topic: string, queues: number, chance: number): ChaosTopic => ({
    topic,
    queues,
    growsTo: dice.chance(chance) ? queues + dice.int(1, 3) : queues,
  });
  return [
    growing("t0", dice.int(1, 3), 0.3),
    growing("t1", 1, 0.7),
    { topic: "brief", queues: 1, growsTo: 1, retentionBytes: dice.int(50_000, 300_000) },
  ];
}

function drawGroups(dice: Dice): ChaosGroup[] {
  const group = (topic: string, name: string, own: Partial<ChaosGroup> = {}): ChaosGroup => ({
    topic,
    group: name,
    ordered: dice.chance(0.5),
    maxAttempts: 1_000,
    by: "receive",
    consumers: dice.int(1, 2),
    nacked: 3,
    isSought: false,
    ...own,
  });
  const mayDie = () => ({ maxAttempts: dice.chance(0.3) ? dice.int(2, 4) : 1_000 });
  const mayFilter = () => (dice.chance(0.2) ? { tags: ["a"] } : {});
  const everybody = { ordered: dice.chance(0.5), consumers: 1 };
  return [
    group("t0", "g0", { ...mayDie(), ...mayFilter() }),
    group("t0", "g1", { ...mayDie(), ...mayFilter() }),
    group("t0", "poison", { ordered: false, maxAttempts: dice.int(2, 3), nacked: 30 }),
    group("t0", "streamed", { by: "stream", ...mayFilter() }),
    group("t1", "g0", mayDie()),
    group("t1", PUSHED, { by: "push", ordered: false }),
    group("t1", "moved", { isSought: true }),
    group("t1", "everybody", { ...everybody, consumerId: "one" }),
    group("t1", "everybody", { ...everybody, consumerId: "two" }),
    group("t1", "everybody", { ...everybody, consumerId: "three", by: "stream" }),
    group("brief", "prompt", { ordered: false }),
    group("brief", "late", { by: "late", ordered: false }),
  ];
}
