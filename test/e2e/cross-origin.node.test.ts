/** A page of another origin against a real server: what a browser would ask and be told. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { connectTo } from "../conformance/sockets.node.ts";

const PAGE = "https://app.example.com";
const ALLOWED = "access-control-allow-origin";
let folder: string;
let server: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-origins-"));
  const env = { HALFMQ_ALLOWED_ORIGINS: PAGE };
  server = await startServer({ dataFolder: folder, env, onOutput: () => {} });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const ask = (method: string, path: string, headers: Record<string, string>, body?: string) =>
  fetch(server.url + path, {
    method,
    headers: { origin: PAGE, ...headers },
    ...(body === undefined ? {} : { body }),
  });
const keyed = () => ({ authorization: `Bearer ${server.rootKey}` });

test("it asks without a key, sends with one, and reads a refusal", async () => {
  const path = "/v1/topics/orders/messages";
  const grant = await ask("OPTIONS", path, {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
  });
  expect([grant.status, grant.headers.get(ALLOWED)]).toEqual([204, PAGE]);
  const sent = await ask(
    "POST",
    path,
    { ...keyed(), "content-type": "application/json" },
    '{"body":1}',
  );
  expect([sent.status, sent.headers.get(ALLOWED)]).toEqual([200, PAGE]);
  const refused = await ask("GET", "/v1/topics", {});
  expect([refused.status, refused.headers.get(ALLOWED)]).toEqual([401, PAGE]);
  const elsewhere = await ask("GET", "/v1/topics", { ...keyed(), origin: "https://evil.example" });
  expect([elsewhere.status, elsewhere.headers.get(ALLOWED)]).toEqual([200, null]);
});

test("events still come as they happen, and a stream still opens", async () => {
  const hangUp = new AbortController();
  const tail = await fetch(`${server.url}/v1/topics/orders/tail?from=earliest`, {
    headers: { origin: PAGE, ...keyed() },
    signal: hangUp.signal,
  });
  expect(tail.headers.get(ALLOWED)).toBe(PAGE);
  let text = "";
  for await (const bytes of tail.body ?? []) {
    text += new TextDecoder().decode(bytes);
    if (text.includes('"body":1')) break;
  }
  hangUp.abort();
  const stream = await connectTo(server.url, "/v1/topics/orders/groups/g/stream", {
    origin: PAGE,
    ...keyed(),
  });
  expect(stream.is).toBe("open");
  if (stream.is === "open") stream.socket.close(1000);
});
