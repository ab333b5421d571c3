/**
 * Sockets for Node's HTTP in the Workers runtime, which has none to show: Alibaba Cloud's SDK hangs its time limits on them, and
 * takes an answer without one for late. Nothing goes through these; the SDK stays as it is.
 */
import { EventEmitter } from "node:events";
import http from "node:http";
import { afterAll, beforeAll } from "vitest";

const { request } = http;

/** To be called once in a test file. */
export function withSockets(): void {
  beforeAll(() => {
    http.request = ((...call: Parameters<typeof request>) => {
      const made = request(...call);
      const socket = new EventEmitter();
      made.prependOnceListener("response", (response) => {
        Object.defineProperty(response, "socket", { value: socket });
      });
      queueMicrotask(() => made.emit("socket", socket));
      return made;
    }) as typeof request;
  });
  afterAll(() => {
    http.request = request;
  });
}
