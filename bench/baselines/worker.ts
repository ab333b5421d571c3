/**
 * What HalfMQ is measured against: a Worker that answers at once, a Worker that makes a call to an object that does nothing,
 * and the object that most would write first, with one statement per request. None of them keeps a promise to anybody.
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

/** A row per message, one statement per request. */
export class Naive extends DurableObject {
  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as Cloudflare.Env);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, body TEXT NOT NULL, leased_until INTEGER NOT NULL)",
    );
  }

  send(body: string): number {
    const { sql } = this.ctx.storage;
    const insert = "INSERT INTO message (body, leased_until) VALUES (?, 0) RETURNING id";
    return Number(sql.exec(insert, body).one()["id"]);
  }
}

const json = (value: unknown): Response =>
  new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const path = request.url.slice(request.url.indexOf("/", 8));
    switch (path) {
      case "/bare":
        return json({ ok: true });
      case "/noop":
        return json({ ok: await env.IDLE.getByName("one").noop() });
      case "/carry":
        return json({ ok: await env.IDLE.getByName("one").carry(await request.arrayBuffer()) });
      case "/naive": {
        const { body } = await request.json<{ body: unknown }>();
        return json({ id: await env.NAIVE.getByName("one").send(JSON.stringify(body)) });
      }
      default:
        return new Response("nothing here", { status: 404 });
    }
  },
};
