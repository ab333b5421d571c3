/** What is counted in an invented world: what Cloudflare would bill, and what a disk would have to bear. */
export interface Counts {
  rowsWritten: number;
  rowsRead: number;
  bytesWritten: number;
  alarmsSet: number;
  /** Each is billed as a request to the object. */
  alarmsRun: number;
  flushes: number;
  /** What clients asked over HTTP: each is billed as a request to the Worker. */
  requests: number;
  calls: number;
  /** From one queue to the bell of another; each is billed as a call. */
  rings: number;
  registryCalls: number;
  /** Calls under way now, and the most that there were. */
  open: number;
  openMax: number;
  /** Time in which an object had a call or an alarm under way, over all objects: the duration that is billed. */
  activeMs: number;
}
