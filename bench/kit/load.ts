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
  try {
    return await timed(connections, server.pid, loop, step);
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** The same over clients of any kind. */
export async function timed<C>(
  clients: readonly C[],
  pid: number,
  loop: Pick<Loop, "warmUpMs" | "durationMs">,
  step: (client: C, worker: number) => Promise<unknown>,
): Promise<Measured> {
  const started = performance.now() + loop.warmUpMs;
  const used = { ms: 0 };
  setTimeout(() => (used.ms = processorMs(pid)), loop.warmUpMs);
  const end = started + loop.durationMs;
  const latencies: number[] = [];
  const run = async (client: C, worker: number): Promise<void> => {
    for (;;) {
      const before = performance.now();
      await step(client, worker);
      const after = performance.now();
      if (after > end) return;
      if (before >= started) latencies.push(after - before);
    }
  };
  await Promise.all(clients.map(run));
  return measured(latencies, loop.durationMs, processorMs(pid) - used.ms);
}

/** A given number of steps by each client, however long they take. */
export async function counted<C>(
  clients: readonly C[],
  pid: number,
  each: number,
  step: (client: C) => Promise<unknown>,
): Promise<Measured> {
  const usedMs = processorMs(pid);
  const started = performance.now();
  const latencies: number[] = [];
  const run = async (client: C): Promise<void> => {
    for (let count = 0; count < each; count++) {
      const before = performance.now();
      await step(client);
      latencies.push(performance.now() - before);
    }
  };
  await Promise.all(clients.map(run));
  return measured(latencies, performance.now() - started, processorMs(pid) - usedMs);
}

function measured(latencies: readonly number[], durationMs: number, usedMs: number): Measured {
  const sorted = Float64Array.from(latencies).toSorted();
  return {
    perSecond: (latencies.length / durationMs) * 1_000,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    processorUs: (usedMs / latencies.length) * 1_000,
  };
}

/** The answer, when it is a success. */
export function succeeded(answer: Answer): Answer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new Error(`the server answers ${answer.status}: ${answer.body.toString()}`);
}

/** So many requests over so many connections at once, untimed: what a bench sets up before it measures. */
export async function askAll(
  port: number,
  connections: number,
  count: number,
  make: () => Buffer,
): Promise<void> {
  const requests = (function* () {
    for (let made = 0; made < count; made++) yield make();
  })();
  const work = async (): Promise<void> => {
    const connection = await Connection.open(port);
    for (const request of requests) succeeded(await connection.ask(request));
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, work));
}
