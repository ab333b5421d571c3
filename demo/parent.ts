/** A service's tie to the demo that started it: it reports there, and never lives longer. */
import type { Report } from "./kept-service.ts";

export function report(what: Report): void {
  process.send?.(what);
}

/** Whoever ended the demo, and however: its services end too. */
export function endWithParent(): void {
  process.once("disconnect", () => process.exit(1));
}

/** A variable that the demo must have set. */
export function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined)
    throw new Error(`${name} is not set: the services are started by demo/run.ts`);
  return value;
}
