/**
 * Published prices, in dollars, beyond what a plan includes. Each was read from its source in the month named; who changes one
 * changes that with it.
 */

interface Price {
  readonly what: string;
  /** Dollars for `per` of them. */
  readonly dollars: number;
  readonly per: number;
  readonly source: string;
  readonly read: string;
}

const WORKERS = "developers.cloudflare.com/workers/platform/pricing";
const OBJECTS = "developers.cloudflare.com/durable-objects/platform/pricing";
const QUEUES = "developers.cloudflare.com/queues/platform/pricing";
const SQS = "aws.amazon.com/sqs/pricing";
const NOVEMBER = "2026-11";
const MILLION = 1_000_000;

export const PRICES = {
  workerRequest: price("request to a Worker", 0.3, WORKERS),
  workerCpuMs: price("ms of a Worker's CPU", 0.02, WORKERS),
  objectRequest: price("request to an object: call or alarm", 0.15, OBJECTS),
  objectGbSecond: price("GB-second of an object in memory, 0.128 GB each", 12.5, OBJECTS),
  rowWritten: price("row written, a set alarm included", 1, OBJECTS),
  rowRead: price("row read", 0.001, OBJECTS),
  storedGbMonth: { ...price("GB-month stored", 0.2, OBJECTS), per: 1 },
  queuesOperation: price(
    "Cloudflare Queues: operation (a write, a read, a delete) of up to 64 KB",
    0.4,
    QUEUES,
  ),
  sqsRequest: price("SQS standard, us-east-1: request, of up to 10 messages and 64 KB", 0.4, SQS),
} as const satisfies Record<string, Price>;

export type Priced = keyof typeof PRICES;

function price(what: string, dollars: number, source: string): Price {
  return { what, dollars, per: MILLION, source, read: NOVEMBER };
}

/** What so many cost. */
export const costOf = (priced: Priced, count: number): number =>
  (count * PRICES[priced].dollars) / PRICES[priced].per;
