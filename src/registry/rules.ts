/**
 * What a change of settings comes to: the merged settings, or why not. Pure; values were validated at the edge, so only
 * relations between old and new are judged here.
 */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import {
  GROUP_DEFAULTS,
  type Backoff,
  type GroupSettings,
  type TopicSettings,
} from "../protocol/topic.ts";
import type { Growth } from "../protocol/rpc.ts";

/** The patch's fields that are set. */
const given = <T extends object>(patch: T): T =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as T;

export function mergeTopic(
  settings: TopicSettings,
  patch: Partial<TopicSettings>,
): Outcome<TopicSettings> {
  const queues = patch.queues ?? settings.queues;
  if (queues < settings.queues) {
    const facts = { field: "queues", limit: settings.queues, actual: queues };
    return refuse("immutable_field", "A topic's queues grow and never shrink", facts);
  }
  const transaction = { ...settings.transaction, ...given(patch.transaction ?? {}) };
  const { maxBacklog, ...merged } = { ...settings, ...given(patch), transaction };
  // 0 takes the bound away.
  return accept(maxBacklog === undefined || maxBacklog === 0 ? merged : { ...merged, maxBacklog });
}

/** The growths of a topic whose queues go from one number to another; the same when they do not. */
export const grown = (
  growths: readonly Growth[],
  from: number,
  to: number,
  nowMs: number,
): readonly Growth[] => (to > from ? [...growths, { from, to, at: nowMs }] : growths);

export function newGroup(patch: Partial<GroupSettings>): GroupSettings {
  const backoff = mergeBackoff(GROUP_DEFAULTS.backoff, patch.backoff);
  return { ...GROUP_DEFAULTS, ...given(patch), backoff };
}

export function mergeGroup(
  settings: GroupSettings,
  patch: Partial<GroupSettings>,
): Outcome<GroupSettings> {
  for (const field of ["startFrom", "mode"] as const) {
    if (patch[field] !== undefined && patch[field] !== settings[field]) {
      return refuse("immutable_field", `A group's ${field} cannot change`, { field });
    }
  }
  const backoff = mergeBackoff(settings.backoff, patch.backoff);
  return accept({ ...settings, ...given(patch), backoff });
}

/** A list takes the place of a formula and the other way round; a formula's missing fields are the old one's. */
function mergeBackoff(backoff: Backoff, patch: Backoff | undefined): Backoff {
  if (patch === undefined) return backoff;
  if ("delaysMs" in patch) return patch;
  const base = "delaysMs" in backoff ? GROUP_DEFAULTS.backoff : backoff;
  return { ...base, ...given(patch) };
}

/** Whether two plain values say the same, whatever the order of their fields. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object") return false;
  if (one === null || other === null || Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every(
    (name) =>
      Object.hasOwn(other, name) &&
      sameValue((one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name]),
  );
}
