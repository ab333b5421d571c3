/** Server-Sent Events as text. Pure. */

/** A line that readers pass over: a proxy sees that the stream lives. */
export const HEARTBEAT = ": halfmq\n\n";

/** The same, and where the stream is, so that a line that breaks before its first event is taken up there. */
export const heartbeatAt = (id: string): string => `: halfmq\nid: ${id}\n\n`;

export interface ServerSent {
  readonly id: string | number;
  /** Absent: `message`. */
  readonly event?: string;
  /** JSON text, which may hold line breaks. */
  readonly data: string;
}

export function eventText({ id, event, data }: ServerSent): string {
  const name = event === undefined ? "" : `event: ${event}\n`;
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `id: ${id}\n${name}${lines.join("")}\n`;
}

export const EVENT_STREAM = {
  contentType: "text/event-stream; charset=utf-8",
  headers: { "cache-control": "no-store" },
} as const;
