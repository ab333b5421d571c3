/** WebSockets from Node, with headers: what `connect` of a target is there. */
import { subscribe } from "node:diagnostics_channel";
import { request } from "node:http";
import type { Connected, Connection } from "./kit.ts";

/** Node's client shows the headers of a 101 here alone. */
const requestIds = new WeakMap<object, string>();
subscribe("undici:websocket:open", (message) => {
  const { websocket, handshakeResponse } = message as {
    readonly websocket: WebSocket;
    readonly handshakeResponse: { readonly headers: Readonly<Record<string, string>> };
  };
  requestIds.set(websocket, handshakeResponse.headers["x-request-id"] ?? "");
});

/** Node's own client says nothing of a refused upgrade, so that one is asked for once more as plain HTTP. */
export async function connectTo(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Connected> {
  const { "sec-websocket-protocol": offered, ...rest } = headers;
  const protocols = offered?.split(",").map((each) => each.trim()) ?? [];
  const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, {
    headers: rest,
    protocols,
  } as unknown as string[]);
  const connection = over(socket);
  const opened = await new Promise<boolean>((resolve) => {
    socket.addEventListener("open", () => resolve(true), { once: true });
    socket.addEventListener("error", () => resolve(false), { once: true });
  });
  if (opened) return { is: "open", socket: connection };
  return refusalOf(url, path, headers);
}

function over(socket: WebSocket): Connection {
  const frames: string[] = [];
  let run: ((text: string) => void) | undefined;
  socket.addEventListener("message", ({ data }) => {
    if (run === undefined) frames.push(String(data));
    else run(String(data));
  });
  return {
    get protocol() {
      return socket.protocol;
    },
    get requestId() {
      return requestIds.get(socket);
    },
    send: (frame) => socket.send(frame),
    close: (code) => socket.close(code),
    onFrame: (next) => {
      run = next;
      for (const frame of frames.splice(0)) next(frame);
    },
    closed: new Promise((resolve) => {
      socket.addEventListener("close", ({ code }) => resolve(code), { once: true });
    }),
  };
}

function refusalOf(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Connected> {
  const upgrade = {
    ...headers,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  return new Promise((resolve, reject) => {
    const call = request(`${url}${path}`, { headers: upgrade }, (response) => {
      let text = "";
      response.on("error", reject);
      response.on("data", (data: Buffer) => (text += data.toString()));
      response.on("end", () => {
        const { code } = JSON.parse(text) as { code?: unknown };
        resolve({ is: "refused", status: response.statusCode ?? 0, code });
      });
    });
    call.on("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Error("refused, then let in"));
    });
    call.on("error", reject);
    call.end();
  });
}
