/** Text from outside as PostgreSQL can hold it: what it cannot is replaced by U+FFFD, and all of it is at most `charsMax` long. */
export function storable(text: string, charsMax: number): string {
  return text.slice(0, charsMax).replaceAll("\0", "\uFFFD").toWellFormed();
}
