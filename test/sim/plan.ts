/**
 * What a seed decides before anything runs: how many of what, which features take part, how bad the platform is. Seeds
 * differ widely on purpose: one that does all of everything finds less than many that do a few things much.
 */
import type { GroupPlan, RetentionPlan } from "./history.ts";
import type { Dice } from "./world/dice.ts";
import type { Faults } from "./world/host.ts";

interface TopicPlan {
  readonly topic: string;
  readonly queues: number;
  readonly growsTo: number;
}

/** A group, or all consumers of a broadcast group. */
export interface PlannedGroup extends Omit<GroupPlan, "consumerId"> {
  /** Of a broadcast group: each gets every message. */
  readonly consumers?: readonly string[];
  /** It is pushed: nobody receives. */
  readonly push?: { readonly maxMessages: number; readonly concurrency: number };
  /** It is streamed: nobody receives. To so many sockets, or to one of each of its consumers. */
  readonly stream?: { readonly sockets: number; readonly invisibleMs: number };
}

/** A schedule; whenever it is set, its runs are one of these apart. */
export interface PlannedSchedule {
  readonly name: string;
  readonly stepsMs: readonly number[];
  readonly missed: "skip" | "once";
}

export interface Plan {
  readonly topics: readonly TopicPlan[];
  readonly groups: readonly PlannedGroup[];
  /** Names of message groups in use; few of them make order matter. */
  readonly messageGroups: readonly string[];
  readonly producers: number;
  readonly transactors: number;
  /** Most that a client waits between two operations: in a quiet seed the alarm alone makes things happen. */
  readonly restMsMax: number;
  readonly consumersPerGroup: number;
  readonly check: {
    readonly timeoutMs: number;
    readonly intervalMs: number;
    readonly maxChecks: number;
  };
  readonly batchMax: number;
  /** Of each queue's journal: a small ring is overwritten all the time. */
  readonly ringDeltas: number;
  readonly invisibleMsMax: number;
  /** Probabilities. */
  readonly delayed: number;
  readonly deduped: number;
  readonly seeks: boolean;
  readonly hostileEndpoints: boolean;
  /** Mean distance between two strikes; infinite in a calm seed. */
  readonly strikeEveryMs: number;
  readonly strikes: {
    readonly evict: number;
    readonly crash: number;
    readonly disk: number;
    readonly clock: number;
  };
  readonly faults: Faults;
  /** Larger bodies go to the bucket; most bodies have a few dozen bytes more. */
  readonly inlineBytesMax: number;
  /** Calls of many requests of an isolate go to a queue together. */
  readonly sharesCalls: boolean;
  /** Age from which old segments go there; infinite where none do. And how many go together. */
  readonly coldAfterMs: number;
  readonly blockBytes: number;
  /** Some redrives have a rate. */
  readonly pacedRedrives: boolean;
  /** Of the first topic, where messages do not stay. */
  readonly retention?: Omit<RetentionPlan, "topic"> | undefined;
  /** Probability that a message of that topic has a time to live. */
  readonly mortal: number;
  readonly schedules: readonly PlannedSchedule[];
}

export const retentionsOf = ({ retention }: Pick<Plan, "retention">): RetentionPlan[] =>
  retention === undefined ? [] : [{ topic: "t0", ...retention }];

/** All that see every message. */
export const viewsOf = (groups: readonly PlannedGroup[]): GroupPlan[] =>
  groups.flatMap(({ consumers, ...group }): GroupPlan[] =>
    consumers === undefined ? [group] : consumers.map((consumerId) => ({ ...group, consumerId })),
  );

/** No request is on its way for longer, whatever holds it up. */
export const LATE_MS_MAX = 60_000;

export const CALM: Faults = {
  hopMsMax: 1,
  stallMsMax: 0,
  stalls: 0,
  lostCalls: 0,
  lostAnswers: 0,
  lostTrips: 0,
  commitMsMax: 3,
  lateAlarms: 0,
  lateAlarmMsMax: 0,
  lostAlarms: 0,
  doubledAlarms: 0,
};

/** What takes part beside the rest has dice of its own, so that the rest of a seed's plan is the same without it. */
export interface OwnDice {
  readonly bucket: Dice;
  readonly features: Dice;
  readonly lines: Dice;
  readonly calls: Dice;
}

/** Of a seed in which much happens at a time. */
const REST_MS_MAX = 200;

