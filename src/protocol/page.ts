/** One page of a list, as objects answer it. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Where to go on; absent: there is no more. */
  readonly nextCursor?: string;
}
