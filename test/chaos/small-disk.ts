/** A disk of a few megabytes, in memory, that can be filled and freed. Only where mounts are allowed: Linux, as root. */
import { execFile } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const CHUNKS = [1_048_576, 65_536, 4_096].map((bytes) => Buffer.alloc(bytes, 1));

export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Or, in a sentence, why there can be none here. */
  static async mount(megabytes: number): Promise<SmallDisk | string> {
    const folder = await mkdtemp(join(tmpdir(), "halfmq-small-disk-"));
    try {
      await run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder]);
      return new SmallDisk(folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      return `a full disk is not tried: no tmpfs can be mounted here (${String(error).trim()})`;
    }
  }

  get #ballast(): string {
    return join(this.folder, "ballast");
  }

  /** Not a byte is left. */
  fill(): void {
    const file = openSync(this.#ballast, "a");
    for (const chunk of CHUNKS) {
      try {
        for (;;) writeSync(file, chunk);
      } catch {
        // Full, as far as this chunk goes.
      }
    }
    closeSync(file);
  }

  free(): Promise<void> {
    return rm(this.#ballast, { force: true });
  }

  async unmount(): Promise<void> {
    await run("umount", [this.folder]).catch(() => run("umount", ["-l", this.folder]));
    await rm(this.folder, { recursive: true, force: true });
  }
}
