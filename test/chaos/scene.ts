/** What all parts of a chaos run share, and how they write down what they saw: the history of test/sim, with real clocks. */
import type { NewEvent } from "../sim/clients/client.ts";
import type { Event, GroupPlan } from "../sim/history.ts";
import type { Beliefs } from "../sim/world/beliefs.ts";
import type { Dice } from "../sim/world/dice.ts";

export interface ChaosPlan {
  readonly topics: readonly {
    readonly topic: string;
    readonly queues: number;
    readonly growsTo: number;
  }[];
  readonly groups: readonly GroupPlan[];
  readonly messageGroups: readonly string[];
  readonly producers: number;
  readonly transactors: number;
  readonly consumersPerGroup: number;
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
  nextOp: number;
  isDraining: boolean;
  isOver: boolean;
}

/** `polls` looks into its mailbox; `asked` is asked by webhook. */
export const PRODUCER_GROUPS = ["asked", "polls"] as const;
/** The group whose messages are pushed to an endpoint. */
export const PUSHED = "pushed";

export function note(scene: Scene, event: NewEvent): void {
  scene.events.push({ at: performance.now(), wall: Date.now(), ...event });
}

export function drawPlan(dice: Dice): ChaosPlan {
  const topics = [
    { topic: "t0", queues: dice.int(1, 3), growsTo: 0 },
    { topic: "t1", queues: 1, growsTo: dice.chance(0.5) ? dice.int(2, 4) : 0 },
  ];
  const group = (topic: string, name: string): GroupPlan => ({
    topic,
    group: name,
    ordered: dice.chance(0.5),
    maxAttempts: dice.chance(0.3) ? dice.int(2, 4) : 1_000,
    ...(dice.chance(0.2) ? { tags: ["a"] } : {}),
  });
  return {
    topics,
    groups: [
      group("t0", "g0"),
      group("t0", "g1"),
      group("t1", "g0"),
      { topic: "t1", group: PUSHED, ordered: false, maxAttempts: 1_000 },
    ],
    messageGroups: Array.from({ length: dice.int(1, 5) }, (_, index) => `k${index}`),
    producers: dice.int(3, 6),
    transactors: dice.int(3, 6),
    consumersPerGroup: dice.int(1, 2),
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
