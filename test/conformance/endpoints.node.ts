/** Endpoints on this machine's loopback, for a server that may call there. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { wholeBody } from "../kit/request-body.node.ts";
import type { Answerer, Listening } from "./kit.ts";

export async function listenOnLoopback(answer: Answerer): Promise<Listening> {
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const at = Date.now();
    const body = await wholeBody(request);
    if (body === undefined) return;
    const headers = new Headers(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const given = await answer({
      method: request.method ?? "",
      headers,
      body: body.toString(),
      at,
    });
    response.writeHead(given.status ?? 200, {
      "content-type": "application/json",
      ...given.headers,
    });
    response.end(given.body ?? "");
  };
  const server = createServer((request, response) => void respond(request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/checks`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
