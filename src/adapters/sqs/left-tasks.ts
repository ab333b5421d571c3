/**
 * Move tasks that this isolate has not finished in the time of one request: the next request of their namespace goes on with one.
 * In memory only: a task whose isolate is gone goes on when somebody lists it. It works at none itself.
 */
interface Left {
  readonly namespace: string;
  /** Of the queue. */
  readonly name: string;
}

/** Past that the oldest are left to who lists them. */
const LEFT_MAX = 100;

export class LeftTasks {
  readonly #left = new Map<string, Left>();

  put(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    this.#left.delete(key);
    this.#left.set(key, { namespace, name });
    const [oldest] = this.#left.keys();
    if (this.#left.size > LEFT_MAX && oldest !== undefined) this.#left.delete(oldest);
  }

  /** The queue whose task waits longest. It is somebody's from now on. */
  take(namespace: string): string | undefined {
    for (const [key, left] of this.#left) {
      if (left.namespace !== namespace) continue;
      this.#left.delete(key);
      return left.name;
    }
    return undefined;
  }
}
