/** The tables of docs/scale.md, as `npm run scale` prints them. */
import { CACHE_MS } from "../../src/auth/authenticate.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { table } from "../kit/table.ts";
import {
  bellCalls,
  callsPerMessage,
  checksPerSecond,
  keptRate,
  OBJECT_OPS_PER_SECOND,
  queueRate,
  queuesFor,
  registryReads,
  spreadSeconds,
} from "./plan.ts";
import { busiest, largestGroup, moved } from "./spread.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const GROUPS = 100_000;
const EXPONENTS = [0, 0.8, 1, 1.2];

const whole = (value: number): string => Math.round(value).toLocaleString("en-US");

export const scaleTables = (): string =>
  [
    "### What one queue takes, by calls",
    byCalls(),
    "### What one queue keeps, by bytes",
    byBytes(),
    "### Queues for a load",
    loads(),
    "### How even message groups lie",
    evenness(),
    "### Growing",
    growth(),
    "### The registry",
    registry(),
    "### Coordinators and bells",
    others(),
  ].join("\n\n");

function byCalls(): string {
  const rows = [1, 10, 100].flatMap((together) =>
    [1, 4, 16].map((groups) => [
      together === 1 ? "one by one" : `${together} together`,
      String(groups),
      callsPerMessage(together, groups).toFixed(3),
      whole(queueRate(together, groups)),
      whole(queueRate(together, groups) * LIMITS.queuesMax),
    ]),
  );
  const head = ["sent", "consumer groups", "calls a message", "messages/s, 1 queue"];
  return table([...head, `${LIMITS.queuesMax} queues`], rows);
}

function byBytes(): string {
  const rows = [256, 1_024, 10_240].map((bytes) => [
    `${whole(bytes)} bytes`,
    ...[3 * DAY_MS, DAY_MS, HOUR_MS].map((retentionMs) => whole(keptRate(bytes, retentionMs))),
  ]);
  return table(["body", "messages/s kept 3 days", "1 day", "1 hour"], rows);
}

function loads(): string {
  const rows = [100, 1_000, 10_000, 100_000, 1_000_000].flatMap((perSecond) =>
    [1, 100].map((sentTogether) => {
      const more = { groups: 1, bodyBytes: 256, retentionMs: DAY_MS };
      const { byCalls, byBytes, queues } = queuesFor({ perSecond, sentTogether, ...more });
      return [
        `${whole(perSecond)}/s ${sentTogether === 1 ? "one by one" : `by ${sentTogether}`}`,
        whole(byCalls),
        whole(byBytes),
        whole(queues),
        whole(Math.ceil(queues / LIMITS.queuesMax)),
      ];
    }),
  );
  return table(["load, 256 bytes kept 1 day", "by calls", "by bytes", "queues", "topics"], rows);
}

function evenness(): string {
  const rows = [4, 16, 64, 256].map((queues) => [
    String(queues),
    ...EXPONENTS.map((exponent) => `${busiest(GROUPS, queues, exponent).toFixed(2)} ×`),
  ]);
  const largest = EXPONENTS.map(
    (exponent) => `${(largestGroup(GROUPS, exponent) * 100).toFixed(exponent === 0 ? 3 : 1)} %`,
  );
  const head = EXPONENTS.map((exponent) => (exponent === 0 ? "all alike" : `Zipf ${exponent}`));
  return table(["queues", ...head], [...rows, ["largest group alone", ...largest]]);
}

function growth(): string {
  const rows = (
    [
      [1, 2],
      [4, 8],
      [16, 20],
      [64, 128],
      [128, 256],
    ] as const
  ).map(([from, to]) => {
    const { share, toOld } = moved(from, to);
    return [
      `${from} to ${to}`,
      `${(share * 100).toFixed(1)} %`,
      `${((1 - from / to) * 100).toFixed(1)} %`,
      String(toOld),
    ];
  });
  return table(["queues", "slots that move", "the least possible", "to an old queue"], rows);
}

function registry(): string {
  const rows = [100, 1_000, 10_000].map((isolates) => {
    const fleet = { isolates, keysEach: 1, topicsEach: 20, lifeMs: HOUR_MS / 2 };
    const { keys, routes } = registryReads({ ...fleet, keyCacheMs: CACHE_MS });
    return [
      whole(isolates),
      whole(keys),
      whole(routes),
      `${(((keys + routes) / OBJECT_OPS_PER_SECOND) * 100).toFixed(0)} %`,
      `${spreadSeconds(isolates).toFixed(1)} s`,
    ];
  });
  const head = ["isolates", "reads/s for keys", "for routes", "of one object"];
  return table([...head, "a change reaches all in"], rows);
}

function others(): string {
  const rows = [
    ...[50, 200, 1_000].map((ms) => [
      `webhook checks of one producer group, answered in ${ms} ms`,
      `${whole(checksPerSecond(ms))}/s`,
    ]),
    [
      `long polls at one bell, ${whole(LIMITS.waitersMax)} waiting`,
      `${whole(bellCalls(LIMITS.waitersMax))} calls/s`,
    ],
  ];
  return table(["what", "bears"], rows);
}
