/**
 * One request that may be wrong, and what must hold of its answer whatever it was: never a bug of the server, and a
 * problem document with a known shape when it is refused.
 */
import { expect } from "vitest";
import type { Json } from "../kit.ts";
import type { Stage } from "./stage.ts";

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: Body;
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of the stage's key; empty for none. */
  readonly key?: string;
}

export interface Judged {
  readonly status: number;
  readonly json: Json;
  readonly isRefused: boolean;
  readonly said: string;
}

/** Sends it as it is, and judges the answer. */
export async function ask(stage: Stage, request: Request): Promise<Judged> {
  const { method, path, body, key = stage.mq.key } = request;
  const headers = new Headers({
    ...stage.mq.headers,
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...request.headers,
  });
  if (key !== "") headers.set("authorization", `Bearer ${key}`);
  // Node wants to be told that a stream's answer comes after it; other runtimes do not know the field.
  const more = { body, duplex: "half" } as RequestInit;
  const init = { method, headers, ...(body === undefined ? {} : more) };
  const answer = await stage.mq.target.fetch(path, init);
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) {
    await answer.body?.cancel();
    return { status: answer.status, json: {}, isRefused: false, said: `${method} ${path}` };
  }
  const text = new TextDecoder().decode(await answer.arrayBuffer());
  const said = `${method} ${path.slice(0, 200)} ${shown(body)}: ${answer.status} ${text.slice(0, 500)}`;
  const isRefused = answer.status >= 300;
  if (!isRefused) return { status: answer.status, json: {}, isRefused, said };
  expect(type, said).toBe("application/problem+json");
  const json = JSON.parse(text) as Json;
  judge(answer, json, said);
  return { status: answer.status, json, isRefused, said };
}

function judge(answer: Response, json: Json, said: string): void {
  expect(answer.status, said).toBeGreaterThanOrEqual(400);
  expect(answer.status, said).toBeLessThan(500);
  expect(json, said).toMatchObject({
    type: expect.any(String) as string,
    title: expect.any(String) as string,
    detail: expect.any(String) as string,
    status: answer.status,
    code: expect.stringMatching(/^[a-z_]+$/u) as string,
    retryable: answer.status === 429,
  });
  expect(answer.headers.get("x-request-id"), said).toBeTruthy();
  expect(answer.headers.has("retry-after"), said).toBe(answer.status === 429);
}

const shown = (body: Body | undefined): string =>
  typeof body === "string" ? body.slice(0, 300) : body === undefined ? "" : "(stream or bytes)";

/** A request, the statuses and the code that it must be refused with, and what else must hold of the refusal. */
export interface Wrong {
  readonly request: Request;
  readonly status: readonly number[];
  readonly code?: string;
  readonly facts?: Json;
}

const AT_ONCE = 16;

/** Sends all of them, some at a time. They must be refused, and leave no trace in the stage. */
export async function allRefused(stage: Stage, wrongs: Iterable<Wrong>): Promise<void> {
  const before = await stage.picture();
  await someAtOnce(wrongs, async ({ request, status, code, facts = {} }) => {
    const judged = await ask(stage, request);
    expect(status, judged.said).toContain(judged.status);
    if (code !== undefined) expect(judged.json["code"], judged.said).toBe(code);
    expect(judged.json, judged.said).toMatchObject(facts);
  });
  expect(await stage.picture(), "what was refused left a trace").toEqual(before);
}

export async function someAtOnce<T>(all: Iterable<T>, run: (one: T) => Promise<unknown>) {
  const rest = all[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await run(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
