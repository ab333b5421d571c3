/** The end of a socket is heard of also where its line breaks. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { closed } from "./closed.node.ts";

test("a socket that the other side resets has ended, and nobody is hit by its error", async () => {
  const server = createServer((socket) => void socket.resetAndDestroy());
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await closed(socket);
  expect(socket.errored).toMatchObject({ code: "ECONNRESET" });
});
