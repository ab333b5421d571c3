/**
 * A port for who must name it before listening there, or listens there again and again. It is none of those that systems hand
 * out by themselves (from 32768 on Linux), so that no other program gets it meanwhile.
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const FIRST = 20_000;
const END = 32_768;

/** Nobody listens on it; any other caller of this is unlikely to get the same. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    if (await isFree(port)) return port;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
