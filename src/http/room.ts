/** Places for work that is under way. */
export interface Room<Id extends string> {
  /** Takes a place; gives what leaves it again, exactly once. Undefined when there is none, or none for `id`. */
  enter(id: Id): (() => void) | undefined
}

/**
 * @param max places in all
 * @param shareMax most that one id may take
 * @param onChange called when a place is taken or left
 */
export function createRoom<Id extends string>(
  max: number,
  shareMax: number,
  onChange: (change: 1 | -1) => void = () => undefined,
): Room<Id> {
  const shares = new Map<Id, number>()
  let taken = 0
  return {
    enter(id) {
      const share = shares.get(id) ?? 0
      if (taken >= max || share >= shareMax) return undefined
      taken++
      shares.set(id, share + 1)
      onChange(1)
      return () => {
        taken--
        const left = (shares.get(id) ?? 1) - 1
        if (left === 0) shares.delete(id)
        else shares.set(id, left)
        onChange(-1)
      }
    },
  }
}
