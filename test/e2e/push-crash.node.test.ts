/** A SIGKILL of the server while pushes are open: every message is pushed in the end, and what was acked is not repeated. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { Mq } from "../conformance/client.ts";
import { listenOnLoopback } from "../conformance/endpoints.node.ts";
import { sorted, until } from "../conformance/kit.ts";
import { drained, messagesIn } from "../conformance/push-kit.ts";

const PATIENCE_MS = 240_000;
const KILLS = 3;
const EACH = 40;

let folder = "";
let server: Server;
const mq = (): Mq =>
  new Mq({
    name: "killed",
    key: server.rootKey,
    fetch: (path, init) => fetch(`${server.url}${path}`, init),
    listen: listenOnLoopback,
  });
const output: string[] = [];
const start = (): Promise<Server> =>
  startServer({ dataFolder: folder, onOutput: (text) => output.push(text) });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-push-crash-"));
  server = await start();
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test(
  "messages whose pushes were open, waiting or not begun at the kill are pushed after it",
  async () => {
    const handled = new Map<unknown, number>();
    let calls = 0;
    // Every third call hangs until the server that made it is dead.
    const held: (() => void)[] = [];
    const endpoint = await listenOnLoopback(async (call) => {
      calls += 1;
      if (calls % 3 === 0) {
        await new Promise<void>((resolve) => held.push(resolve));
        return { status: 500 };
      }
      for (const { body } of messagesIn(call)) handled.set(body, (handled.get(body) ?? 0) + 1);
      return {};
    });
    const topic = await mq().topic({ queues: 3 });
    await topic.group("pushed").make({
      invisibleMs: 1_000,
      backoff: { delaysMs: [100] },
      maxAttempts: 1_000,
      push: { url: endpoint.url, maxMessages: 2, concurrency: 6, timeoutMs: 2_000 },
    });
    const sent: string[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      for (let n = 0; n < EACH; n += 1) {
        const body = `${round}/${n}`;
        await topic.through(mq()).sendOne({ body, messageGroup: `g${n % 7}` });
        sent.push(body);
      }
      await until("some calls are open", () => held.length >= 2);
      await server.kill();
      for (const release of held.splice(0)) release();
      server = await start();
    }
    const releasing = setInterval(() => {
      for (const release of held.splice(0)) release();
    }, 50);
    await until("all pushed", () => handled.size === sent.length, 120_000);
    await drained(topic.through(mq()));
    clearInterval(releasing);
    expect(sorted(handled.keys())).toEqual(sorted(sent));
    const acked = [...handled.values()].filter((times) => times === 1).length;
    expect(acked, "only what was open at a kill may come twice").toBeGreaterThan(
      sent.length - KILLS * 6 * 2 - 1,
    );
    await endpoint.close();
  },
  PATIENCE_MS,
);

test(
  "a message whose ring died with the server is pushed without any traffic",
  async () => {
    const bodies: unknown[] = [];
    const endpoint = await listenOnLoopback((call) => {
      bodies.push(...messagesIn(call).map(({ body }) => body));
      return {};
    });
    const topic = await mq().topic();
    await topic.group("pushed").make({ push: { url: endpoint.url } });
    const sending = topic.send({ body: "last words" });
    await sending;
    await server.kill();
    server = await start();
    await until("pushed", () => bodies.length > 0, 120_000);
    expect(new Set(bodies)).toEqual(new Set(["last words"]));
    await endpoint.close();
  },
  PATIENCE_MS,
);