export function drawPlan(dice: Dice, own: OwnDice): Plan {
  const topics = Array.from({ length: dice.int(1, 2) }, (_, index): TopicPlan => {
    const queues = dice.int(1, 3);
    return {
      topic: `t${index}`,
      queues,
      growsTo: dice.chance(0.3) ? queues + dice.int(1, 3) : queues,
    };
  });
  const groups = topics.flatMap(({ topic }) =>
    Array.from({ length: dice.int(1, 2) }, (_, index): PlannedGroup => ({
      topic,
      group: `g${index}`,
      ordered: dice.chance(0.5),
      maxAttempts: dice.chance(0.3) ? dice.int(2, 4) : 1_000,
      ...(dice.chance(0.2) ? { tags: ["a"] } : {}),
    })),
  );
  const pacedRedrives = own.features.chance(0.3);
  const retention = drawRetention(own.features);
  const schedules = drawSchedules(own.lines);
  const streams = drawStreams(own.lines);
  // A consumer of a broadcast group may join when something is gone already, and nobody can say what it owes.
  const mayBe = ({ consumers }: PlannedGroup): boolean =>
    consumers === undefined || retention.retention === undefined;
  const plan = {
    topics,
    groups: [
      // Something must die for it.
      ...groups.map((group, index) =>
        pacedRedrives && index === 0 ? { ...group, maxAttempts: own.features.int(1, 2) } : group,
      ),
      ...drawGroups(own.features).filter(mayBe),
      ...streams.filter(mayBe),
    ],
    pacedRedrives,
    ...retention,
    messageGroups: Array.from({ length: dice.int(1, 5) }, (_, index) => `k${index}`),
    producers: dice.int(1, 3),
    transactors: dice.int(0, 3),
    restMsMax: dice.chance(0.1) ? 120_000 : REST_MS_MAX,
    consumersPerGroup: dice.int(1, 3),
    check: {
      timeoutMs: dice.int(100, 2_000),
      intervalMs: dice.int(100, 3_000),
      maxChecks: dice.int(1, 5),
    },
    ringDeltas: dice.pick([8, 64, 1_024]),
    batchMax: dice.chance(0.7) ? 1 : dice.int(2, 8),
    invisibleMsMax: dice.int(300, 6_000),
    delayed: dice.chance(0.4) ? dice.roll() * 0.4 : 0,
    deduped: dice.chance(0.4) ? dice.roll() * 0.4 : 0,
    seeks: dice.chance(0.1),
    hostileEndpoints: dice.chance(0.6),
    sharesCalls: own.calls.chance(0.4),
    ...drawBadness(dice, own.calls),
    inlineBytesMax: own.bucket.chance(0.5) ? own.bucket.int(70, 100) : 1_048_576,
    coldAfterMs: own.bucket.chance(0.4) ? own.bucket.int(1, 3_000) : Infinity,
    // From one message on its own to a few dozen.
    blockBytes: own.bucket.int(300, 2_000),
  };
  const unitMs = plan.restMsMax > REST_MS_MAX ? 60_000 : 1_000;
  return { ...plan, schedules: schedules.map((draw) => draw(unitMs)) };
}

/** In a slow seed hours pass, and the unit is longer. */
function drawSchedules(dice: Dice): ((unitMs: number) => PlannedSchedule)[] {
  if (!dice.chance(0.25)) return [];
  return Array.from({ length: dice.int(1, 2) }, (_, index) => {
    const steps = [dice.pick([1, 2]), dice.pick([3, 5])];
    const missed = dice.pick(["skip", "once"] as const);
    return (unitMs) => ({
      name: `s${index}`,
      stepsMs: steps.map((step) => step * unitMs),
      missed,
    });
  });
}

function drawStreams(dice: Dice): PlannedGroup[] {
  if (!dice.chance(0.25)) return [];
  const isBroadcast = dice.chance(0.3);
  return [
    {
      topic: "t0",
      group: "streamed",
      ordered: dice.chance(0.5),
      maxAttempts: dice.chance(0.3) ? dice.int(2, 4) : 1_000,
      ...(dice.chance(0.2) ? { tags: ["a"] } : {}),
      ...(isBroadcast ? { consumers: ["l0", "l1"] } : {}),
      stream: { sockets: isBroadcast ? 1 : dice.int(1, 3), invisibleMs: dice.int(500, 6_000) },
    },
  ];
}

/** Groups of the first topic that do not only poll and share. */
function drawGroups(dice: Dice): PlannedGroup[] {
  const drawn: PlannedGroup[] = [];
  const own = (group: string) => ({
    topic: "t0",
    group,
    ordered: dice.chance(0.5),
    maxAttempts: dice.chance(0.3) ? dice.int(2, 4) : 1_000,
  });
  if (dice.chance(0.2))
    drawn.push({
      ...own("everybody"),
      consumers: Array.from({ length: dice.int(1, 3) }, (_, index) => `n${index}`),
    });
  if (dice.chance(0.25))
    drawn.push({
      ...own("pushed"),
      push: { maxMessages: dice.int(1, 8), concurrency: dice.int(1, 4) },
    });
  return drawn;
}

/** Callers may ask for a minute at least; invented time passes slowly. */
const RETENTION_MS_MAX = 8_000;

function drawRetention(dice: Dice): Pick<Plan, "retention" | "mortal"> {
  if (dice.chance(0.75)) return { mortal: 0 };
  const retentionBytes = dice.chance(0.5) ? dice.int(300, 10_000) : Infinity;
  const mortal = dice.chance(0.5) ? dice.roll() * 0.5 : 0;
  const retentionMs = dice.int(300, RETENTION_MS_MAX);
  return { retention: { retentionMs, retentionBytes }, mortal };
}

/** One seed in eight is calm: what goes wrong there is no fault's fault. */
function drawBadness(dice: Dice, calls: Dice): Pick<Plan, "strikeEveryMs" | "strikes" | "faults"> {
  if (dice.chance(0.125))
    return {
      strikeEveryMs: Infinity,
      strikes: { evict: 1, crash: 0, disk: 0, clock: 0 },
      faults: CALM,
    };
  const some = (most: number): number => (dice.chance(0.5) ? dice.roll() * most : 0);
  return {
    strikeEveryMs: 100 + dice.roll() * 3_000,
    strikes: { evict: some(4), crash: 0.1 + some(1), disk: some(2), clock: some(0.5) },
    faults: {
      hopMsMax: dice.roll() * 5,
      stallMsMax: dice.roll() * 20_000,
      stalls: some(0.02),
      lostCalls: some(0.05),
      lostAnswers: some(0.05),
      lostTrips: calls.chance(0.5) ? 0.3 : 0,
      commitMsMax: dice.roll() * 40,
      lateAlarms: some(0.5),
      lateAlarmMsMax: dice.roll() * 5_000,
      lostAlarms: some(0.05),
      doubledAlarms: some(0.1),
    },
  };
}
