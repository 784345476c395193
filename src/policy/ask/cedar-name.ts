const SEGMENT = /^[A-Za-z_][A-Za-z0-9_]*$/
const RESERVED = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar'])
const ESCAPED = 'escaped__'

/**
 * The Cedar entity type for a type name of the wire: the name itself where Cedar can spell it, else a reversible escape
 * (`mcp-tool` becomes `escaped__mcp_2dtool`). Two different names never give the same type.
 */
export function cedarTypeName(name: string): string {
  const plain = name.split('::').every((segment) => SEGMENT.test(segment) && !RESERVED.has(segment))
  return plain && !name.startsWith(ESCAPED) ? name : `${ESCAPED}${escapeName(name)}`
}

/** Whether a type names actions; such an entity can't be a principal or a data object. */
export function isActionType(type: string): boolean {
  return type === 'Action' || type.endsWith('::Action')
}

/** Every character but letters and digits as `_` and two hexadecimal digits, or `_u` and four. */
function escapeName(name: string): string {
  let escaped = ''
  for (let i = 0; i < name.length; i++) {
    const char = name.charAt(i)
    const code = name.charCodeAt(i)
    if (/[A-Za-z0-9]/.test(char)) escaped += char
    else
      escaped +=
        code < 0x100 ? `_${code.toString(16).padStart(2, '0')}` : `_u${code.toString(16).padStart(4, '0')}`
  }
  return escaped
}
