/** What a disk gives back otherwise than it was written is refused with 503 and a line in the log, and never served. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Dice } from "../sim/world/dice.ts";
import { anywhere, breakFiles, cutTo, flipInBody, overwritten, untouched } from "./broken-file.ts";

const FLIPS = 8;

test(
  "damaged and truncated databases are found out, and the others serve on",
  { timeout: 300_000 },
  async () => {
    const dataFolder = await mkdtemp(join(tmpdir(), "halfmq-broken-"));
    const damages = [
      untouched,
      flipInBody,
      cutTo(0),
      cutTo(0.001),
      cutTo(0.5),
      cutTo(0.95),
      overwritten(0),
      overwritten(1),
      overwritten(2),
      ...anywhere(new Dice(1), FLIPS),
    ];
    const { told, log } = await breakFiles(dataFolder, damages);
    await rm(dataFolder, { recursive: true, force: true });
    for (const { damage, wrongs } of told) expect(wrongs, damage).toEqual([]);
    const [well, flipped] = told;
    expect(new Set(Object.values(well?.answers ?? {}))).toEqual(new Set(["ok"]));
    expect(flipped?.answers["first peek"]).toBe("unavailable");
    expect(log).toMatch(
      /"queue\.aborted","object":"default\/t1\/0","error":"CodecError: the checksum of message_log \d+/u,
    );
    // What SQLite itself finds out.
    expect(log).toMatch(/SQLITE_CORRUPT|SQLITE_NOTADB/u);
  },
);
