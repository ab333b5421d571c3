/** What a process has used so far, as Linux tells it. It never asks another system. */
import { readFileSync } from "node:fs";

/** Of the kernel's clock for these counts; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time of all its threads. */
export function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1_000;
}

/** Memory that it holds now. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1]) * 1_024;
}
