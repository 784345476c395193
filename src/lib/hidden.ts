const SHOWN = '[hidden]'

/** A secret text that shows itself to nobody who prints, logs or serializes what it is part of. */
export class Hidden {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself, for the one place that needs it. */
  reveal(): string {
    return this.#text
  }

  toJSON(): string {
    return SHOWN
  }

  toString(): string {
    return SHOWN
  }
}
