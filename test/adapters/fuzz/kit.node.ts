/** The doors over a broker that a test makes up, and words that hurt. */
import { createHmac } from "node:crypto";
import * as fc from "../../kit/properties.node.ts";
import { expect } from "vitest";
import { cloudEventsDoor } from "../../../src/adapters/cloudevents/door.ts";
import { cloudflareQueuesDoor } from "../../../src/adapters/cloudflare-queues/door.ts";
import type { Door, DoorEdge } from "../../../src/adapters/door.ts";
import { rocketmqDoor } from "../../../src/adapters/rocketmq/door.ts";
import { sqsDoor } from "../../../src/adapters/sqs/door.ts";
import { ALL_SCOPES, type Principal } from "../../../src/auth/principal.ts";
import type { Broker } from "../../../src/broker/broker.ts";
import { accept, refuse } from "../../../src/protocol/errors.ts";
import type { GroupRoute, TopicRoute } from "../../../src/protocol/rpc.ts";
import { GROUP_DEFAULTS, TOPIC_DEFAULTS } from "../../../src/protocol/topic.ts";

export const NOW_MS = 1_700_000_000_000;
/** More tries than CI makes: HALFMQ_FUZZ_RUNS. */
export const CHANCE = { numRuns: Number(process.env["HALFMQ_FUZZ_RUNS"] ?? 200) };

const CALLER: Principal = { namespace: "default", scopes: ALL_SCOPES, root: true, keyName: "root" };

const group = (name: string, number: number): GroupRoute => ({
  name,
  number,
  settings: GROUP_DEFAULTS,
  paused: false,
  createdAt: 0,
});

/** A queue of all doors. */
const ROUTE: TopicRoute = {
  namespace: "default",
  topic: "q",
  incarnation: 1,
  version: 1,
  settings: { ...TOPIC_DEFAULTS, labels: {} },
  createdAt: 0,
  growths: [],
  groups: ["sqs", "cloudflare-queues", "g"].map(group),
};

type Verbs = { readonly [K in keyof Broker]?: Broker[K] };

/** It has one topic, and does nothing but what it is told. */
const brokerOf = (verbs: Verbs): Broker =>
  new Proxy(verbs as Broker, {
    get: (own, verb) => {
      if (Object.hasOwn(own, verb)) return Reflect.get(own, verb);
      return async () =>
        verb === "topic" ? accept(ROUTE) : refuse("group_not_found", "There is nothing here");
    },
  });

const DOORS = {
  sqs: (edge: DoorEdge): Door =>
    sqsDoor(edge, async () => accept({ region: "x", verify: () => accept(CALLER) })),
  cloudflareQueues: (edge: DoorEdge): Door => cloudflareQueuesDoor(edge, () => accept(CALLER)),
  cloudEvents: (edge: DoorEdge): Door => cloudEventsDoor(edge, () => accept(CALLER)),
  rocketmq: (edge: DoorEdge): Door =>
    rocketmqDoor(edge, async () => accept({ secret: "s", principal: CALLER })),
} as const;

export interface Said {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What the door answers; that it met no bug is seen to. */
export async function ask(
  door: keyof typeof DOORS,
  verbs: Verbs,
  { method, target, headers, body }: Said,
): Promise<Response> {
  const bugs: unknown[] = [];
  const made = DOORS[door]({
    broker: brokerOf(verbs),
    admit: async () => accept(undefined),
    clock: { nowMs: () => NOW_MS, after: () => () => undefined },
    newRequestId: () => "request-1",
    log: { info: () => undefined, error: (_, facts) => void bugs.push(facts) },
  });
  const request = new Request(`http://halfmq.test${target}`, {
    method,
    headers: { ...(door === "rocketmq" ? signed(method, target) : {}), ...headers },
    ...(body === undefined ? {} : { body }),
  });
  expect(made.takes(request)).toBe(true);
  const answer = await made.answer(request, () => undefined);
  expect(bugs).toEqual([]);
  return answer;
}

function signed(method: string, target: string): Record<string, string> {
  const { pathname, search } = new URL(`http://halfmq.test${target}`);
  const date = new Date(NOW_MS).toUTCString();
  const text = `${method}\n\ntext/xml\n${date}\n${pathname}${search}`;
  const signature = createHmac("sha1", "s").update(text).digest("base64");
  return { date, "content-type": "text/xml", authorization: `MQ root:${signature}` };
}

/** Names that every object has. */
export const INNATE = ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"];

/** Texts that mean something to somebody, or hurt. */
export const word = fc.oneof(
  fc.constantFrom(...INNATE),
  fc.constantFrom("http://h/default/q", "/default/q", "q", "q.fifo", "arn:aws:sqs:x:default:q"),
  fc.constantFrom(
    "String",
    "Number",
    "Binary",
    "All",
    "text",
    "json",
    "1.0",
    "1",
    "-1",
    "AA==",
    "",
  ),
  fc.constantFrom(
    "2030-01-01T00:00:00Z",
    "\uD800",
    "\u0000",
    "\u0007",
    "]]>",
    "a:b|c",
    "\r\n",
    "%ff",
  ),
  fc.string({ unit: "binary" }),
);

/** As a part of a path or a form. */
export const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());
