/**
 * The text of a key: `hmq_<namespace>.<name>.<secret>`, written by the registry and read by auth. A name may hold dots, so
 * it is read from both ends. It never judges whether a key is a good one.
 */
const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;
const KEY = /^hmq_([a-z0-9][a-z0-9-]{0,62})\.([A-Za-z0-9_\-.%]{1,127})\.([A-Za-z0-9_-]{43})$/;

export interface KeyText {
  readonly namespace: string;
  readonly name: string;
  readonly secret: string;
}

export const isNamespace = (text: string): boolean => NAMESPACE.test(text);

export const keyText = ({ namespace, name, secret }: KeyText): string =>
  `hmq_${namespace}.${name}.${secret}`;

export function parseKeyText(text: string): KeyText | undefined {
  const [, namespace, name, secret] = KEY.exec(text) ?? [];
  if (namespace === undefined || name === undefined || secret === undefined) return undefined;
  return { namespace, name, secret };
}
