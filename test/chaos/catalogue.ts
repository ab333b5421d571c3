/**
 * Topics and keys that are made, changed and deleted under strikes, apart from those that carry messages. G1: at the end each is
 * as the last answer said, or as some request wanted whose end nobody knows. The judging is pure.
 */
import type { Report } from "../sim/checker/check.ts";

/** What there is of a name: a number that was set, or nothing. */
export type Standing = number | "gone";

/** All that is known of one name. */
export class Named {
  /** By the last answer. */
  last: Standing = "gone";
  /** Of requests without an answer: any of them may still be done. */
  readonly unsure = new Set<Standing>();
  /** Changes that were answered. */
  changes = 0;

  admits(standing: Standing): boolean {
    return standing === this.last || this.unsure.has(standing);
  }
}

export function checkCatalogue(
  names: ReadonlyMap<string, Named>,
  seen: ReadonlyMap<string, Standing>,
  report: Report,
): void {
  for (const [name, named] of names) {
    const standing = seen.get(name);
    if (standing === undefined || !named.admits(standing))
      report(
        "G1",
        `${name} is ${standing}, and should be ${[named.last, ...named.unsure].join(" or ")}`,
      );
  }
}
