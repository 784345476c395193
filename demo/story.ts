/** Prints what happens and remembers whether it was what should happen. */
export interface Story {
  /** A heading. */
  chapter(text: string): void
  /** A plain line. */
  line(text: string): void
  /** A line with a tick, or with a cross, which makes the demo fail. */
  check(text: string, isTrue: boolean): void
  failures(): number
  checks(): number
}

/** Writes to `out`. */
export function createStory(out: { write(text: string): unknown }): Story {
  let failures = 0
  let checks = 0
  return {
    chapter: (text) => void out.write(`\n${text}\n`),
    line: (text) => void out.write(`  ${text}\n`),
    check(text, isTrue) {
      checks += 1
      if (!isTrue) failures += 1
      out.write(`  ${isTrue ? '✓' : '✗ NOT AS EXPECTED:'} ${text}\n`)
    },
    failures: () => failures,
    checks: () => checks,
  }
}
