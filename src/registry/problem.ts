/** One reason why a registry file is refused. */
export interface RegistryProblem {
  /** Where: `entities[3].attrs.limits.day`. */
  readonly path: string
  readonly message: string
  readonly help: string | undefined
}

/** Problems that are reported; a file with more is broken as a whole. */
const PROBLEMS_MAX = 50

/** Collects problems while a file is read, so that all of them are reported at once. */
export class Problems {
  readonly list: RegistryProblem[] = []

  add(path: string, message: string, help?: string): void {
    if (this.list.length < PROBLEMS_MAX) this.list.push({ path, message, help })
  }

  /** Whether nothing more would be reported. */
  get full(): boolean {
    return this.list.length >= PROBLEMS_MAX
  }
}

/** `text` for a message: in backticks, shortened, without line breaks. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text
  return `\`${short.replace(/[\p{Cc}`]/gu, ' ')}\``
}
