/**
 * The server inside the Workers runtime as a target of the suites. Nothing can listen in there, so the server, and the endpoints
 * of producers, are hosts that the isolate's `fetch` answers itself: calls to them are made, signed and bounded as any other.
 */
import { env, exports } from "cloudflare:workers";
import { afterAll, beforeAll } from "vitest";
import type { Answerer, CallAnswer, Connected, Connection, Listening, Target } from "./kit.ts";

const URL_OF_SERVER = "http://halfmq.test";
const outside = globalThis.fetch;
const hosts = new Map<string, Answerer>();
let made = 0;

/** `fetch` as everybody in the isolate sees it: hosts of the suite are answered here, all others do not exist. */
const inside: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  if (request.url.startsWith(URL_OF_SERVER)) return exports.default.fetch(request);
  const answer = hosts.get(new URL(request.url).host);
  if (answer === undefined) throw new TypeError("nobody listens there");
  const call = {
    method: request.method,
    headers: new Headers(request.headers),
    body: await request.text(),
    at: Date.now(),
  };
  const gone = new Promise<CallAnswer>((_, reject) => {
    const signal = init?.signal;
    signal?.addEventListener("abort", () => reject(new TypeError("aborted")));
  });
  const given = await Promise.race([answer(call), gone]);
  const headers = new Headers({ "content-type": "application/json", ...given.headers });
  return new Response(given.body ?? null, { status: given.status ?? 200, headers });
};

function listen(answer: Answerer): Promise<Listening> {
  made += 1;
  const host = `producer-${made}.example.com`;
  hosts.set(host, answer);
  const close = (): Promise<void> => {
    hosts.delete(host);
    return Promise.resolve();
  };
  return Promise.resolve({ url: `https://${host}/checks`, close });
}

async function connect(
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Connected> {
  const answer = await exports.default.fetch(
    new Request(URL_OF_SERVER + path, { headers: { ...headers, upgrade: "websocket" } }),
  );
  const socket = answer.webSocket;
  if (socket === null) {
    const { code } = await answer.json<{ code?: unknown }>();
    return { is: "refused", status: answer.status, code };
  }
  const frames: string[] = [];
  let run: ((text: string) => void) | undefined;
  socket.addEventListener("message", ({ data }) => {
    if (run === undefined) frames.push(String(data));
    else run(String(data));
  });
  const closed = new Promise<number>((resolve) => {
    socket.addEventListener("close", ({ code }) => resolve(code));
  });
  socket.accept();
  const connection: Connection = {
    protocol: answer.headers.get("sec-websocket-protocol") ?? "",
    requestId: answer.headers.get("x-request-id") ?? undefined,
    send: (frame) => socket.send(frame),
    close: (code) => socket.close(code),
    onFrame: (next) => {
      run = next;
      for (const frame of frames.splice(0)) next(frame);
    },
    closed,
  };
  return { is: "open", socket: connection };
}

/** The server by its address, for clients that call `fetch`. To be called once in a test file. */
export function insideServer() {
  beforeAll(() => {
    globalThis.fetch = inside;
  });
  afterAll(() => {
    globalThis.fetch = outside;
  });
  const key = (env as { HALFMQ_ROOT_KEY: string }).HALFMQ_ROOT_KEY;
  return { url: URL_OF_SERVER, key, listen };
}

/** To be called once in a test file. */
export function insideTarget(): Target {
  const { key } = insideServer();
  return {
    name: "workerd",
    key,
    fetch: (path, init) => exports.default.fetch(new Request(URL_OF_SERVER + path, init)),
    listen,
    connect,
  };
}
