/** Schedules over crashes of the server: no run is sent twice, and the calendar goes on by itself. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { Mq } from "../conformance/client.ts";
import { listenOnLoopback } from "../conformance/endpoints.node.ts";
import { type Message, unique } from "../conformance/kit.ts";

const PATIENCE_MS = 240_000;
const CRASHES = 3;

let folder = "";
let server: Server;

const mq = (): Mq =>
  new Mq({
    name: "crashing",
    key: server.rootKey,
    fetch: (path, init) => fetch(`${server.url}${path}`, init),
    listen: listenOnLoopback,
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-schedules-"));
  server = await startServer({ dataFolder: folder, onOutput: () => undefined });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test(
  "a schedule outlives SIGKILLs: nothing is sent twice, nothing early, and nobody has to call it",
  async () => {
    const topic = await mq().topic({ queues: 3 });
    const names = Array.from({ length: 10 }, () => unique("schedule"));
    for (const name of names)
      await mq().ok("PUT", `/v1/schedules/${name}`, {
        topic: topic.name,
        cron: "* * * * * *",
        message: { body: name },
      });
    const seen: Message[] = [];
    for (let crash = 0; crash <= CRASHES; crash++) {
      // The first receive after a crash is the first call of all: the alarm alone runs the schedules.
      const fresh = await topic
        .through(mq())
        .group()
        .take(2 * names.length);
      seen.push(...fresh);
      if (crash === CRASHES) break;
      await server.kill();
      server = await startServer({ dataFolder: folder, onOutput: () => undefined });
    }
    for (const name of names) await mq().ok("DELETE", `/v1/schedules/${name}`);
    // Acks may be lost with the server: the same message may come again, but never another one of the same run.
    const idsOfRuns = new Map<string, Set<string>>();
    for (const { id, properties, sentAt } of seen) {
      const run = `${properties?.["halfmqSchedule"]} ${properties?.["halfmqScheduledAt"]}`;
      idsOfRuns.set(run, (idsOfRuns.get(run) ?? new Set()).add(id));
      expect(sentAt).toBeGreaterThanOrEqual(Number(properties?.["halfmqScheduledAt"]));
    }
    expect([...idsOfRuns.values()].every((ids) => ids.size === 1)).toBe(true);
    expect(idsOfRuns.size).toBeGreaterThan(names.length * CRASHES);
  },
  PATIENCE_MS,
);
