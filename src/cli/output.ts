import type { CliFailure } from './failure.ts'
import type { Sink } from './options.ts'
import { type Column, printable, renderTable } from './table.ts'

/** Work with fewer parts is done before anybody could read a line. */
const PROGRESS_FROM = 200

/** Prints what commands find. With `json` the standard output is JSON only and nothing but errors goes to the other. */
export class Output {
  readonly json: boolean
  readonly #stdout: Sink
  readonly #stderr: Sink
  /** What ends the line of progress that stands on a terminal. */
  #progressEnd = ''
  #progressPercent = -1

  constructor(json: boolean, stdout: Sink, stderr: Sink) {
    this.json = json
    this.#stdout = stdout
    this.#stderr = stderr
  }

  /** One object, or what it says in words. */
  object(value: object, lines: readonly string[]): void {
    this.#endProgress()
    this.#stdout.write(this.json ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(''))
  }

  /** A list that arrives in pages: one JSON array, or a table for each page under one heading. */
  async list<Row>(
    pages: AsyncIterable<readonly Row[]>,
    columns: readonly Column<Row>[],
    empty: string,
  ): Promise<void> {
    let count = 0
    for await (const page of pages) {
      if (page.length === 0) continue
      this.#endProgress()
      this.#stdout.write(this.json ? jsonRows(page, count === 0) : tableRows(columns, page, count === 0))
      count += page.length
    }
    const end = count === 0 ? '[]\n' : ']\n'
    if (this.json) this.#stdout.write(end)
    else if (count === 0) this.#stdout.write(`${empty}\n`)
  }

  /** One line of a stream: a JSON object, or `text`. */
  line(value: object, text: string): void {
    this.#stdout.write(`${this.json ? JSON.stringify(value) : printable(text)}\n`)
  }

  /** A remark for humans; nothing in JSON. */
  note(text: string): void {
    if (this.json) return
    this.#endProgress()
    this.#stderr.write(`${text}\n`)
  }

  /** How far long work is: one line that is rewritten on a terminal, else a line for every tenth. */
  progress(what: string, done: number, total: number): void {
    if (this.json || total < PROGRESS_FROM) return
    const percent = Math.floor((done / total) * 100)
    const step = this.#stderr.isTTY === true ? 1 : 10
    const last = this.#progressPercent
    if (last >= 0 && percent !== 100 && percent < last + step) return
    if (last === percent) return
    this.#progressPercent = percent
    const text = `${what}: ${done} of ${total} (${percent} %)`
    this.#stderr.write(this.#stderr.isTTY === true ? `\r\u001b[2K${text}` : `${text}\n`)
    this.#progressEnd = this.#stderr.isTTY === true ? '\n' : ''
  }

  /** What went wrong and what to do, on the standard error. */
  failure(failure: CliFailure): void {
    this.#endProgress()
    const { code, message, help, details } = failure
    if (this.json) {
      const error = { code, message, ...(help === undefined ? {} : { help }) }
      const whole = details.length === 0 ? error : { ...error, details }
      this.#stderr.write(`${JSON.stringify({ error: whole })}\n`)
      return
    }
    const lines = [`error: ${printable(message)} [${code}]`]
    for (const detail of details) {
      lines.push(`  ${printable([detail.path, detail.message].filter((part) => part !== '').join(': '))}`)
      if (detail.help !== undefined) lines.push(`    help: ${printable(detail.help)}`)
    }
    if (help !== undefined) lines.push(`help: ${printable(help)}`)
    this.#stderr.write(`${lines.join('\n')}\n`)
  }

  #endProgress(): void {
    if (this.#progressEnd !== '') this.#stderr.write(this.#progressEnd)
    this.#progressEnd = ''
    this.#progressPercent = -1
  }
}

function jsonRows(page: readonly unknown[], first: boolean): string {
  return `${first ? '[' : ',\n'}${page.map((row) => JSON.stringify(row)).join(',\n')}`
}

function tableRows<Row>(columns: readonly Column<Row>[], page: readonly Row[], first: boolean): string {
  const lines = renderTable(columns, page)
  return `${(first ? lines : lines.slice(1)).join('\n')}\n`
}
