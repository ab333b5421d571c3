/** Each example against a real server: it ends by itself with 0 and prints what it promises. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";

const FOLDER = fileURLToPath(new URL("../../examples/", import.meta.url));
const run = promisify(execFile);

/** The lines that each one must print, in this order; others may stand between them. */
const PRINTS: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  "01-send-and-receive.ts": [/^sent \S+ to queue 0$/u, "received order 1: tea", "acked"],
  "02-transaction.ts": [
    "sold 3: the message is visible",
    "not sold, less than 4 of tea left: there is no message",
    "shipping 3 of tea",
  ],
  "03-check-handler.ts": [
    "undecided: left to the check-back",
    "check 1: commit",
    "committed by the check, and received",
  ],
  "04-poll-checks.ts": [
    "prepared two, wrote one, decided none",
    "received: kept",
    "the other one is rolledBack by check",
  ],
  "05-consumer.ts": [
    "order 7: Error: not now",
    "billed 20 orders, 0 unfinished",
    "billed order 20 in a loop",
  ],
  "06-listener.ts": [
    "order 1: commit",
    "order 2: rollback",
    "order 3: unknown",
    "asked after order 3: paid",
    "shipped 1 and 3",
  ],
  "07-delay-and-recall.ts": [
    "delayed and delayed",
    "the first one is recalled",
    "received another",
    "too late to recall the second: already_delivered",
  ],
  "08-filters.ts": ["refused at 8: invalid_filter", "dear: 30", "red or blue: blue, red"],
  "09-counting-producer.ts": [
    "the third is ready at 2",
    "again: duplicate of the same message: true",
    "the old instance: producer_fenced",
  ],
  "10-limits.ts": [
    "slow holds 2: come again",
    "sent after the acks",
    "at most 1 a second: rate_limited",
  ],
  "11-memory-topic.ts": ["20 degrees", "21 degrees", "22 degrees"],
  "12-trace.ts": [
    "delayed",
    "stored",
    "delivered billing 1",
    "nacked billing 1 no paper",
    "delivered billing 2",
    "acked billing",
  ],
  "13-push.ts": [
    "mailed ann at attempt 1",
    "mailed busy at attempt 2",
    "dead: nobody, no such address",
  ],
  "14-stream-and-tail.ts": ["handled 10 over a stream", "watched 7", "went on to 10"],
  "15-schedules.ts": [
    /^the next report is due at 0[23]:[03]0 in Berlin$/u,
    "tick: not early",
    "paused",
    "0 schedules are left",
  ],
  "16-once.ts": [
    "sold",
    "too late: nothing is sold and nothing is sent",
    "booked: true",
    "booked at attempt 2: false",
    "in the account: 300",
  ],
  // `npm start` has no bucket; test/e2e/dev-and-miniflare.node.test.ts runs it with one.
  "17-large-body.ts": ["no bucket here: a body has at most 1048576 bytes"],
  "18-audit.ts": [
    "faults: 0",
    "billing: of 12, 11 acked, 1 dead, 0 open",
    "till-7: said 12, taken 12, missing 0",
  ],
  "19-broadcast.ts": ["a dropped user-1 and user-2", "b dropped user-1 and user-2"],
  "20-pause-and-replay.ts": [
    "first: 1, 2, 3",
    "again: 1, 2, 3",
    "from the third: 3",
    "paused: nothing",
    "only what is new: 6",
  ],
  "21-dedup.ts": [
    "duplicate of the same message: true",
    "another message group: ready",
    "received 2",
  ],
  "22-dead-letters.ts": [
    "useless: no page, at attempt 1",
    "a: no paper, at attempt 2",
    "b: no paper, at attempt 2",
    "c: no paper, at attempt 2",
    "printed a at attempt 1",
    "printed b at attempt 1",
    "printed c at attempt 1",
    "done: 3 were put back",
  ],
  "23-limits-of-a-group.ts": [
    "in flight: noisy and quiet",
    "more now: 0",
    "with wider limits: 9",
    "account-7: poisoned, unknown currency",
    "skipped: 1",
    "goes on with debit",
  ],
};

let folder: string;
let server: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-examples-"));
  server = await startServer({ dataFolder: folder, port: 0, onOutput: () => {} });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test("every example is run", async () => {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith(".ts"));
  expect(files.toSorted()).toEqual(Object.keys(PRINTS));
});

const prints = async (name: string, lines: readonly (string | RegExp)[]): Promise<void> => {
  const env = { PATH: process.env["PATH"], HALFMQ_URL: server.url, HALFMQ_KEY: server.rootKey };
  // Rejects for another exit code than 0.
  const args = ["--conditions=halfmq-source", join(FOLDER, name)];
  const { stdout } = await run(process.execPath, args, { env });
  const printed = stdout.split("\n");
  let from = 0;
  for (const line of lines) {
    const found = printed.findIndex(
      (each, index) =>
        index >= from && (typeof line === "string" ? each === line : line.test(each)),
    );
    expect(found, `${String(line)} in:\n${stdout}`).toBeGreaterThanOrEqual(from);
    from = found + 1;
  }
};

test.for(Object.entries(PRINTS))("%s prints what happened and ends", ([name, lines]) =>
  prints(name, lines),
);

test("an example that fills a topic to its bound may be run again", async () => {
  const lines = PRINTS["10-limits.ts"] ?? [];
  for (let round = 0; round < 2; round += 1) await prints("10-limits.ts", lines);
});
