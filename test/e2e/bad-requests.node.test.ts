/**
 * What no HTTP client would send, written to the socket of the server of `npm start`: tricks with paths, lengths that are
 * not true, bodies that are cut off. The server answers with a refusal or hangs up; it never fails, and stays well.
 */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { stageIn, type Stage } from "../conformance/bad-input/stage.ts";
import { Mq } from "../conformance/client.ts";
import { listenOnLoopback } from "../conformance/endpoints.node.ts";
import { closed } from "../kit/closed.node.ts";

let folder = "";
let server: Server;
let stage: Stage;
let output = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-bad-"));
  server = await startServer({ dataFolder: folder, onOutput: (text) => (output += text) });
  const mq = new Mq({
    name: "bad requests",
    key: server.rootKey,
    fetch: (path, init) => fetch(`${server.url}${path}`, init),
    listen: listenOnLoopback,
  });
  stage = await stageIn(mq);
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Writes the pieces, ends the connection's own half, and reads until the server ends its. */
async function exchange(...pieces: readonly string[]): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  let answer = "";
  socket.on("data", (data: Buffer) => (answer += data.toString()));
  // A server may hang up while it is written to.
  const ended = closed(socket);
  await once(socket, "connect");
  for (const piece of pieces) socket.write(Buffer.from(piece, "latin1"));
  socket.end();
  await ended;
  return answer;
}

function head(method: string, path: string, ...headers: readonly string[]): string {
  const all = [
    `${method} ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    `Authorization: Bearer ${server.rootKey}`,
    `Halfmq-Namespace: ${stage.namespace}`,
    "Connection: close",
    ...headers,
  ];
  return `${all.join("\r\n")}\r\n\r\n`;
}

const JSON_TYPE = "Content-Type: application/json";
/** Of the answer itself, not of a 100 before it; 0 without an answer. */
const statusOf = (answer: string): number =>
  Number(/(?:^|\n)HTTP\/1\.1 ([2-5]\d\d)/u.exec(answer)?.[1] ?? 0);

/** Nothing is stored, nothing has failed, and the next request is answered. */
async function leavesNoTrace(run: () => Promise<void>): Promise<void> {
  const before = await stage.picture();
  await run();
  expect(await stage.picture()).toEqual(before);
  expect(output).not.toMatch(/internal_error|uncaught|exception/iu);
}

test("tricks with paths reach nothing that the plain path would not", () =>
  leavesNoTrace(async () => {
    const topic = stage.parametersOf("/v1/topics/{topic}")["topic"] ?? "";
    for (const path of [
      "/v1/topics/../keys/k",
      "/v1/topics/%2e%2e/keys",
      `/v1/topics/${topic}/../../keys/k`,
      `//v1/topics/${topic}`,
      `/v1//topics/${topic}`,
      `/v1/topics/${topic}/`,
      `/v1/topics/${topic}%2Fmessages`,
      `/v1/topics/${topic}\\messages`,
      `/V1/TOPICS/${topic}`,
      `/v1/topics/${topic};x=1`,
      `/v1/topics/${topic}%00`,
      "/..%2f..%2fetc/passwd",
      "/%2e%2e/%2e%2e/etc/passwd",
      "/v1/topics/.",
      "/v1/topics/..",
      `/v1/topics/${"x".repeat(20_000)}`,
      "*",
      "/?",
      "/#",
    ])
      for (const method of ["DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"]) {
        const answer = await exchange(head(method, path));
        // It may be that nothing is answered at all: what is no HTTP is not worth an answer.
        if (answer === "") continue;
        const said = `${method} ${path.slice(0, 80)}: ${answer.slice(0, 500)}`;
        expect(statusOf(answer), said).toBeGreaterThanOrEqual(400);
        expect(statusOf(answer), said).toBeLessThan(500 + Number(method === "TRACE") * 2);
      }
  }));

