/** Which machine a figure is from: named beside every result, because no figure means anything without it. */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import workerd from "workerd/package.json" with { type: "json" };
import { median } from "./numbers.ts";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly workerd: string;
  /** A write of 4 KiB and its fsync, where the servers keep their data. */
  readonly fsyncMs: number;
}

const WRITES = 64;

export function machine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    workerd: workerd.version,
    fsyncMs: fsyncMs(),
  };
}

export const inWords = (found: Machine): string =>
  `${found.cores} × ${found.processor}, ${found.memoryGiB} GiB, Linux ${found.kernel}, Node ${found.node}, ` +
  `workerd ${found.workerd}, fsync ${found.fsyncMs.toFixed(2)} ms`;

function fsyncMs(): number {
  const folder = mkdtempSync(join(tmpdir(), "halfmq-bench-"));
  const file = openSync(join(folder, "fsync"), "w");
  const block = Buffer.alloc(4_096, 1);
  const times: number[] = [];
  try {
    for (let count = 0; count < WRITES; count++) {
      const before = performance.now();
      writeSync(file, block);
      fsyncSync(file);
      times.push(performance.now() - before);
    }
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
  return median(times);
}
