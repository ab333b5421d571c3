/**
 * What a change of settings comes to: the merged settings, or why not. Pure; values were validated at the edge, so only
 * relations between old and new are judged here.
 */
import { utf8Length } from "../core/bytes.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import {
  GROUP_DEFAULTS,
  PUSH_DEFAULTS,
  type Backoff,
  type GroupPatch,
  type GroupSettings,
  type PushPacing,
  type PushPatch,
  type PushSettings,
  type TopicPatch,
  type TopicSettings,
} from "../protocol/topic.ts";
import type { Growth } from "../protocol/rpc.ts";

/** The patch's fields that are set. */
const given = <T extends object>(patch: T): T =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as T;

export function mergeTopic(settings: TopicSettings, patch: TopicPatch): Outcome<TopicSettings> {
  const queues = patch.queues ?? settings.queues;
  if (queues < settings.queues) {
    const facts = { field: "queues", limit: settings.queues, actual: queues };
    return refuse("immutable_field", "A topic's queues grow and never shrink", facts);
  }
  const transaction = { ...settings.transaction, ...given(patch.transaction ?? {}) };
  const labels = mergeLabels(settings.labels, patch.labels);
  if (!labels.ok) return labels;
  const { maxBacklog, labels: _former, ...merged } = { ...settings, ...given(patch), transaction };
  return accept({
    ...merged,
    // 0 takes the bound away.
    ...(maxBacklog === undefined || maxBacklog === 0 ? {} : { maxBacklog }),
    ...(Object.keys(labels.value).length === 0 ? {} : { labels: labels.value }),
  });
}

/** Each label for itself, so that two who set different ones do not undo each other's. */
function mergeLabels(
  labels: TopicSettings["labels"] = {},
  patch: TopicPatch["labels"] = {},
): Outcome<Readonly<Record<string, string>>> {
  const entries = Object.entries({ ...labels, ...patch });
  const kept = entries.filter((entry): entry is [string, string] => entry[1] !== null);
  if (kept.length > LIMITS.labelsMax) {
    const facts = { field: "labels", limit: LIMITS.labelsMax, actual: kept.length };
    return refuse("invalid_request", `labels: at most ${LIMITS.labelsMax} of a topic`, facts);
  }
  const actual = kept.flat().reduce((sum, text) => sum + utf8Length(text), 0);
  if (actual > LIMITS.labelsBytesMax) {
    const facts = { field: "labels", limit: LIMITS.labelsBytesMax, actual };
    return refuse("invalid_request", `labels: at most ${LIMITS.labelsBytesMax} bytes`, facts);
  }
  return accept(Object.fromEntries(kept));
}

/** The growths of a topic whose queues go from one number to another; the same when they do not. */
export const grown = (
  growths: readonly Growth[],
  from: number,
  to: number,
  nowMs: number,
): readonly Growth[] => (to > from ? [...growths, { from, to, at: nowMs }] : growths);

export function newGroup(patch: GroupPatch): Outcome<GroupSettings> {
  return mergeGroup(GROUP_DEFAULTS, { ...patch }, true);
}

export function mergeGroup(
  settings: GroupSettings,
  { push: pushPatch, ...patch }: GroupPatch,
  isNew = false,
): Outcome<GroupSettings> {
  for (const field of ["startFrom", "mode"] as const) {
    if (!isNew && patch[field] !== undefined && patch[field] !== settings[field]) {
      return refuse("immutable_field", `A group's ${field} cannot change`, { field });
    }
  }
  const backoff = mergeBackoff(settings.backoff, patch.backoff);
  const merged = { ...settings, ...given(patch), backoff };
  if (merged.ordered && merged.messageGroupConcurrency > 0) {
    const detail = "An ordered group has one of a message group in flight";
    return refuse("invalid_request", detail, { field: "messageGroupConcurrency" });
  }
  if (pushPatch === undefined) return accept(merged);
  const push = mergePush(settings.push, pushPatch);
  if (!push.ok) return push;
  if (merged.mode === "broadcast") {
    return refuse("invalid_request", "A broadcast group is not pushed", { field: "push" });
  }
  return accept({ ...merged, push: push.value });
}

/** A URL takes the place of a binding and the other way round; setting anything of a push that is disabled begins it anew. */
function mergePush(push: PushSettings | undefined, patch: PushPatch): Outcome<PushSettings> {
  const { url, binding, ...pacing } = patch;
  const target = url !== undefined ? { url } : binding !== undefined ? { binding } : targetOf(push);
  if (target === undefined) {
    return refuse("invalid_request", "push: url or binding is required", { field: "push.url" });
  }
  const { maxMessages, concurrency, timeoutMs, ...rest } = {
    ...(push ?? PUSH_DEFAULTS),
    ...given(pacing),
  } as PushPacing;
  const { ratePerSecond = 0, format = "messages", handshakeOrigin = "" } = rest;
  const ofUrl = format !== "messages" ? "format" : handshakeOrigin !== "" ? "handshakeOrigin" : "";
  if ("binding" in target && ofUrl !== "") {
    const detail = `push.${ofUrl} is of a URL; a binding is handed messages`;
    return refuse("invalid_request", detail, { field: `push.${ofUrl}` });
  }
  return accept({
    ...target,
    maxMessages,
    concurrency,
    timeoutMs,
    ...(ratePerSecond > 0 ? { ratePerSecond } : {}),
    ...(format === "messages" ? {} : { format }),
    ...(handshakeOrigin === "" ? {} : { handshakeOrigin }),
  });
}

const targetOf = (push: PushSettings | undefined) =>
  push === undefined ? undefined : "url" in push ? { url: push.url } : { binding: push.binding };

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