test("a Host that is none is no failure on any path, with and without a key", () =>
  leavesNoTrace(async () => {
    for (const host of ["[", "a b", "x:99999", "%", "x/y", "x?y", "127.0.0.1:1*"])
      for (const path of [
        "/",
        "*",
        "/metrics",
        "/openapi.json",
        "/v1/topics",
        "/accounts/a/queues",
      ])
        for (const key of ["", `Authorization: Bearer ${server.rootKey}\r\n`]) {
          const line = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${key}\r\n`;
          const answer = await exchange(line);
          const said = `${host} ${path}: ${answer.slice(0, 300)}`;
          expect(statusOf(answer), said).toBeGreaterThan(0);
          expect(statusOf(answer), said).toBeLessThan(500);
          if (key === "") expect(answer, said).toContain('"unauthenticated"');
        }
  }));

test("a body shorter than its length, or of no sound length, stores nothing", () =>
  leavesNoTrace(async () => {
    const path = stage.at("/v1/topics/{topic}/messages");
    const commit = stage.at("/v1/transactions/{id}/commit");
    const whole = '{"body":1}';
    for (const pieces of [
      [head("POST", path, JSON_TYPE, "Content-Length: 100"), whole],
      [head("POST", path, JSON_TYPE, "Content-Length: 10000000"), whole],
      [head("POST", path, JSON_TYPE, "Content-Length: -1"), whole],
      [head("POST", path, JSON_TYPE, "Content-Length: 1e1"), whole],
      [head("POST", path, JSON_TYPE, "Content-Length: 99999999999999999999"), whole],
      [head("POST", path, JSON_TYPE, "Transfer-Encoding: chunked"), "ffffffffffffffffff\r\n"],
      [head("POST", path, JSON_TYPE, "Transfer-Encoding: chunked"), `a\r\n${whole}`],
      [head("POST", path, JSON_TYPE, "Transfer-Encoding: chunked"), `zz\r\n${whole}\r\n0\r\n\r\n`],
      [head("POST", path, JSON_TYPE, "Transfer-Encoding: gzip"), whole],
      // Without a body it would be a decision.
      [head("POST", commit, JSON_TYPE, "Transfer-Encoding: chunked")],
      [head("POST", commit, JSON_TYPE, "Transfer-Encoding: chunked"), "2\r\n{}"],
      [head("POST", commit, JSON_TYPE, "Content-Length: 2")],
      [head("POST", commit, JSON_TYPE, "Content-Length: 300000")],
      [head("POST", path, JSON_TYPE, "Expect: 100-continue", "Content-Length: 10")],
    ]) {
      const answer = await exchange(...pieces);
      const status = statusOf(answer);
      expect(status === 0 || (status >= 400 && status < 502), answer.slice(0, 300)).toBe(true);
      expect(status, answer.slice(0, 300)).not.toBe(500);
    }
  }));

test("heads that are no HTTP, or too much of it, are refused", () =>
  leavesNoTrace(async () => {
    for (const text of [
      "GET\r\n\r\n",
      "\r\n\r\n",
      "\u0000\u0001\u0002",
      "GET /v1/topics HTTP/9.9\r\n\r\n",
      head("GET", "/v1/topics", `X: ${"x".repeat(1_000_000)}`),
      head("GET", "/v1/topics", ...Array.from({ length: 5_000 }, (_, index) => `X-${index}: x`)),
      head("GET", "/v1/topics", "X\u0000Y: z"),
      head("GET", "/v1/topics", "no colon"),
      head(
        "POST",
        stage.at("/v1/topics/{topic}/messages"),
        "Content-Length: 10",
        "Content-Length: 2",
      ),
    ]) {
      const answer = await exchange(text);
      expect(statusOf(answer), answer.slice(0, 300)).not.toBe(500);
    }
  }));

/** Of RFC 6455's own example. */
const UPGRADE = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

test.each([999, 1004, 5000])(
  "a stream's Close with %i, which nobody may send, is answered by one without a code",
  async (code) => {
    const socket = connect(server.port, "127.0.0.1");
    let answer = "";
    socket.on("data", (data: Buffer) => (answer += data.toString("latin1")));
    const ended = closed(socket);
    const opening = head("GET", "/v1/topics/closing/groups/g/stream", ...UPGRADE);
    socket.write(opening.replace("Connection: close\r\n", ""));
    await once(socket, "data");
    // Masked by nothing, as each frame of a client must be.
    socket.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, code >> 8, code & 0xff]));
    await ended;
    expect(answer).toMatch(/^HTTP\/1\.1 101 /u);
    expect(answer.slice(-2)).toBe("\x88\x00");
  },
);
