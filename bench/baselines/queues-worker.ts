/**
 * A Worker before Cloudflare Queues as workerd bundles it: sends what it is asked to, and takes and counts what is pushed. The
 * benches read the count; nothing here outlives the process.
 */
interface Bindings {
  readonly QUEUE: Queue;
}

const BATCH = 100;

let delivered = 0;

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const path = request.url.slice(request.url.indexOf("/", 8));
    switch (path) {
      case "/send":
        await env.QUEUE.send(await request.json());
        return Response.json({ ok: true });
      case "/batch": {
        const body = await request.json();
        await env.QUEUE.sendBatch(Array.from({ length: BATCH }, () => ({ body })));
        return Response.json({ ok: true });
      }
      case "/delivered":
        return Response.json({ delivered });
      default:
        return new Response("nothing here", { status: 404 });
    }
  },

  /** Returning acks them all. */
  queue(batch: MessageBatch): void {
    delivered += batch.messages.length;
  },
};
