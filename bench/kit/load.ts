/**
 * A closed loop: so many connections, each doing its step again as soon as the one before is answered. Counts and times
 * steps after a warm-up. It never retries: an answer that is not a success ends the bench.
 */
import { Connection, type Answer } from "./connection.ts";
import { percentile } from "./numbers.ts";
import { processorMs } from "./process.ts";

export const CONNECTIONS = 64;

export interface Loop {
  readonly connections: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
}

/** One step of one connection; the loop counts and times whole steps. */
export type Step = (connection: Connection, worker: number) => Promise<unknown>;

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the server for a step. Says the same on a machine that others use, too. */
  readonly processorUs: number;
}

export async function closedLoop(
  server: { readonly port: number; readonly pid: number },
  loop: Loop,
  step: Step,
): Promise<Measured> {
  const connections = await Promise.all(
    Array.from({ length: loop.connections }, () => Connection.open(server.port)),
  );
  const started = performance.now() + loop.warmUpMs;
  const used = { ms: 0 };
  setTimeout(() => (used.ms = processorMs(server.pid)), loop.warmUpMs);
  const end = started + loop.durationMs;
  const latencies: number[] = [];
  const run = async (connection: Connection, worker: number): Promise<void> => {
    for (;;) {
      const before = performance.now();
      await step(connection, worker);
      const after = performance.now();
      if (after > end) return;
      if (before >= started) latencies.push(after - before);
    }
  };
  try {
    await Promise.all(connections.map(run));
  } finally {
    for (const connection of connections) connection.close();
  }
  used.ms = processorMs(server.pid) - used.ms;
  const sorted = Float64Array.from(latencies).toSorted();
  return {
    perSecond: (latencies.length / loop.durationMs) * 1_000,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    processorUs: (used.ms / latencies.length) * 1_000,
  };
}

/** The answer, when it is a success. */
export function succeeded(answer: Answer): Answer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new Error(`the server answers ${answer.status}: ${answer.body.toString()}`);
}
