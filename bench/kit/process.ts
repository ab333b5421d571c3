/** What a process has used so far, as Linux tells it. It never asks another system. */
import { readdirSync, readFileSync } from "node:fs";

/** Processor time of all its threads. */
export function processorMs(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [ran] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ");
    nanoseconds += Number(ran);
  }
  return nanoseconds / 1e6;
}

/** Memory that it holds now. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1]) * 1_024;
}
