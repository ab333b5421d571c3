/**
 * Log lines as JSON, one an event, for whatever collects the Worker's console. It never logs bodies, keys or secrets:
 * callers pass names, ids, counts and codes only.
 */

type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export const log: Log = {
  info: (event, fields) => console.log(JSON.stringify({ level: "info", event, ...fields })),
  error: (event, fields) => console.error(JSON.stringify({ level: "error", event, ...fields })),
};
