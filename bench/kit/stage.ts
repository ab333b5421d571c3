/**
 * The stage of a timed bench: HalfMQ and the baselines side by side, and the requests that benches send them, made once.
 * Only one of them is ever driven at a time.
 */
import type { Answer, Connection } from "./connection.ts";
import { requestBytes } from "./connection.ts";
import type { Contender } from "./compare.ts";
import { closedLoop, CONNECTIONS, succeeded, type Loop, type Measured, type Step } from "./load.ts";
import { serveBaselines, serveHalfMq, type HalfMq, type Served } from "./servers.ts";

/** A JSON text of 256 bytes. */
export const BODY = `"${"x".repeat(254)}"`;
export const ROUNDS = 5;
const FIRST_WARM_UP_MS = 3_000;
const LOOP: Loop = { connections: CONNECTIONS, warmUpMs: 500, durationMs: 2_000 };

export class Stage {
  halfMq: HalfMq;
  readonly baselines: Served;

  private constructor(halfMq: HalfMq, baselines: Served) {
    this.halfMq = halfMq;
    this.baselines = baselines;
  }

  static async with<T>(use: (stage: Stage) => Promise<T>): Promise<T> {
    const stage = new Stage(await serveHalfMq(), await serveBaselines());
    try {
      return await use(stage);
    } finally {
      await Promise.all([stage.halfMq.stop(), stage.baselines.stop()]);
    }
  }

  /** HalfMQ begins anew with the same data: every object is evicted. */
  async restart(): Promise<void> {
    this.halfMq = await this.halfMq.restart();
  }

  /** A request to HalfMQ. */
  post(path: string, body: string): Buffer {
    return requestBytes(`/v1/${path}`, this.halfMq.key, body);
  }

  /** HalfMQ's part of a comparison. */
  measured(name: string, step: Step, loop: Partial<Loop> = {}): Contender {
    return { name, measure: warmed(() => this.halfMq, { ...LOOP, ...loop }, step) };
  }

  /** A baseline's part: `steps` requests, one after the other, make one step. */
  baseline(name: string, step: Step, more: Partial<Loop> & { atLeast?: number } = {}): Contender {
    const { atLeast, ...loop } = more;
    const measure = warmed(() => this.baselines, { ...LOOP, ...loop }, step);
    return { name, measure, ...(atLeast === undefined ? {} : { atLeast }) };
  }
}

/** The first round warms up for longer: by then the hot code is compiled. */
function warmed(server: () => Served, loop: Loop, step: Step): () => Promise<Measured> {
  let extraMs = FIRST_WARM_UP_MS;
  return () => {
    const warmUpMs = loop.warmUpMs + extraMs;
    extraMs = 0;
    return closedLoop(server(), { ...loop, warmUpMs }, step);
  };
}

/** The same request so many times, one after the other. */
export function times(count: number, request: Buffer): Step {
  return async (connection) => {
    for (let at = 0; at < count; at++) await ask(connection, request);
  };
}

export const ask = async (connection: Connection, request: Buffer): Promise<Answer> =>
  succeeded(await connection.ask(request));

/** A request to a baseline. */
export const to = (path: string, body: string): Buffer => requestBytes(path, "none", body);

/** The text of a member, without parsing the rest; the answer must have it. */
export function textOf({ body }: Answer, name: string): string {
  const mark = `"${name}":"`;
  const at = body.indexOf(mark);
  if (at < 0) throw new Error(`an answer without ${name}: ${body.toString()}`);
  const start = at + mark.length;
  return body.toString("latin1", start, body.indexOf('"', start));
}

/** The number under a member of a baseline's answer. */
export function numberOf({ body }: Answer, name: string): number {
  return Number(new RegExp(`"${name}":(\\d+)`, "u").exec(body.toString("latin1"))?.[1]);
}

/** A request of the stage's set-up, through Node's own fetch. */
export async function send(
  { halfMq }: Stage,
  method: "PUT" | "POST" | "GET",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${halfMq.port}/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${halfMq.key}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text}`);
  return JSON.parse(text);
}

export const putTopic = (stage: Stage, topic: string, settings: object): Promise<unknown> =>
  send(stage, "PUT", `topics/${topic}`, settings);
