/**
 * Looks for a text in another in time that grows with the two lengths only (Knuth, Morris and Pratt): a producer's long
 * property and a reader's long search text must not multiply.
 */

/** A text to look for, and for each of its lengths the longest proper prefix that is a suffix, too. */
export interface Needle {
  readonly text: string;
  readonly borders: Uint16Array;
}

/** `text` has at most 65,535 characters. */
export function makeNeedle(text: string): Needle {
  const borders = new Uint16Array(text.length);
  let border = 0;
  for (let index = 1; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    while (border > 0 && text.charCodeAt(border) !== unit) border = borders[border - 1] ?? 0;
    if (text.charCodeAt(border) === unit) border++;
    borders[index] = border;
  }
  return { text, borders };
}

export function contains(haystack: string, { text, borders }: Needle): boolean {
  let matched = 0;
  for (let index = 0; matched < text.length; index++) {
    if (index === haystack.length) return false;
    const unit = haystack.charCodeAt(index);
    while (matched > 0 && text.charCodeAt(matched) !== unit) matched = borders[matched - 1] ?? 0;
    if (text.charCodeAt(matched) === unit) matched++;
  }
  return true;
}
