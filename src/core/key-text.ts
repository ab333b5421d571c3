/**
 * The text of a key: `hmq_<namespace>.<name>.<secret>`. A namespace holds no dot and a secret has a fixed length, so a
 * name with dots in it is read from both ends. Shape only: whether a key is good is decided where its hash is compared.
 */

const PREFIX = "hmq_";
/** 32 bytes in base64url. */
const SECRET_CHARS = 43;
const NAMESPACE = /^[a-z0-9-]{1,63}$/;
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9_\-.%]{1,127}$/;
const SECRET = /^[A-Za-z0-9_-]{43}$/;

export interface KeyText {
  readonly namespace: string;
  readonly name: string;
  readonly secret: string;
}

/** What a namespace may be called. */
export const isNamespace = (text: string): boolean => NAMESPACE.test(text);

export const keyText = ({ namespace, name, secret }: KeyText): string =>
  `${PREFIX}${namespace}.${name}.${secret}`;

/** Undefined for anything that `keyText` would not have written. */
export function parseKeyText(text: string): KeyText | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const nameStart = text.indexOf(".") + 1;
  const nameEnd = text.length - SECRET_CHARS - 1;
  if (nameStart === 0 || nameEnd <= nameStart || text.charAt(nameEnd) !== ".") return undefined;
  const parts = {
    namespace: text.slice(PREFIX.length, nameStart - 1),
    name: text.slice(nameStart, nameEnd),
    secret: text.slice(nameEnd + 1),
  };
  const sound = isNamespace(parts.namespace) && NAME.test(parts.name) && SECRET.test(parts.secret);
  return sound ? parts : undefined;
}
