/**
 * The main path of the README over HTTP: send, receive, ack, and a transaction that a polled check commits. It knows the
 * wire only, so that it runs wherever HalfMQ does.
 */
import { expect } from "vitest";

export interface Place {
  readonly key: string;
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>;
}

interface Received {
  readonly messages: readonly {
    readonly id: string;
    readonly body: unknown;
    readonly receipt: string;
  }[];
}

const WAIT_MS = 10_000;

export async function walkMainPath({ key, fetch }: Place): Promise<void> {
  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const answer = await fetch(`/v1${path}`, init);
    const text = await answer.text();
    expect(answer.ok, `POST ${path} answers ${answer.status}: ${text}`).toBe(true);
    return JSON.parse(text) as T;
  };
  const receive = (waitMs: number): Promise<Received> =>
    post("/topics/orders/groups/billing/receive", { waitMs });

  await post("/topics/orders/messages", { body: { hello: "world" } });
  const [sent] = (await receive(WAIT_MS)).messages;
  expect(sent?.body).toEqual({ hello: "world" });
  const receipts = [sent?.receipt];
  expect(await post("/topics/orders/groups/billing/ack", { receipts })).toMatchObject({
    results: [{ ok: true }],
  });

  const half = {
    producerGroup: "shop",
    message: { body: { orderId: 17 } },
    check: { timeoutMs: 500 },
  };
  const prepared = await post<{ transactionId: string; messages: readonly { id: string }[] }>(
    "/topics/orders/transactions",
    half,
  );
  const { transactionId } = prepared;
  expect((await receive(0)).messages).toEqual([]);
  expect(await post("/producer-groups/shop/checks/receive", { waitMs: WAIT_MS })).toMatchObject({
    checks: [{ transactionId, attempt: 1, messages: [{ body: { orderId: 17 } }] }],
  });
  expect(await post(`/transactions/${transactionId}/commit`, { by: "check" })).toMatchObject({
    state: "committed",
    repeated: false,
  });
  const [committed] = (await receive(WAIT_MS)).messages;
  expect(committed).toMatchObject({ id: prepared.messages[0]?.id, body: { orderId: 17 } });
}
