/**
 * Group commit. Callers hand in commands; the first one arms a flush for the end of the turn, and the flush applies all
 * of them in one synchronous stretch inside one transaction. Their answers are held by the platform's output gate until
 * that is on disk. While a commit is on its way, newcomers share the next flush.
 * A throw in a flush is a bug or a dead disk: every caller of it is refused and the object starts anew from storage;
 * memory is never patched.
 */
import type { Clock } from "../platform/clock.ts";
import { refuse, type Outcome } from "../protocol/errors.ts";

export interface FlushPorts {
  transaction(run: () => void): void;
  /** Resolves when everything written so far is on disk. */
  synced(): Promise<void>;
  /** Throws the object away. */
  abort(cause: unknown): void;
}

const MIB = 1024 * 1024;

/** Commands that wait for a flush; past it a caller is refused before the object falls over. */
const WAITING_MAX = 20_000;
/** The same by the bytes that they carry. */
const WAITING_BYTES_MAX = 48 * MIB;
/** Commands in one flush, and their bytes; the rest take the next one. */
const COMMANDS_MAX = 4_096;
const COMMAND_BYTES_MAX = 16 * MIB;
/** Bytes of messages that the answers of one flush carry, but for the last of them. */
const ANSWER_BYTES_MAX = 32 * MIB;

/** What was answered before the disk is written this long after at the latest, as far as the last commit is through. */
const OWED_MS = 20;
/** Past so many bytes of it, callers wait for the disk after all. */
const OWED_BYTES_MAX = 4 * MIB;

interface Waiting {
  readonly bytes: number;
  readonly run: (nowMs: number) => unknown;
  readonly answer: (value: unknown) => void;
}

export class Flush {
  readonly #ports: FlushPorts;
  readonly #clock: Clock;
  readonly #begin: (nowMs: number) => void;
  readonly #end: (nowMs: number) => void;
  readonly #isFull: () => boolean;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #armed = false;
  #syncing = false;
  #broken = false;
  #effects: (() => void)[] = [];
  spacingMs = 0;
  #lastMs = 0;
  #answerBytesLeft = ANSWER_BYTES_MAX;
  /** Bytes that were answered for and are not written yet. */
  #owedBytes = 0;
  #cancelOwed: (() => void) | undefined;

  /**
   * `begin` runs what is due before the commands, `end` writes the rows after them. Once `isFull` says that the rows hold
   * no more, the rest of the commands takes the next flush.
   */
  constructor(
    ports: FlushPorts,
    clock: Clock,
    hooks: {
      begin: (nowMs: number) => void;
      end: (nowMs: number) => void;
      isFull: () => boolean;
    },
  ) {
    this.#ports = ports;
    this.#clock = clock;
    this.#begin = hooks.begin;
    this.#end = hooks.end;
    this.#isFull = hooks.isFull;
  }

  /** May another answer of this flush carry messages? */
  get hasRoom(): boolean {
    return this.#answerBytesLeft > 0 && !this.#isFull();
  }

  /** An answer of this flush carries so much. */
  spend(answerBytes: number): void {
    this.#answerBytesLeft -= answerBytes;
  }

  /** Runs the command, which carries so many bytes, in the next flush. */
  run<T>(command: (nowMs: number) => Outcome<T>, bytes = 0): Promise<Outcome<T>> {
    if (this.#broken) return Promise.resolve(refuse("unavailable", "The queue is starting anew."));
    const isFull = bytes > 0 && this.#waitingBytes + bytes > WAITING_BYTES_MAX;
    if (this.#waiting.length >= WAITING_MAX || isFull) {
      return Promise.resolve(refuse("overloaded", "The queue has more to do than it can hold."));
    }
    return new Promise((resolve) => {
      this.#waitingBytes += bytes;
      const answer = (value: unknown): void => resolve(value as Outcome<T>);
      this.#waiting.push({ bytes, run: command, answer });
      this.#arm();
    });
  }

  /** Is there too much that was answered for before the disk? */
  get owesMuch(): boolean {
    return this.#owedBytes > OWED_BYTES_MAX || this.#isFull();
  }

  /** Runs a command now, for an answer that does not wait for the disk; a flush that follows soon writes what it changed. */
  early<T>(command: (nowMs: number) => Outcome<T>, bytes: number): Outcome<T> {
    if (this.#broken) return refuse("unavailable", "The queue is starting anew.");
    try {
      const outcome = command(this.#clock.nowMs());
      this.#owedBytes += bytes;
      this.#armOwed();
      return outcome;
    } catch (error) {
      this.#break([], error);
      return refuse("unavailable", "The queue is starting anew.");
    }
  }

  #armOwed(): void {
    if (this.#owedBytes === 0 || this.#syncing || this.#cancelOwed !== undefined) return;
    this.#cancelOwed = this.#clock.after(OWED_MS, () => this.#arm());
  }

  /** Something to do once this flush has been applied; its outgoing calls wait for the disk at the output gate. */
  after(effect: () => void): void {
    this.#effects.push(effect);
  }

  #arm(): void {
    if (this.#armed || this.#syncing) return;
    this.#armed = true;
    const waitMs =
      this.spacingMs === 0
        ? 0
        : Math.max(
            0,
            Math.min(this.spacingMs, this.#lastMs + this.spacingMs - this.#clock.nowMs()),
          );
    this.#clock.after(waitMs, () => {
      this.#armed = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#broken) return;
    const batch = this.#next();
    this.#cancelOwed?.();
    this.#cancelOwed = undefined;
    this.#owedBytes = 0;
    this.#answerBytesLeft = ANSWER_BYTES_MAX;
    const answers: unknown[] = [];
    const nowMs = this.#clock.nowMs();
    this.#lastMs = nowMs;
    try {
      this.#ports.transaction(() => {
        this.#begin(nowMs);
        for (const { run } of batch) {
          if (answers.length > 0 && this.#isFull()) break;
          answers.push(run(nowMs));
        }
        this.#end(nowMs);
      });
    } catch (error) {
      this.#break(batch, error);
      return;
    }
    this.#putBack(batch.splice(answers.length));
    for (const [index, { answer }] of batch.entries()) answer(answers[index]);
    const effects = this.#effects;
    this.#effects = [];
    // What an effect asks for shares the next flush, like everybody's.
    this.#syncing = true;
    for (const effect of effects) effect();
    this.#ports.synced().then(
      () => {
        this.#syncing = false;
        if (this.#waiting.length > 0) this.#arm();
        else this.#armOwed();
      },
      (error: unknown) => this.#break([], error),
    );
  }

  #next(): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const each of this.#waiting) {
      if (count >= COMMANDS_MAX || (count > 0 && bytes + each.bytes > COMMAND_BYTES_MAX)) break;
      count++;
      bytes += each.bytes;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  #putBack(rest: readonly Waiting[]): void {
    if (rest.length === 0) return;
    this.#waiting = [...rest, ...this.#waiting];
    for (const { bytes } of rest) this.#waitingBytes += bytes;
  }

  #break(batch: readonly Waiting[], error: unknown): void {
    this.#broken = true;
    const refusal = refuse("unavailable", "The queue could not write and is starting anew.");
    for (const { answer } of [...batch, ...this.#waiting]) answer(refusal);
    this.#waiting = [];
    this.#ports.abort(error);
  }
}
