/** RFC 5321, 4.5.3.1: a path has at most 256 octets, two of which are its brackets. */
const ADDRESS_CHARS_MAX = 254;
const LOCAL_CHARS_MAX = 64;
const DOMAIN_CHARS_MAX = 253;
/** Unquoted, without a dot at either end or beside another; after the @ labels of at most 63 letters, digits and hyphens. */
const LOCAL = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const LABEL = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** Whether mail can be sent there: one rule for what may be registered and what the mail service hands over. */
export function isMailAddress(text: string): boolean {
  const at = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(0, at));
  const domain = text.slice(at + 1);
  return (
    text.length <= ADDRESS_CHARS_MAX &&
    local.length <= LOCAL_CHARS_MAX &&
    LOCAL.test(local) &&
    domain.length <= DOMAIN_CHARS_MAX &&
    domain.split(".").every((label) => LABEL.test(label))
  );
}
