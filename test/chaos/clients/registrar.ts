/** Makes, changes and deletes topics and keys, over and over under the same names, and writes down what is known of each. */
import { Named, type Standing } from "../catalogue.ts";
import { Caller, http, isRefused } from "./caller.ts";

const NAMES = ["topics/extra-0", "topics/extra-1", "keys/extra-0"] as const;
const RETENTION_MS_MIN = 60_000;

export class Registrar extends Caller {
  async run(): Promise<void> {
    while (this.goesOn) {
      await this.pause(100 + this.dice.roll() * 1_000);
      const name = this.dice.pick(NAMES);
      const isPut = this.dice.chance(0.7);
      await this.#change(name, isPut ? RETENTION_MS_MIN + this.dice.int(0, 100_000) : "gone");
    }
  }

  async #change(name: string, to: Standing): Promise<void> {
    const { catalogue } = this.scene;
    const named = catalogue.get(name) ?? new Named();
    catalogue.set(name, named);
    try {
      if (to === "gone") await http(this.scene, "DELETE", `/v1/${name}${forced(name)}`);
      else await http(this.scene, "PUT", `/v1/${name}`, { body: bodyOf(name, to) });
      named.last = to;
      named.changes++;
    } catch (error) {
      // What was not there is gone, too.
      if (!isRefused(error)) named.unsure.add(to);
    }
  }
}

const forced = (name: string): string => (name.startsWith("topics/") ? "?force=true" : "");

/** A key ends far off, at an instant that says which of them it is. */
const FAR_MS = 4_000_000_000_000;

const bodyOf = (name: string, value: number): object =>
  name.startsWith("topics/")
    ? { retentionMs: value }
    : { scopes: ["consume"], expiresAt: FAR_MS + value };

/** What a name's own route shows, as a standing. */
export const standingOf = (shown: { retentionMs?: number; expiresAt?: number }): Standing =>
  shown.retentionMs ?? (shown.expiresAt ?? 0) - FAR_MS;
