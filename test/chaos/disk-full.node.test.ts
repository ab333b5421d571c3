/** A disk that is full and is freed again: nothing that was answered is lost, nothing refused is stored, and it goes on by itself. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { SmallDisk } from "./small-disk.ts";

const DISK_MB = 48;
const BODY_CHARS = 20_000;
const WHILE_FULL = 12;
const PATIENCE_MS = 30_000;

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

const bodyOf = (name: string): string => `${name} ${"x".repeat(BODY_CHARS)}`;

async function asked(server: Server, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${server.rootKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const send = (server: Server, name: string): Promise<Answer> =>
  asked(server, "POST", "/v1/topics/t/messages", { body: bodyOf(name) });

async function peek(server: Server): Promise<unknown[]> {
  const { status, json } = await asked(server, "GET", "/v1/topics/t/messages?limit=1000");
  expect(status).toBe(200);
  return (json["items"] as { body: unknown }[]).map(({ body }) => body);
}

async function fillAndFree(disk: SmallDisk): Promise<void> {
  let log = "";
  const server = await startServer({
    dataFolder: join(disk.folder, "data"),
    onOutput: (text) => void (log += text),
  });
  try {
    const stored: string[] = [];
    for (let n = 0; n < 20; n++) {
      expect((await send(server, `before ${n}`)).status).toBe(200);
      stored.push(bodyOf(`before ${n}`));
    }
    const half = { producerGroup: "p", message: { body: "half" } };
    const prepared = await asked(server, "POST", "/v1/topics/t/transactions", half);
    expect(prepared.status).toBe(201);
    disk.fill();
    let refused = 0;
    for (let n = 0; n < WHILE_FULL; n++) {
      const { status, json } = await send(server, `while full ${n}`);
      if (status === 200) stored.push(bodyOf(`while full ${n}`));
      else {
        refused++;
        expect([status, json["code"]]).toEqual([503, "unavailable"]);
      }
    }
    expect(refused).toBeGreaterThan(0);
    // What is there is read all the same.
    expect(await peek(server)).toEqual(stored);
    await disk.free();
    expect((await send(server, "after")).status).toBe(200);
    const commit = `/v1/transactions/${String(prepared.json["transactionId"])}/commit`;
    expect((await asked(server, "POST", commit, {})).status).toBe(200);
    expect(await peek(server)).toEqual([...stored, bodyOf("after"), "half"]);
    expect(log).toMatch(/"level":"error"/u);
    expect(log).not.toMatch(/internal_error/u);
  } finally {
    await server.kill();
  }
}

test(
  "a full disk refuses with 503, keeps what it answered for, and serves again when it is freed",
  { timeout: 300_000 },
  async () => {
    const disk = await SmallDisk.mount(DISK_MB);
    if (typeof disk === "string") {
      // Not silently: the reason stands in the output of the run.
      process.stderr.write(`${disk}\n`);
      expect(disk).toMatch(/no tmpfs can be mounted/u);
      return;
    }
    try {
      await fillAndFree(disk);
    } finally {
      await disk.unmount();
    }
  },
);
