/** A zoo of hostile endpoints, on a real HTTP server: each call ends in time, in bounds and as a value. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createGzip } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { afterEach, expect, test } from "vitest";
import { targetPolicy } from "../../src/platform/target.ts";
import {
  type Fetch,
  type PostAnswer,
  postSigned,
  type SignedPost,
} from "../../src/platform/webhook.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const KIB_64 = 64 * 1024;
const servers: Server[] = [];
const deaf: Fetch = () => new Promise(() => undefined);

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function endpoint(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const post = (url: string, more: Partial<SignedPost> = {}): Promise<PostAnswer> =>
  postSigned({
    url,
    secrets: [{ secret: SECRET }],
    id: "chk_1",
    body: '{"n":1.00}',
    timeoutMs: 10_000,
    responseBytesMax: KIB_64,
    policy: targetPolicy({ HALFMQ_LOOPBACK: "1" }),
    nowMs: Date.now(),
    fetch,
    ...more,
  });

test("the body goes out as it is, with headers that the reference library verifies", async () => {
  const verified: unknown[] = [];
  const url = await endpoint((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      new Webhook(SECRET).verify(body, request.headers as Record<string, string>);
      verified.push(request.method, body, request.headers["content-type"]);
      response.end("done");
    });
  });
  expect(await post(url)).toEqual({ status: 200, bodyText: "done" });
  expect(verified).toEqual(["POST", '{"n":1.00}', "application/json"]);
});

test("an endpoint that hangs before its head ends as timeout", async () => {
  const url = await endpoint(() => undefined);
  expect(await post(url, { timeoutMs: 100 })).toEqual({ status: 0, failure: "timeout" });
});

test("an endpoint that hangs within its body ends as timeout", async () => {
  const url = await endpoint((_, response) => {
    response.writeHead(200);
    response.write('{"resolution":');
  });
  expect(await post(url, { timeoutMs: 100 })).toMatchObject({ failure: "timeout" });
});

test("a slow drip does not stretch the time", async () => {
  let drips = 0;
  const url = await endpoint((_, response) => {
    response.writeHead(200);
    const timer = setInterval(() => {
      drips++;
      response.write(" ");
    }, 5);
    response.on("close", () => clearInterval(timer));
  });
  expect(await post(url, { timeoutMs: 150 })).toMatchObject({ failure: "timeout" });
  expect(drips).toBeGreaterThan(2);
});

test("a fetch that does not heed its signal is left behind", async () => {
  expect(await post("http://localhost/", { timeoutMs: 20, fetch: deaf })).toMatchObject({
    failure: "timeout",
  });
});

test("a gigabyte of answer is cut off after 64 KiB", async () => {
  const block = Buffer.alloc(KIB_64, "a");
  let sent = 0;
  const ended = Promise.withResolvers<void>();
  const url = await endpoint((_, response) => {
    response.on("close", () => ended.resolve());
    const more = (): void => {
      while (sent < 1024 ** 3 && !response.destroyed) {
        sent += block.length;
        if (!response.write(block)) {
          response.once("drain", more);
          return;
        }
      }
    };
    more();
  });
  expect(await post(url)).toEqual({ status: 200, failure: "too_large" });
  await ended.promise;
  expect(sent).toBeLessThan(64 * 1024 ** 2);
});

test("a gzip bomb is counted as it unpacks", async () => {
  const ended = Promise.withResolvers<void>();
  let bytesOut = 0;
  const url = await endpoint((_, response) => {
    response.on("close", () => ended.resolve());
    response.writeHead(200, { "content-encoding": "gzip" });
    const gzip = createGzip();
    gzip.on("data", (chunk: Buffer) => (bytesOut += chunk.length));
    gzip.pipe(response);
    gzip.end(Buffer.alloc(64 * 1024 ** 2));
  });
  expect(await post(url)).toEqual({ status: 200, failure: "too_large" });
  await ended.promise;
  expect(bytesOut).toBeLessThan(KIB_64 * 2);
});

test("an answer of exactly the limit is read, one byte more is not", async () => {
  const url = await endpoint((request, response) => {
    response.end("a".repeat(request.headers["webhook-id"] === "at" ? KIB_64 : KIB_64 + 1));
  });
  expect((await post(url, { id: "at" })).bodyText).toHaveLength(KIB_64);
  expect(await post(url, { id: "over" })).toEqual({ status: 200, failure: "too_large" });
});

test.each([301, 302, 303, 307, 308])("a %d to loopback is not followed", async (status) => {
  let followed = 0;
  const victim = await endpoint((_, response) => {
    followed++;
    response.end();
  });
  const url = await endpoint((_, response) =>
    response.writeHead(status, { location: victim }).end(),
  );
  expect(await post(url)).toEqual({ status, failure: "redirect" });
  expect(followed).toBe(0);
});

test("a connection cut before, within and after the head ends as network", async () => {
  const cutAtOnce = await endpoint((request) => request.socket.destroy());
  expect(await post(cutAtOnce)).toEqual({ status: 0, failure: "network" });
  const cutInBody = await endpoint((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write('{"resolution":"commit"}', () => response.destroy());
  });
  expect(await post(cutInBody)).toMatchObject({ failure: "network" });
  const garbage = await endpoint((request) => request.socket.end("HTTP/9.9 nonsense\r\n\r\n"));
  expect(await post(garbage)).toMatchObject({ failure: "network" });
});

test("nobody listening, and a name that does not resolve, end as network", async () => {
  expect(await post("http://127.0.0.1:1/")).toEqual({ status: 0, failure: "network" });
  expect(await post("http://nobody.localhost.:1/")).toMatchObject({ failure: "network" });
});

test("a status that is no success comes back with its body", async () => {
  const url = await endpoint((_, response) => response.writeHead(500).end("broken"));
  expect(await post(url)).toEqual({ status: 500, bodyText: "broken" });
});

test("a forbidden target and an unreadable secret never reach the network", async () => {
  let calls = 0;
  const counting: Fetch = () => {
    calls++;
    return Promise.reject(new Error("must not be called"));
  };
  expect(await post("https://169.254.169.254/", { fetch: counting })).toEqual({
    status: 0,
    failure: "target_not_allowed",
  });
  expect(
    await post("http://localhost/", { fetch: counting, secrets: [{ secret: "whsec_" }] }),
  ).toEqual({ status: 0, failure: "no_secret" });
  expect(calls).toBe(0);
});
