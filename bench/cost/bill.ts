/** From what is used to dollars. Arithmetic only. */
import { costOf } from "./prices.ts";
import type { Shape, Use } from "./shapes.ts";

/** What Cloudflare gives an object, and bills it for, while it is in memory. */
const OBJECT_GB = 0.128;
/**
 * A Worker's CPU. Not counted but taken from docs/performance.md: what one workerd takes for a single send, the object's part
 * included. The price hardly hangs on it.
 */
const CPU_MS_PER_REQUEST = 0.7;
const CPU_MS_PER_MESSAGE = 0.03;
/** Three days of a month: the default retention. */
const MONTHS_KEPT = 0.1;
const GB = 1e9;

export interface Bill {
  readonly requests: number;
  readonly cpu: number;
  readonly objectRequests: number;
  readonly duration: number;
  readonly rowsWritten: number;
  readonly rowsRead: number;
  readonly storage: number;
  readonly total: number;
}

/** For so many messages, or months. */
export function billOf(use: Use, count: number): Bill {
  const parts = {
    requests: costOf("workerRequest", use.requests * count),
    cpu: costOf("workerCpuMs", (use.requests * CPU_MS_PER_REQUEST + CPU_MS_PER_MESSAGE) * count),
    objectRequests: costOf("objectRequest", use.objectRequests * count),
    duration: costOf("objectGbSecond", (use.activeMs / 1_000) * OBJECT_GB * count),
    rowsWritten: costOf("rowWritten", use.rowsWritten * count),
    rowsRead: costOf("rowRead", use.rowsRead * count),
    storage: costOf("storedGbMonth", (use.bytesWritten / GB) * MONTHS_KEPT * count),
  };
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}

/** What the same costs elsewhere; undefined where they do not have it. */
export const elsewhere = ({ queuesOperations, sqsRequests }: Shape, count: number) => ({
  queues:
    queuesOperations === undefined
      ? undefined
      : costOf("queuesOperation", queuesOperations * count),
  sqs: sqsRequests === undefined ? undefined : costOf("sqsRequest", sqsRequests * count),
});
