/** Why the server does not start, in one line for a human. It never carries a stack to the terminal. */

export class StartRefused extends Error {
  override readonly name = "StartRefused";
}

/** The text of anything that was thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's code of a failed call (`EACCES`), or "" for any other failure. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}
