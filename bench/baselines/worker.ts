/**
 * What HalfMQ is measured against: a Worker that answers at once, a Worker that makes a call to an object that does nothing,
 * and the object that most would write first: a row per message, one statement per step. None of them keeps a promise to
 * anybody.
 */
import { DurableObject } from "cloudflare:workers";

interface Bindings {
  readonly IDLE: DurableObjectNamespace<Idle>;
  readonly NAIVE: DurableObjectNamespace<Naive>;
}

/** Answers at once, with or without a body. */
export class Idle extends DurableObject {
  // oxlint-disable-next-line class-methods-use-this -- An object's methods are its wire.
  noop(): number {
    return 0;
  }

  // oxlint-disable-next-line class-methods-use-this -- An object's methods are its wire.
  carry(body: ArrayBuffer): number {
    return body.byteLength;
  }
}

const LEASE_MS = 600_000;

/** A row per message with an index by which it is found, one statement per step. */
export class Naive extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as Cloudflare.Env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS message (
        id INTEGER PRIMARY KEY, body TEXT NOT NULL, visible_at INTEGER);
       CREATE INDEX IF NOT EXISTS message_visible ON message (visible_at)`,
    );
  }

  send(bodies: readonly string[]): number {
    let id = 0;
    for (const body of bodies) id = this.#insert(body, 0);
    return id;
  }

  /** A message that nobody sees yet. */
  prepare(body: string): number {
    return this.#insert(body, null);
  }

  commit(id: number): number {
    return this.#sql.exec("UPDATE message SET visible_at = 0 WHERE id = ?", id).rowsWritten;
  }

  receive(): { id: number; body: string } | undefined {
    const lease = `UPDATE message SET visible_at = ? WHERE id =
      (SELECT id FROM message WHERE visible_at <= ? ORDER BY visible_at LIMIT 1) RETURNING id, body`;
    const nowMs = Date.now();
    interface Row extends Record<string, SqlStorageValue> {
      readonly id: number;
      readonly body: string;
    }
    return this.#sql.exec<Row>(lease, nowMs + LEASE_MS, nowMs).toArray()[0];
  }

  ack(id: number): number {
    return this.#sql.exec("DELETE FROM message WHERE id = ?", id).rowsWritten;
  }

  #insert(body: string, visibleAt: number | null): number {
    const insert = "INSERT INTO message (body, visible_at) VALUES (?, ?) RETURNING id";
    return Number(this.#sql.exec(insert, body, visibleAt).one()["id"]);
  }
}

const json = (value: unknown): Response =>
  new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });

interface Body {
  readonly body?: unknown;
  readonly messages?: readonly { readonly body: unknown }[];
  readonly id?: number;
}

const textsOf = ({ body, messages = [{ body }] }: Body): string[] =>
  messages.map((message) => JSON.stringify(message.body));

async function naive(verb: string, request: Request, env: Bindings): Promise<Response> {
  const stub = env.NAIVE.getByName("one");
  const body = await request.json<Body>();
  switch (verb) {
    case "send":
      return json({ id: await stub.send(textsOf(body)) });
    case "prepare":
      return json({ id: await stub.prepare(textsOf(body)[0] ?? "") });
    case "commit":
      return json({ ok: await stub.commit(body.id ?? 0) });
    case "receive":
      return json({ message: await stub.receive() });
    default:
      return json({ ok: await stub.ack(body.id ?? 0) });
  }
}

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const path = request.url.slice(request.url.indexOf("/", 8));
    switch (path) {
      case "/bare":
        return json({ ok: true });
      case "/read":
        return json({ ok: (await request.arrayBuffer()).byteLength });
      case "/noop":
        return json({ ok: await env.IDLE.getByName("one").noop() });
      case "/carry":
        return json({ ok: await env.IDLE.getByName("one").carry(await request.arrayBuffer()) });
      default:
        return path.startsWith("/naive/")
          ? naive(path.slice("/naive/".length), request, env)
          : new Response("nothing here", { status: 404 });
    }
  },
};
