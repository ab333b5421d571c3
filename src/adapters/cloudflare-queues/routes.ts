/** The operations by method and path below `/client/v4/accounts/{account}/queues`, and what each takes. */
import type { z } from "zod";
import { WORDS } from "../../protocol/words.ts";
import {
  changeConsumer,
  createConsumer,
  deleteConsumer,
  getConsumer,
  listConsumers,
} from "./consumers.ts";
import type { Context } from "./context.ts";
import { fault, invalid, lacking, NUMBERS, type Fault, type Result } from "./faults.ts";
import { type Input, INPUTS } from "./inputs.ts";
import { LACKS } from "./lacks.ts";
import { acknowledge, type Answer, pull, push, pushBatch } from "./messages.ts";
import {
  changeQueue,
  createQueue,
  deleteQueue,
  getQueue,
  listQueues,
  metrics,
  purge,
  purgeStatus,
} from "./queues.ts";

type Handle = (
  context: Context,
  names: readonly string[],
  input: unknown,
) => Promise<Result<Answer>>;

interface Route {
  readonly input?: z.ZodType;
  readonly handle: Handle;
}

/** A route that takes nothing but its path. */
const plain = (
  run: (context: Context, queue: string, consumer: string) => Promise<Result<Answer>>,
): Route => ({ handle: (context, [queue = "", consumer = ""]) => run(context, queue, consumer) });

function taking<K extends keyof typeof INPUTS>(
  kind: K,
  run: (
    context: Context,
    input: Input<K>,
    queue: string,
    consumer: string,
  ) => Promise<Result<Answer>>,
): Route {
  return {
    input: INPUTS[kind],
    handle: (context, [queue = "", consumer = ""], input) =>
      run(context, input as Input<K>, queue, consumer),
  };
}

/** `*` stands for a name. */
const ROUTES: Readonly<Record<string, Route>> = {
  "GET ": plain((context) => listQueues(context)),
  "POST ": taking("createQueue", createQueue),
  "GET *": plain(getQueue),
  "PUT *": taking("changeQueue", (context, input, queue) => changeQueue(context, queue, input)),
  "PATCH *": taking("changeQueue", (context, input, queue) => changeQueue(context, queue, input)),
  "DELETE *": plain(deleteQueue),
  "GET */metrics": plain(metrics),
  "POST */purge": taking("purge", (context, input, queue) => purge(context, queue, input)),
  "GET */purge": plain(purgeStatus),
  "POST */messages": taking("push", (context, input, queue) => push(context, queue, input)),
  "POST */messages/batch": taking("pushBatch", (context, input, queue) =>
    pushBatch(context, queue, input),
  ),
  "POST */messages/pull": taking("pull", (context, input, queue) => pull(context, queue, input)),
  "POST */messages/ack": taking("ack", (context, input, queue) =>
    acknowledge(context, queue, input),
  ),
  "GET */consumers": plain(listConsumers),
  "POST */consumers": taking("consumer", (context, input, queue) =>
    createConsumer(context, queue, input),
  ),
  "GET */consumers/*": plain(getConsumer),
  "PUT */consumers/*": taking("consumer", (context, input, queue, consumer) =>
    changeConsumer(context, queue, consumer, input),
  ),
  "DELETE */consumers/*": plain(deleteConsumer),
};

/** Segments that are words of the API, where they may stand; all others are names. */
const FIXED = new Set([
  "messages",
  "batch",
  "pull",
  "ack",
  "peek",
  "purge",
  "metrics",
  "consumers",
]);

const isName = (segment: string, place: number): boolean =>
  place % 2 === 0 && (place === 0 || !FIXED.has(segment));

export interface Found {
  readonly route: Route;
  readonly names: readonly string[];
}

export const NO_ROUTE = fault(
  404,
  NUMBERS.noSuchRoute,
  "route_not_found",
  "There is no such route here.",
);

/** `segments` behind `queues`, decoded. */
export function routeOf(method: string, segments: readonly string[]): Found | Fault {
  const pattern = segments.map((segment, place) => (isName(segment, place) ? "*" : segment));
  const route = ROUTES[`${method} ${pattern.join("/")}`];
  if (route !== undefined) return { route, names: segments.filter(isName) };
  const rest = segments.slice(1).join("/");
  const lack = Object.entries(LACKS).find(
    ([what]) => what === rest.split("/").slice(0, 2).join("/"),
  );
  if (lack !== undefined) return lacking(lack[1]);
  return NO_ROUTE;
}

/** Judges the input and does it. */
export async function run(
  { route, names }: Found,
  context: Context,
  body: unknown,
): Promise<Result<Answer>> {
  if (route.input === undefined) return route.handle(context, names, undefined);
  const judged = route.input.safeParse(body, WORDS);
  if (judged.success) return route.handle(context, names, judged.data);
  const [issue] = judged.error.issues;
  const path = (issue?.path ?? []).map(String).join(".");
  return invalid(`${path === "" ? "The body" : path}: ${issue?.message ?? "is not understood"}`);
}
