/** A few values by name on an invented disk, as `ctx.storage.kv` keeps them. */
import { deserialize, serialize } from "node:v8";
import { bytesOf } from "../../../src/queue/storage/storage.ts";
import type { Disk } from "./disk.ts";

const TABLE = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT";

export function keptOn(disk: Disk): {
  get(name: string): unknown;
  put(name: string, value: unknown): void;
  /** With all else, the alarm as well. */
  erase(): void;
} {
  disk.exec(TABLE);
  return {
    get: (name) => {
      const [row] = disk.exec("SELECT value FROM kept WHERE name = ?", name);
      return row === undefined ? undefined : (deserialize(bytesOf(row["value"])) as unknown);
    },
    put: (name, value) =>
      void disk.exec(
        "INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)",
        name,
        serialize(value),
      ),
    erase: () => {
      disk.deleteAll();
      disk.exec(TABLE);
    },
  };
}
