/** The root key kept in the data folder: made once, readable by its owner only. It never prints it. */
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, reasonOf, StartRefused } from "./refusal.ts";
import { checkRootKey } from "./settings.ts";

const KEY_FILE = "root-key";
const KEY_BYTES = 32;

export type KeySource = "given" | "kept" | "made";

export interface RootKey {
  readonly key: string;
  readonly source: KeySource;
}

/** The given key, else the one in the folder, else a new one that is in the folder from now on. */
export async function rootKeyOf(dataFolder: string, given: string | undefined): Promise<RootKey> {
  if (given !== undefined) {
    checkRootKey(given, "the root key");
    return { key: given, source: "given" };
  }
  const file = join(dataFolder, KEY_FILE);
  const kept = await readKey(file);
  if (kept !== undefined) {
    checkRootKey(kept, `the root key in ${file}`);
    return { key: kept, source: "kept" };
  }
  const key = `hmq_root_${randomBytes(KEY_BYTES).toString("base64url")}`;
  await writeFile(file, `${key}\n`, { mode: 0o600, flag: "wx", flush: true });
  return { key, source: "made" };
}

async function readKey(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new StartRefused(`the root key in ${file} cannot be read: ${reasonOf(error)}`);
  }
}
