/**
 * Databases that a disk gives back otherwise than they were written: a server with many topics is stopped, each topic's file
 * is damaged in its own way, and the server is started again. Whatever anybody reads then is as it was written, or refused.
 */
import { readdirSync } from "node:fs";
import { open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Server, startServer } from "../../src/cli/server.ts";
import type { Dice } from "../sim/world/dice.ts";

export interface Damage {
  readonly name: string;
  readonly strike: (file: string) => Promise<void>;
}

const MESSAGES = 120;
const PATIENCE_MS = 60_000;
const SQLITE_PAGE = 4_096;

const flipAt = (share: number, bit: number): Damage => ({
  name: `bit ${bit} flipped at ${(100 * share).toFixed(2)} %`,
  strike: async (file) => {
    const bytes = await readFile(file);
    const at = Math.floor(share * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
    await writeFile(file, bytes);
  },
});

/** Within the body of a message. */
export const flipInBody: Damage = {
  name: "a bit flipped in a message's body",
  strike: async (file) => {
    const bytes = await readFile(file);
    const body = bodyOf(MESSAGES >> 1);
    let at = bytes.indexOf(body);
    if (at < 0) throw new Error("the body is not in the file");
    // What SQLite moved elsewhere is in the file twice.
    for (; at >= 0; at = bytes.indexOf(body, at)) bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(file, bytes);
  },
};

export const cutTo = (share: number): Damage => ({
  name: `truncated to ${100 * share} %`,
  strike: async (file) => truncate(file, Math.floor((await readFile(file)).length * share)),
});

export const overwritten = (page: number): Damage => ({
  name: `page ${page} overwritten`,
  strike: async (file) => {
    const handle = await open(file, "r+");
    await handle.write(Buffer.alloc(SQLITE_PAGE, 0xa5), 0, SQLITE_PAGE, page * SQLITE_PAGE);
    await handle.close();
  },
});

export const untouched: Damage = { name: "left as it is", strike: () => Promise.resolve() };

export const anywhere = (dice: Dice, count: number): Damage[] =>
  Array.from({ length: count }, () => flipAt(dice.roll(), dice.int(0, 7)));

/** What a damaged topic said. */
export interface Told {
  readonly damage: string;
  /** Of each question: `ok`, or the code that it was refused with. */
  readonly answers: Readonly<Record<string, string>>;
  /** What may never be. */
  readonly wrongs: readonly string[];
}

const bodyOf = (index: number): string =>
  `message ${index} ${"abcdefghij".repeat(20)} ${(index * 7_919) % 1_000}`;

interface Seen {
  readonly status: number;
  readonly code: string;
  readonly json: Record<string, unknown>;
}

class Line {
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  async ask(method: string, path: string, body?: object): Promise<Seen> {
    const response = await fetch(`${this.#server.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#server.rootKey}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const json = JSON.parse(await response.text()) as Record<string, unknown>;
    const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
    const code = isProblem === true ? String(json["code"]) : "none";
    return { status: response.status, code: response.ok ? "ok" : code, json };
  }
}

/** Fills a topic for each damage, strikes, starts again, and asks. */
export async function breakFiles(
  dataFolder: string,
  damages: readonly Damage[],
): Promise<{ readonly told: readonly Told[]; readonly log: string }> {
  let log = "";
  const start = (): Promise<Server> =>
    startServer({ dataFolder, onOutput: (text) => void (log += text) });
  const folder = join(dataFolder, "objects", "halfmq-queue");
  const files: string[] = [];
  let server = await start();
  try {
    const line = new Line(server);
    for (const index of damages.keys()) {
      const before = new Set(databases(folder));
      await fill(line, `t${index}`);
      const added = databases(folder).filter((name) => !before.has(name));
      if (added.length !== 1) throw new Error(`a topic of one queue has ${added.length} files`);
      files.push(join(folder, added[0] ?? ""));
    }
    await server.stop();
    for (const [index, { strike }] of damages.entries()) {
      settle(files[index] ?? "");
      await strike(files[index] ?? "");
    }
    log = "";
    server = await start();
    const again = new Line(server);
    const told: Told[] = [];
    for (const [index, { name }] of damages.entries()) {
      const seen = await questions(again, `t${index}`);
      told.push({ damage: name, ...seen });
    }
    return { told, log };
  } finally {
    await server.kill();
  }
}

/** Everything into the one file, so that no log beside it mends what is damaged. */
function settle(file: string): void {
  const database = new DatabaseSync(file);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

function databases(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".sqlite"));
  } catch {
    return [];
  }
}

async function fill(line: Line, topic: string): Promise<void> {
  const path = `/v1/topics/${topic}`;
  const sure = async (method: string, to: string, body: object): Promise<Seen> => {
    const seen = await line.ask(method, to, body);
    if (seen.status >= 300) throw new Error(`${method} ${to}: ${seen.status} ${seen.code}`);
    return seen;
  };
  await sure("PUT", path, {});
  await sure("PUT", `${path}/groups/g`, { maxAttempts: 1 });
  for (let index = 0; index < MESSAGES; index += 10) {
    const messages = Array.from({ length: 10 }, (_, more) => ({ body: bodyOf(index + more) }));
    await sure("POST", `${path}/messages`, { messages });
  }
  const half = { producerGroup: "p", message: { body: "half" }, check: { timeoutMs: 3_600_000 } };
  await sure("POST", `${path}/transactions`, half);
  const { json } = await sure("POST", `${path}/groups/g/receive`, { maxMessages: 20 });
  const receipts = (json["messages"] as { receipt: string }[]).map(({ receipt }) => receipt);
  await sure("POST", `${path}/groups/g/ack`, { receipts: receipts.slice(0, 10) });
  await sure("POST", `${path}/groups/g/nack`, { receipts: receipts.slice(10, 12) });
}

interface Item {
  readonly offset: number;
  readonly body: string;
}

/** Twice over: the first question may wake it, the second one meets what that left. */
async function questions(line: Line, topic: string): Promise<Omit<Told, "damage">> {
  const path = `/v1/topics/${topic}`;
  const answers: Record<string, string> = {};
  const wrongs: string[] = [];
  const ask = async (name: string, method: string, to: string, body?: object) => {
    const seen = await line.ask(method, to, body).catch((error: unknown) => {
      wrongs.push(`${name} hangs: ${String(error)}`);
      return undefined;
    });
    if (seen === undefined) return undefined;
    answers[name] = seen.code;
    if (seen.status >= 400 && (seen.status !== 503 || seen.code === "none"))
      wrongs.push(`${name} answers ${seen.status} ${seen.code}`);
    return seen.status < 300 ? seen.json : undefined;
  };
  const compare = (name: string, items: readonly Item[]): void => {
    for (const { offset, body } of items)
      if (offset < MESSAGES && body !== bodyOf(offset))
        wrongs.push(`${name} shows other bytes at ${offset}`);
  };
  for (const round of ["first", "second"]) {
    const peeked = await ask(`${round} peek`, "GET", `${path}/messages?limit=1000`);
    if (peeked !== undefined) {
      const items = peeked["items"] as Item[];
      compare("peek", items);
      if (items.length < MESSAGES) wrongs.push(`peek shows ${items.length} of ${MESSAGES}`);
    }
    const got = await ask(`${round} receive`, "POST", `${path}/groups/g/receive`, {
      maxMessages: 1_000,
    });
    compare("receive", (got?.["messages"] ?? []) as Item[]);
    const stats = await ask(`${round} stats`, "GET", `${path}/stats`);
    const [queue] = (stats?.["queues"] ?? []) as { nextOffset: number; prepared: number }[];
    if (queue !== undefined && (queue.nextOffset < MESSAGES || queue.prepared !== 1))
      wrongs.push(`stats says ${queue.nextOffset} messages, ${queue.prepared} prepared`);
    const dead = await ask(`${round} dead letters`, "GET", `${path}/groups/g/dead-letters`);
    compare("dead letters", (dead?.["items"] ?? []) as Item[]);
    await ask(`${round} send`, "POST", `${path}/messages`, { body: "more" });
  }
  return { answers, wrongs };
}
