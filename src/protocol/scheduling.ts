/**
 * What is said to and of the object that keeps a namespace's schedules, and to whoever sends their messages. Plain data,
 * private to one deployed version; instants are epoch milliseconds.
 */
import type { ErrorCode, Outcome } from "./errors.ts";
import type { Page } from "./page.ts";
import type { SentMessage } from "./producing.ts";

/** Properties that each message of a schedule has beside its own. */
export const SCHEDULE_PROPERTIES = {
  name: "halfmqSchedule",
  /** Of the run, in epoch milliseconds. */
  scheduledAt: "halfmqScheduledAt",
} as const;

/** When a schedule runs, and where to. */
export interface ScheduleRule {
  readonly topic: string;
  /** Five fields, six with seconds in front, or a nickname such as `@daily`. */
  readonly cron: string;
  /** By its name in the IANA database. */
  readonly timeZone: string;
  /** What becomes of runs that come too late: left out, or one for all of them. */
  readonly missed: "skip" | "once";
}

/** How the last run that ended did so. */
export interface ScheduleRun {
  readonly scheduledAt: number;
  readonly endedAt: number;
  /** `skipped`: it was too late; `failed`: it was refused for good. */
  readonly outcome: "sent" | "skipped" | "failed";
  readonly attempts: number;
  /** What refused it. */
  readonly code?: ErrorCode;
  readonly id?: string;
  readonly queue?: number;
}

/** A run that has begun and not ended. */
export interface SchedulePending {
  readonly scheduledAt: number;
  readonly startedAt: number;
  readonly attempts: number;
  readonly code?: ErrorCode;
}

export interface ScheduleView extends ScheduleRule {
  readonly name: string;
  /** An encoded record (core/record.ts). */
  readonly record: Uint8Array;
  readonly paused: boolean;
  readonly createdAt: number;
  /** Absent while paused, or when there is none any more. */
  readonly nextRunAt?: number;
  readonly pendingRun?: SchedulePending;
  readonly lastRun?: ScheduleRun;
}

/** One message of one run; the same run again is the same firing. */
export interface Firing {
  readonly namespace: string;
  readonly topic: string;
  /** With the producer mark that makes a repeat of it harmless. */
  readonly record: Uint8Array;
}

/** RPC of `SchedulerObject`: one per namespace that has schedules. */
export interface SchedulerRpc {
  /** What a put would be refused for, without putting anything: for who has to make the schedule's topic first. */
  admits(name: string, rule: ScheduleRule): Promise<Outcome<undefined>>;
  /** Sets all of a schedule but whether it is paused. Its next run is counted from now when cron or time zone are new. */
  put(
    name: string,
    rule: ScheduleRule,
    record: Uint8Array,
  ): Promise<Outcome<{ schedule: ScheduleView; created: boolean }>>;
  get(name: string): Promise<Outcome<ScheduleView>>;
  list(query: { limit: number; cursor?: string }): Promise<Outcome<Page<ScheduleView>>>;
  /** Runs that come due while it is paused are left out. */
  pause(name: string, paused: boolean): Promise<Outcome<ScheduleView>>;
  delete(name: string): Promise<Outcome<{ deleted: true }>>;
  /** Runs what is due and arms what was lost; the watchdog's call. */
  poke(): Promise<void>;
}

/** RPC of the Worker itself, for its scheduler. */
export interface ScheduleSenderRpc {
  send(firing: Firing): Promise<Outcome<SentMessage>>;
}
