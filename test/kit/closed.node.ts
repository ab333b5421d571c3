/** The end of a socket, however it comes: `once` of node:events rejects when the line breaks first, as it may at any time. */
import type { Socket } from "node:net";

export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.on("error", () => {}).once("close", () => resolve());
  });
