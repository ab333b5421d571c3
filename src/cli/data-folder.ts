/** The data folder: made when missing, held by one server at a time. It never touches the objects' databases. */
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { codeOf, reasonOf, StartRefused } from "./refusal.ts";

const LOCK_FILE = "lock";

export interface DataFolder {
  readonly path: string;
  /** Notes the process that writes the data, so that it holds the folder even when this one is gone. */
  entrust(pid: number): Promise<void>;
  release(): Promise<void>;
}

/** A process by its id and, where the system tells it, the time of its start: ids come again. */
interface Holder {
  readonly pid: number;
  readonly started: string;
}

/** Holds the folder for this process, or refuses in one line that says who holds it. */
export async function holdDataFolder(path: string): Promise<DataFolder> {
  const lock = join(path, LOCK_FILE);
  const me = holder(process.pid);
  try {
    await makeFolder(path);
    await takeLock(lock, [me]);
  } catch (error) {
    if (error instanceof StartRefused) throw error;
    throw new StartRefused(`the data folder ${path} cannot be written: ${reasonOf(error)}`);
  }
  return {
    path,
    entrust: (pid) => replaceLock(lock, [me, holder(pid)]),
    release: () => rm(lock, { force: true }),
  };
}

/** With its parents. Node's own `recursive` never ends where nothing can be made, as under /proc: all is ENOENT there. */
async function makeFolder(path: string): Promise<void> {
  const make = () => mkdir(path, { mode: 0o700 });
  try {
    await make().catch(async (error: unknown) => {
      if (codeOf(error) !== "ENOENT" || dirname(path) === path) throw error;
      await makeFolder(dirname(path));
      await make();
    });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

async function takeLock(lock: string, holders: readonly Holder[]): Promise<void> {
  while (!(await createLock(lock, holders))) {
    const text = await readLock(lock);
    const live = holdersIn(text).find(isAlive);
    if (live !== undefined) throw inUse(lock, live);
    await removeStaleLock(lock, text);
  }
}

async function createLock(lock: string, holders: readonly Holder[]): Promise<boolean> {
  try {
    const file = await open(lock, "wx", 0o600);
    try {
      await file.writeFile(JSON.stringify(holders));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Moves the stale lock aside before it is removed: another starter may have put its own there meanwhile. */
async function removeStaleLock(lock: string, stale: string): Promise<void> {
  const aside = `${lock}.${process.pid}`;
  try {
    await rename(lock, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const moved = await readLock(aside);
  const live = moved === stale ? undefined : holdersIn(moved).find(isAlive);
  if (live === undefined) return rm(aside, { force: true });
  await rename(aside, lock);
  throw inUse(lock, live);
}

async function replaceLock(lock: string, holders: readonly Holder[]): Promise<void> {
  const next = `${lock}.next`;
  await writeFile(next, JSON.stringify(holders), { mode: 0o600 });
  await rename(next, lock);
}

async function readLock(lock: string): Promise<string> {
  try {
    return await readFile(lock, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

/** An unreadable lock was cut off by a crash and holds nobody. */
function holdersIn(text: string): readonly Holder[] {
  try {
    const holders: unknown = JSON.parse(text);
    return Array.isArray(holders) ? (holders as Holder[]) : [];
  } catch {
    return [];
  }
}

function inUse(lock: string, { pid }: Holder): StartRefused {
  const folder = lock.slice(0, -LOCK_FILE.length - 1);
  return new StartRefused(
    `the data folder ${folder} is in use by process ${pid}; stop that first, or name another in HALFMQ_DATA`,
  );
}

function holder(pid: number): Holder {
  return { pid, started: startOf(pid) };
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== "EPERM") return false;
  }
  return started === startOf(pid);
}

/**
 * Ticks from the machine's start to the process's, field 22 of its stat; "" where there is no /proc. One that is dead but not
 * yet looked at by its parent (state Z, field 3) has none: it writes nothing any more.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "dead" : (fields[19] ?? "");
  } catch {
    return "";
  }
}
