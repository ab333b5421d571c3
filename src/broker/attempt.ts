/** The name by which queues know an attempt to receive, and the queue where it begins. It remembers nothing. */
import { encodeText } from "../core/bytes.ts";

/** The first queue asked is always the same for an attempt. */
export function homeFirst(attempt: string, queues: readonly number[]): number[] {
  const home = Number.parseInt(attempt.slice(0, 8), 16) % queues.length;
  return [home, ...queues.filter((queue) => queue !== home)];
}

export async function hashOf(attemptId: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encodeText(attemptId)));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
