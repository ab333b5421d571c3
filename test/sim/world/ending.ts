/**
 * The end of something that lives, which comes before whatever is still awaited of it. A race with one promise that lives as
 * long would keep something of everything that was ever awaited.
 */
export class Ending {
  readonly #waiting = new Set<(reason: Error) => void>();
  #reason: Error | undefined;

  /** The promise, unless the end comes first: then it rejects with the reason. */
  before<T>(promise: Promise<T>): Promise<T> {
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      promise.then(
        (value) => {
          this.#waiting.delete(reject);
          resolve(value);
        },
        (error: unknown) => {
          this.#waiting.delete(reject);
          reject(error);
        },
      );
    });
  }

  come(reason: Error): void {
    this.#reason ??= reason;
    for (const reject of this.#waiting) reject(reason);
    this.#waiting.clear();
  }
}
