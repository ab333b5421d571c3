/** A shop as a Worker of its own: HalfMQ is bound to it as a service, so that it needs no URL and no key. */
import { HalfMQ, type HalfMQBinding, isHalfmqError } from "halfmq";

interface Env {
  readonly HALFMQ: HalfMQBinding;
}

interface Order {
  readonly item: string;
  readonly pieces: number;
}

const stock = new Map([["tea", 10]]); // stands for a database

/** With the client: retries, typed errors, transactions. */
async function sell(env: Env, order: Order): Promise<Response> {
  const mq = new HalfMQ({ binding: env.HALFMQ });
  const take = (): number => {
    const left = (stock.get(order.item) ?? 0) - order.pieces;
    stock.set(order.item, left);
    return left;
  };
  try {
    const left = await mq.transact("orders", { body: order }, take, { producerGroup: "shop" });
    return Response.json({ left }, { status: 201 });
  } catch (error) {
    if (!isHalfmqError(error)) throw error;
    return Response.json({ code: error.code }, { status: error.retryable ? 503 : 400 });
  }
}

/** Without it: the binding's own verbs, whose refusals are values. */
async function ship(env: Env): Promise<Response> {
  const received = await env.HALFMQ.receive<Order>("orders", "shipping", { maxMessages: 1 });
  if (!received.ok) return Response.json({ code: received.code }, { status: received.status });
  const [message] = received.value.messages;
  if (message === undefined) return new Response(null, { status: 204 });
  await env.HALFMQ.ack("orders", "shipping", { receipts: [message.receipt] });
  return Response.json(message.body);
}

// oxlint-disable-next-line import/no-default-export -- this is how the runtime finds a Worker
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.method === "POST") return sell(env, (await request.json()) as Order);
    return ship(env);
  },
};
