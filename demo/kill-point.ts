/**
 * Named places where a service of the demo ends itself with SIGKILL, as a crash just there would. One place is armed per
 * life, by DEMO_KILL_AT: "local-commit:3" is the third time that the service comes by. Nothing is cleaned up: that is the point.
 */
const [armed, times] = (process.env["DEMO_KILL_AT"] ?? "").split(":");
let left = Number(times);

export type KillPoint =
  /** The half message is on disk, nothing else is. */
  | "prepared"
  /** The local database has committed, the broker has not. */
  | "local-commit"
  /** The broker has decided, the service has not gone on. */
  | "decided"
  /** A check was looked up and is not answered yet. */
  | "check"
  /** The stock was moved and the message is not acked. */
  | "before-ack";

export function passing(point: KillPoint): void {
  if (point === armed && --left === 0) process.kill(process.pid, "SIGKILL");
}
