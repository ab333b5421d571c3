/**
 * The secrets of a producer group, newest first. Pure: the random bytes come in, and time too.
 * A secret that is replaced signs beside its successor for a day; the newest has no end.
 */

export interface Secret {
  readonly secret: string;
  /** It signs until then; absent on the newest. */
  readonly untilAt?: number;
}

const OVERLAP_MS = 24 * 60 * 60 * 1_000;
/** A signature for each goes into every webhook. */
const SECRETS_MAX = 8;

export const liveSecrets = (secrets: readonly Secret[], nowMs: number): Secret[] =>
  secrets.filter(({ untilAt }) => untilAt === undefined || untilAt > nowMs);

/** The secrets with a new one in front. */
export function rotated(secrets: readonly Secret[], fresh: string, nowMs: number): Secret[] {
  const old = liveSecrets(secrets, nowMs).map(({ secret, untilAt = nowMs + OVERLAP_MS }) => ({
    secret,
    untilAt,
  }));
  return [{ secret: fresh }, ...old].slice(0, SECRETS_MAX);
}
