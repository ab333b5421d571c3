/** How many undecided transactions are checked a second, by webhook and by poll, and how late are the checks? */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { compare } from "../kit/compare.ts";
import { Connection } from "../kit/connection.ts";
import { askAll, CONNECTIONS, type Measured } from "../kit/load.ts";
import { percentile } from "../kit/numbers.ts";
import { processorMs } from "../kit/process.ts";
import { reportOf, type Question } from "../kit/question.ts";
import { ask, BODY, send, Stage, times, to } from "../kit/stage.ts";

/** All are due within the moment that it takes to prepare them, and none before the last one is prepared. */
const TRANSACTIONS = 2_000;
const TIMEOUT_MS = 4_000;
const ROUNDS = 3;
const POLLERS = 16;

/** When each check came, by the clock of this machine, and how late it was. */
class Checks {
  readonly #times: number[] = [];
  readonly #lateMs: number[] = [];
  readonly #all = Promise.withResolvers<void>();
  #usedMs = 0;
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  came(preparedAt: number): void {
    if (this.#times.length === 0) this.#usedMs = processorMs(this.#pid);
    const now = Date.now();
    this.#times.push(now);
    this.#lateMs.push(now - preparedAt - TIMEOUT_MS);
    if (this.#times.length === TRANSACTIONS) this.#all.resolve();
  }

  get isOver(): boolean {
    return this.#times.length >= TRANSACTIONS;
  }

  async measured(): Promise<Measured> {
    await this.#all.promise;
    const late = Float64Array.from(this.#lateMs).toSorted();
    const tookMs = (this.#times.at(-1) ?? 0) - (this.#times[0] ?? 0);
    return {
      perSecond: (TRANSACTIONS / tookMs) * 1_000,
      p50Ms: percentile(late, 0.5),
      p99Ms: percentile(late, 0.99),
      processorUs: ((processorMs(this.#pid) - this.#usedMs) / TRANSACTIONS) * 1_000,
    };
  }
}

async function prepareAll(stage: Stage, producerGroup: string): Promise<void> {
  const check = { timeoutMs: TIMEOUT_MS, intervalMs: 60_000, maxChecks: 15 };
  const half = `{"producerGroup":"${producerGroup}","check":${JSON.stringify(check)},"message":{"body":${BODY}}}`;
  const request = stage.post("topics/checked/transactions", half);
  await askAll(stage.halfMq.port, CONNECTIONS, TRANSACTIONS, () => request);
}

/** A producer that commits whatever it is asked for. */
async function producer(heard: (preparedAt: number) => void): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as {
        data: { preparedAt: number };
      };
      response.setHeader("content-type", "application/json").end(`{"resolution":"commit"}`);
      heard(data.preparedAt);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function byWebhook(stage: Stage): Promise<Measured> {
  const checks = new Checks(stage.halfMq.pid);
  const server = await producer((preparedAt) => checks.came(preparedAt));
  const { port } = server.address() as AddressInfo;
  const target = { check: { url: `http://127.0.0.1:${port}/check` } };
  await send(stage, "PUT", "producer-groups/hooks", target);
  await prepareAll(stage, "hooks");
  const measured = await checks.measured();
  server.closeAllConnections();
  server.close();
  return measured;
}

interface Check {
  readonly transactionId: string;
  readonly preparedAt: number;
}

async function byPoll(stage: Stage): Promise<Measured> {
  const checks = new Checks(stage.halfMq.pid);
  await prepareAll(stage, "pollers");
  const poll = stage.post("producer-groups/pollers/checks/receive", `{"waitMs":1000}`);
  const work = async (): Promise<void> => {
    const connection = await Connection.open(stage.halfMq.port);
    while (!checks.isOver) {
      const { body } = await ask(connection, poll);
      const { checks: found } = JSON.parse(body.toString()) as { checks: readonly Check[] };
      for (const { transactionId, preparedAt } of found) {
        await ask(connection, stage.post(`transactions/${transactionId}/commit`, `{"by":"check"}`));
        checks.came(preparedAt);
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: POLLERS }, work));
  return checks.measured();
}

export const checkBack: Question = {
  name: "check-back",
  asks: `Checks of ${TRANSACTIONS} transactions that are due at once (latencies: how late a check is)`,
  run: () =>
    Stage.with(async (stage) => {
      const webhook = { name: "by webhook, 4 open at a time", measure: () => byWebhook(stage) };
      const poll = { name: `by poll, ${POLLERS} pollers`, measure: () => byPoll(stage) };
      const noop = stage.baseline("Worker → object no-op", times(1, to("/noop", "{}")));
      const bare = stage.baseline("bare Worker", times(1, to("/bare", "{}")));
      // The naive object asks nobody: it has no line here.
      const lines = await compare([webhook, poll, noop, bare], ROUNDS);
      return reportOf("check-back", "checks", lines);
    }),
};
