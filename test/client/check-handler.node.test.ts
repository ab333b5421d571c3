/** The mounted check handler: who may ask, and what it answers. Signatures are measured against the `standardwebhooks` package. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import {
  type CheckFunction,
  checkHandler,
  nodeListener,
  signWebhook,
  verifyWebhook,
} from "../../src/client/index.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NOW = new Date(1_800_000_000_000);
const CHECK = {
  transactionId: "t1",
  topic: "orders",
  attempt: 1,
  messages: [{ id: "m1", body: 1 }],
};
const BODY = JSON.stringify({ type: "transaction.check", timestamp: "…", data: CHECK });

const signedBy = (secret: string, body = BODY, at = NOW): Request =>
  new Request("http://shop.test/checks", {
    method: "POST",
    body,
    headers: {
      "webhook-id": "check-1",
      "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
      "webhook-signature": new Webhook(secret).sign("check-1", at, body),
    },
  });

const mounted = (check: CheckFunction = () => "commit", secret: string | string[] = SECRET) =>
  checkHandler({ secret, check, now: () => NOW.getTime() });

describe("a signed check", () => {
  test("is put to the function, whose word is the answer", async () => {
    for (const word of ["commit", "rollback", "unknown"] as const) {
      const seen: unknown[] = [];
      const response = await mounted((check) => {
        seen.push(check);
        return Promise.resolve(word);
      })(signedBy(SECRET));
      expect([response.status, await response.json()]).toEqual([200, { resolution: word }]);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(seen).toEqual([CHECK]);
    }
  });

  test("is unknown when the function says nothing, or no known word", async () => {
    for (const word of [undefined, "yes" as "commit"]) {
      expect(await (await mounted(() => word)(signedBy(SECRET))).json()).toEqual({
        resolution: "unknown",
      });
    }
  });

  test("is answered 500 when the function throws, and the error is heard", async () => {
    const errors: unknown[] = [];
    const handler = checkHandler({
      secret: SECRET,
      now: () => NOW.getTime(),
      check: () => Promise.reject(new Error("no database")),
      onError: (error) => errors.push(error),
    });
    expect((await handler(signedBy(SECRET))).status).toBe(500);
    expect(errors).toEqual([new Error("no database")]);
  });

  test("may be signed by any of several secrets, as while they rotate", async () => {
    for (const secret of [SECRET, OTHER]) {
      expect((await mounted(undefined, [OTHER, SECRET])(signedBy(secret))).status).toBe(200);
    }
    const headers = await signWebhook({ id: "a", timestampMs: NOW.getTime(), body: BODY }, [
      OTHER,
      SECRET,
    ]);
    const request = new Request("http://shop.test/", {
      method: "POST",
      body: BODY,
      headers: { ...headers },
    });
    expect((await mounted()(request)).status).toBe(200);
  });
});

describe("nobody is asked", () => {
  const silent = mounted(() => {
    throw new Error("asked");
  });

  test("for a wrong secret, a changed body or no signature: 401", async () => {
    const changed = new Request(signedBy(SECRET), {
      body: BODY.replace("t1", "t2"),
      method: "POST",
    });
    const bare = new Request("http://shop.test/", { method: "POST", body: BODY });
    const nonsense = new Request("http://shop.test/", {
      method: "POST",
      body: BODY,
      headers: {
        "webhook-id": "1",
        "webhook-timestamp": String(NOW.getTime() / 1_000),
        "webhook-signature": "v1,!!! v1 v2,AAAA v1,",
      },
    });
    for (const request of [signedBy(OTHER), changed, bare, nonsense]) {
      expect((await silent(request)).status).toBe(401);
    }
  });

  test("for a signature older or newer than five minutes: 401", async () => {
    for (const offMs of [-301_000, 301_000]) {
      const at = new Date(NOW.getTime() + offMs);
      expect((await silent(signedBy(SECRET, BODY, at))).status).toBe(401);
    }
    const at = new Date(NOW.getTime() - 299_000);
    expect((await mounted()(signedBy(SECRET, BODY, at))).status).toBe(200);
  });

  test("for another method, another event, no JSON: 405, 400, 400", async () => {
    expect((await silent(new Request("http://shop.test/"))).status).toBe(405);
    for (const body of ['{"type":"messages.delivery","data":{}}', "check"]) {
      expect((await silent(signedBy(SECRET, body))).status).toBe(400);
    }
  });

  test("for more than any check can hold, however it is sent: 413", async () => {
    const piece = new Uint8Array(1024 * 1024);
    let pieces = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pieces++;
        controller.enqueue(piece);
      },
    });
    const init = { method: "POST", body, duplex: "half" } as const;
    expect((await silent(new Request("http://shop.test/", init))).status).toBe(413);
    expect(pieces).toBeLessThan(20);
  });

  test("without a secret there is no handler", () => {
    for (const secret of ["", []]) {
      expect(() => checkHandler({ secret, check: () => "commit" })).toThrow("secret must be");
    }
  });
});

describe("a signature", () => {
  const webhook = { id: "check-1", timestampMs: Date.now(), body: '{"a":"ü"}' };

  test("made here is verified by the package, and the other way round", async () => {
    const ours = await signWebhook(webhook, SECRET);
    const verify = (headers: Record<string, string>): unknown =>
      new Webhook(SECRET).verify(webhook.body, headers);
    expect(verify({ ...ours })).toEqual({ a: "ü" });
    const theirs = new Webhook(SECRET).sign(
      webhook.id,
      new Date(webhook.timestampMs),
      webhook.body,
    );
    expect(theirs).toBe(ours["webhook-signature"]);
    const headers = new Headers({ ...ours, "webhook-signature": theirs });
    const signed = { body: webhook.body, headers, nowMs: webhook.timestampMs };
    expect(await verifyWebhook(signed, SECRET)).toBe(true);
    expect(await verifyWebhook(signed, OTHER)).toBe(false);
  });
});

test("a node:http server serves it through nodeListener", async () => {
  const server = createServer(nodeListener(mounted()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const request = signedBy(SECRET);
  const response = await fetch(`http://127.0.0.1:${port}/checks`, {
    method: "POST",
    headers: request.headers,
    body: BODY,
  });
  expect([response.status, await response.json()]).toEqual([200, { resolution: "commit" }]);
  const get = await fetch(`http://127.0.0.1:${port}/`);
  expect(get.status).toBe(405);
  server.closeAllConnections();
  server.close();
});
