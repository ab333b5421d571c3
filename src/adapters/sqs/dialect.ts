/** What the two protocols of SQS, JSON and query, have in common: they read one request and write one answer. */
import type { Answer } from "./actions.ts";
import type { Fault, Result } from "./faults.ts";

export interface Said {
  readonly action: string;
  /** Shaped as JSON has it; not judged yet. */
  readonly input: unknown;
}

export interface Encoded {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Dialect {
  /** Whether the protocol can say the text. */
  readonly says: (text: string) => boolean;
  read(request: Request, text: string): Result<Said>;
  write(answer: Answer, said: Said, requestId: string): Encoded;
  writeFault(why: Fault, requestId: string): Encoded;
}
