/** The body of a request that a server of a test gets. A caller may end in the middle of it; that breaks no test. */
import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";

/** All of it; undefined when the line broke before its end, and nobody is there to be answered. */
export const wholeBody = (request: IncomingMessage): Promise<Buffer | undefined> =>
  buffer(request).catch(() => undefined);
